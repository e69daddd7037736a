"""Whether live prompts are others than those the model was made for, with alarms as rare as was asked for.

The mean of each signal over the live window is held against its mean over reference prompts. How far two such means
lie apart when nothing has changed is found by drawing both, of their own sizes, from the reference again and again; a
difference that this exceeds more rarely than the stated rate is an alarm. The rate is for all signals together
(Bonferroni); `bench/drift.py` measures what it comes to.

A reference of M prompts may lack by chance what one in M + 1 has: the live window's most unusual value is drawn with
that chance. So one odd request raises no alarm, be the reference without any variance.

Where the model has been trained on live requests since, those are a second kind of prompt that it was made for. Traffic
may be any mixture of both: the reference has them in the shares that the live window has.

Source: two-sample bootstrap of a mean: B. Efron and R. J. Tibshirani, "An Introduction to the Bootstrap", 1993,
chapter 16.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lal.monitor.signals import Array

RESAMPLES = 4000
"""At a rate of 0.01 over four signals, ten of these lie beyond the limit."""

SEED = 20

DRAWN_AT_ONCE = 2_000_000
"""Values in memory at a time."""


@dataclass(frozen=True)
class Shift:
    """One signal, then and now.

    Attributes:
        signal: One of `lal.monitor.signals.SIGNALS`.
        reference: Mean over the reference prompts.
        live: Mean over the live ones, each weighed by the inverse of its chance to be kept.
        limit: Largest difference that chance explains at the stated rate.
    """

    signal: str
    reference: float
    live: float
    limit: float

    @property
    def is_alarm(self) -> bool:
        """Whether the means lie further apart than chance explains."""
        return abs(self.live - self.reference) > self.limit


def find_shifts(
    reference: Mapping[str, Array],
    live: Mapping[str, Array],
    weights: Array,
    false_alarm_rate: float,
    learned: Mapping[str, Array] | None = None,
) -> list[Shift]:
    """Holds each signal of live prompts against the reference.

    Args:
        reference: Signal -> shape (M,), of prompts that the model was made for, M >= 2.
        live: Signal -> shape (N,), N >= 1.
        weights: Shape (N,), positive.
        false_alarm_rate: Chance of one or more alarms where the live prompts are of the reference's kind.
        learned: Signal -> shape (L,), of live prompts that the model was trained on since, L >= 2.
    """
    names = list(reference)
    seen = np.stack([live[name] for name in names], axis=1)
    share = weights / weights.sum()
    kinds, mixture = [np.stack([reference[name] for name in names], axis=1)], [1.0]
    if learned:
        kinds.append(np.stack([learned[name] for name in names], axis=1))
        part = _part_of_learned(kinds[0], kinds[1], seen, share)
        mixture = [1 - part, part]
    return _shifts(names, kinds, mixture, seen, share, false_alarm_rate)


def _part_of_learned(reference: Array, learned: Array, live: Array, share: Array) -> float:
    """The share of the second kind (L, S) among live prompts (N, S), of the first kind (M, S) the rest.

    Each prompt counts as of the nearer kind, corrected for how often that errs. Means would not do: a few prompts of a
    third kind, further out, have those of many of the second.
    """
    spread = np.vstack([reference, learned]).std(axis=0) + 1e-12
    along = (learned.mean(axis=0) - reference.mean(axis=0)) / spread**2
    middle = along @ (learned.mean(axis=0) + reference.mean(axis=0)) / 2
    wrong, right = (float((kind @ along > middle).mean()) for kind in (reference, learned))
    seen = float(share @ (live @ along > middle))
    return min(max((seen - wrong) / (right - wrong), 0.0), 1.0) if right > wrong else 0.0


def _shifts(
    names: Sequence[str], kinds: Sequence[Array], mixture: Sequence[float], live: Array, share: Array, rate: float
) -> list[Shift]:
    """Live values (N, S) against one mixture of kinds (M, S)."""
    means = sum(part * kind.mean(axis=0) for part, kind in zip(mixture, kinds, strict=True))
    furthest = live[np.abs(live - means).argmax(axis=0), np.arange(len(names))]
    differences = np.abs(_null([np.vstack([kind, furthest]) for kind in kinds], mixture, share))
    limits = np.quantile(differences, 1 - rate / len(names), axis=0)
    return [Shift(*each) for each in zip(names, means.tolist(), (share @ live).tolist(), limits.tolist(), strict=True)]


def _null(kinds: Sequence[Array], mixture: Sequence[float], share: Array) -> Array:
    """Differences of means when nothing changed: (M, S) values of each kind -> (RESAMPLES, S)."""
    generator = np.random.default_rng(SEED)
    num_live, num_signals = len(share), kinds[0].shape[1]
    at_once = max(1, DRAWN_AT_ONCE // (max(num_live, *map(len, kinds)) * num_signals))
    parts = []
    for start in range(0, RESAMPLES, at_once):
        count = min(at_once, RESAMPLES - start)
        then = np.zeros((count, num_signals))
        of_kind = (generator.random((count, num_live)) >= mixture[0]).astype(int)
        now = np.empty((count, num_live, num_signals))
        for number, (part, kind) in enumerate(zip(mixture, kinds, strict=True)):
            then += part * kind[generator.integers(len(kind), size=(count, len(kind)))].mean(axis=1)
            own = of_kind == number
            now[own] = kind[generator.integers(len(kind), size=int(own.sum()))]
        parts.append(np.einsum("rns,n->rs", now, share) - then)
    return np.concatenate(parts)
