"""Whether live prompts are others than those the model was made for, with alarms as rare as was asked for.

The mean of each signal over the live window is held against its mean over reference prompts. How far two such means
lie apart when nothing has changed is found by drawing both, of their own sizes, from the reference again and again; a
difference that this exceeds more rarely than the stated rate is an alarm. The rate is for all signals together
(Bonferroni); `bench/drift.py` measures what it comes to.

Source: two-sample bootstrap of a mean: B. Efron and R. J. Tibshirani, "An Introduction to the Bootstrap", 1993,
chapter 16.
"""

from collections.abc import Mapping
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
    reference: Mapping[str, Array], live: Mapping[str, Array], weights: Array, false_alarm_rate: float
) -> list[Shift]:
    """Holds each signal of live prompts against the reference.

    Args:
        reference: Signal -> shape (M,), of prompts that the model was made for, M >= 2.
        live: Signal -> shape (N,), N >= 1.
        weights: Shape (N,), positive.
        false_alarm_rate: Chance of one or more alarms where the live prompts are of the reference's kind.
    """
    names = list(reference)
    share = weights / weights.sum()
    kept = np.stack([reference[name] for name in names], axis=1)
    differences = np.abs(_null(kept, share))
    limits = np.quantile(differences, 1 - false_alarm_rate / len(names), axis=0)
    return [
        Shift(name, float(reference[name].mean()), float(share @ live[name]), float(limit))
        for name, limit in zip(names, limits, strict=True)
    ]


def _null(reference: Array, share: Array) -> Array:
    """Differences of means when nothing changed: (M, S) values -> (RESAMPLES, S)."""
    generator = np.random.default_rng(SEED)
    num_reference, num_live = len(reference), len(share)
    at_once = max(1, DRAWN_AT_ONCE // (max(num_reference, num_live) * reference.shape[1]))
    parts = []
    for start in range(0, RESAMPLES, at_once):
        count = min(at_once, RESAMPLES - start)
        then = reference[generator.integers(num_reference, size=(count, num_reference))].mean(axis=1)
        now = np.einsum("rns,n->rs", reference[generator.integers(num_reference, size=(count, num_live))], share)
        parts.append(now - then)
    return np.concatenate(parts)
