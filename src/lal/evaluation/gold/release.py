"""Looks at the sealed split: each is written into a ledger before anything of it is shown.

A look cannot be taken back, so the row is there from the moment the model is asked, also if the scores are never seen;
they are filled in at the end. Only sums are kept: whoever reads the failures of sealed items would mend those.
"""

import contextlib
import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import filelock
from pydantic import Field

from lal.data.versions import Digest, content_digest
from lal.errors import DataError
from lal.evaluation.scores.results import SHIPPED, Result
from lal.evaluation.scores.scoreboard import build_scoreboard
from lal.evaluation.statistics.intervals import CONFIDENCE_Z, Estimate
from lal.files import write_jsonl
from lal.gold_items import GoldItem
from lal.records import Record, read_numbered

MANY_LOOKS = 5
"""Looks after which new sealed items are due: the best of 5 equal models then looks 1.2 standard errors too good."""

BEST_OF = (0.0, 0.0, 0.564, 0.846, 1.029, 1.163, 1.267, 1.352, 1.424, 1.485, 1.539)
"""Mean of the largest of k standard normal draws, by k from 0 to 10; a test integrates them anew."""


class ReleaseScore(Record):
    """A share of right answers with its 95 % interval, or none if nothing was scored."""

    value: float | None
    low: float | None
    high: float | None
    num_scored: int
    num_unscored: int = 0


class Look(Record):
    """One row of ledger/releases.jsonl."""

    look: Annotated[int, Field(ge=1)]
    """Number of the look, over all sealed items that there ever were."""
    when: str
    """UTC, when the model was asked."""
    note: str
    model: str
    """The folder."""
    model_sha256: Digest
    """Of the weights."""
    gold_version: Annotated[int, Field(ge=0)]
    """The last locked version of the gold set; 0 if none is locked."""
    items_sha256: Digest
    items: dict[str, str]
    """Id of each sealed item, and the start of its digest: two looks that share items share what was learned."""
    run_id: str | None
    """The MLflow run, if it is known."""
    commit: str | None
    uncommitted: bool
    """Whether tracked files differed from the commit."""
    finished: bool
    """Whether there are scores. A look that was cut short counts all the same."""
    headline: ReleaseScore | None = None
    slices: dict[str, ReleaseScore] = Field(default_factory=dict)


def item_digests(items: Sequence[GoldItem]) -> dict[str, str]:
    """Id and digest of all that decides a score, for each item."""
    return {item.id: content_digest(item) for item in items}


def items_digest(digests: Mapping[str, str]) -> str:
    """One SHA-256 over all items, whatever their order."""
    return hashlib.sha256("\n".join(f"{key} {digests[key]}" for key in sorted(digests)).encode()).hexdigest()


def read_looks(ledger: Path) -> list[Look]:
    """All looks so far, oldest first; none if there is no ledger yet.

    Raises:
        DataError: A line is no look, or one is missing in the count.
    """
    if not ledger.exists():
        return []
    numbered = read_numbered(ledger, Look)
    for place, (number, look) in enumerate(numbered, start=1):
        if look.look != place:
            remedy = f"a look cannot be taken back: `git checkout {ledger}` restores the ledger"
            raise DataError(f"{ledger}:{number}: look {look.look} where look {place} belongs", remedy)
    return [look for _, look in numbered]


def begin_look(ledger: Path, look: Look) -> Look:
    """Writes a look down before it is taken, with the next number."""
    with _held(ledger):
        looks = read_looks(ledger)
        numbered = look.model_copy(update={"look": len(looks) + 1, "finished": False})
        write_jsonl(ledger, [*looks, numbered])
    return numbered


def finish_look(ledger: Path, look: Look, results: Sequence[Result], headline: Sequence[str]) -> Look:
    """Writes the scores into a look that was begun: headline and slices, nothing about single items."""
    row = build_scoreboard(results, headline).row(SHIPPED)
    assert row is not None
    slices = {name: _score(share) for name, share in row.cells.items()}
    done = look.model_copy(update={"finished": True, "headline": _score(row.headline), "slices": slices})
    with _held(ledger):
        write_jsonl(ledger, [done if each.look == look.look else each for each in read_looks(ledger)])
    return done


def describe_look(look: Look, looks: Sequence[Look]) -> str:
    """The scores as a table, and below it what so many looks have done to them.

    Args:
        look: The look, finished.
        looks: All looks up to now, this one included.
    """
    scores = {"headline": look.headline, **look.slices}
    width = max(map(len, scores))
    lines = [f"{'':<{width}}  {'n':>4}  share  95 % interval"]
    for name, score in scores.items():
        lines.append(f"{name:<{width}}  {_cells(score)}")
    return "\n".join([*lines, "", *warnings(look, looks)])


def warnings(look: Look, looks: Sequence[Look]) -> list[str]:
    """What repeated looking does to a score, stronger with each look at items that were looked at before."""
    shared = [each for each in looks if each.items.items() & look.items.items()]
    models = {each.model_sha256 for each in shared}
    again = sum(each.model_sha256 == look.model_sha256 for each in shared) - 1
    lines = [f"Look {look.look} on record; {len(shared)} of them at these items, by {_models(len(models))}."]
    if again:
        lines.append("This model was looked at before: greedy answers are the same each time, nothing new was learned.")
    if len(models) == 1:
        lines.append("Nothing has been chosen by these items yet: this score is as good as it will ever be.")
        return lines
    lines.append(
        f"Whoever keeps the best of {len(models)} models by these scores overstates it: the best of {len(models)} "
        f"equally good ones looks {_overstated(look, len(models))} better than it is."
    )
    if len(shared) >= MANY_LOOKS:
        lines.append(
            f"WARNING: {len(shared)} looks. These items are becoming development items: write new sealed ones, "
            "move these to the split dev under a new version."
        )
    return lines


def _overstated(look: Look, num_models: int) -> str:
    """The bias of the best of several in points, from the standard error of the headline."""
    expected = BEST_OF[min(num_models, len(BEST_OF) - 1)]
    headline = look.headline
    if headline is None or headline.low is None or headline.high is None:
        return f"up to {expected:.1f} standard errors"
    error = (headline.high - headline.low) / (2 * CONFIDENCE_Z)
    return f"up to {100 * expected * error:.0f} points"


def _models(count: int) -> str:
    return "one model" if count == 1 else f"{count} models"


def _cells(score: ReleaseScore | None) -> str:
    if score is None or score.value is None or score.low is None or score.high is None:
        return f"{score.num_scored if score else 0:>4}  -"
    unscored = f"   ({score.num_unscored} not scored)" if score.num_unscored else ""
    return f"{score.num_scored:>4}   {score.value:.2f}  {score.low:.2f} to {score.high:.2f}{unscored}"


def _score(share: Estimate) -> ReleaseScore:
    value, low, high = (None if x is None else round(x, 6) for x in (share.value, share.low, share.high))
    assert all(x is None or math.isfinite(x) for x in (value, low, high))
    return ReleaseScore(value=value, low=low, high=high, num_scored=share.num_scored, num_unscored=share.num_unscored)


@contextlib.contextmanager
def _held(ledger: Path) -> Iterator[None]:
    """One writer at a time: two looks at once would lose one of the two."""
    lock = ledger.parent / ".lal" / f"{ledger.name}.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(lock):
        yield
