"""Who learns from what: built-in texts are split by play, a user's own by document."""

import hashlib
from collections.abc import Sequence

from lal.records import Split

GOLD_PLAYS = frozenset({"macbeth", "twelfth-night", "henry-v"})
"""The plays the gold set is drawn from; nothing trains on them."""

VALIDATION_PLAYS = frozenset({"julius-caesar", "a-midsummer-night-s-dream"})
"""The plays looked at while training."""


def split_of_play(slug: str) -> Split:
    """The split a whole play belongs to, so that no line of it stands on both sides."""
    if slug in GOLD_PLAYS:
        return "test"
    return "validation" if slug in VALIDATION_PLAYS else "train"


def split_all(ids: Sequence[str], validation_fraction: float, seed: int) -> dict[str, Split]:
    """The split of each id: about `validation_fraction` of them go to validation, drawn by a hash of id and seed.

    A row keeps its split when others come or go, which a shuffle would not give. Of two or more ids at least one is on
    each side.
    """
    points = {identity: _point(identity, seed) for identity in ids}
    order = sorted(points, key=lambda identity: points[identity])
    held_out = sum(point < validation_fraction for point in points.values())
    held_out = min(max(held_out, 1), len(order) - 1)
    validation = set(order[:held_out])
    return {identity: "validation" if identity in validation else "train" for identity in ids}


def _point(identity: str, seed: int) -> float:
    """A number from 0 to 1 that only depends on id and seed."""
    digest = hashlib.sha256(f"{seed}:{identity}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
