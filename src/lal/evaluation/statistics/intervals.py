"""How sure a score is: intervals for one score, and the exact test for two models on the same items.

Every interval is a 95 % one. A value of None was not scored: it is counted, and never taken for 0.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lal.evaluation.statistics.bootstrap import mean_interval

CONFIDENCE_Z = 1.959963984540054
"""Standard normal quantile of a two-sided 95 % interval."""


@dataclass(frozen=True)
class Estimate:
    """A score with its uncertainty.

    Attributes:
        value: The mean over the scored items; None if no item was scored.
        low: Lower end of the 95 % interval; None as above.
        high: Upper end; None as above.
        num_scored: Items behind the value.
        num_unscored: Items that could not be scored, left out of the value.
    """

    value: float | None
    low: float | None
    high: float | None
    num_scored: int
    num_unscored: int = 0


def proportion(values: Sequence[float | None]) -> Estimate:
    """The share of passes among values of 0 and 1, with Wilson's interval.

    Wilson's keeps its promise where the textbook interval does not: at 20 items and a true share of 0.9 it holds the
    truth 95.7 % of the time (textbook: 87.6 %), and 20 of 20 is [0.84, 1] (textbook: [1, 1]).

    Source: E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", JASA 22, 1927.
    """
    scored = [value for value in values if value is not None]
    assert all(value in (0.0, 1.0) for value in scored)
    if not scored:
        return Estimate(None, None, None, 0, len(values))
    low, high = wilson(round(sum(scored)), len(scored))
    return Estimate(sum(scored) / len(scored), low, high, len(scored), len(values) - len(scored))


def wilson(passes: int, count: int) -> tuple[float, float]:
    """Ends of Wilson's 95 % interval for `passes` out of `count` >= 1.

    Example:
        >>> low, high = wilson(20, 20)
        >>> round(low, 2), high
        (0.84, 1.0)
    """
    share, z2 = passes / count, CONFIDENCE_Z**2
    centre = share + z2 / (2 * count)
    half = CONFIDENCE_Z * math.sqrt(share * (1 - share) / count + z2 / (4 * count**2))
    low, high = (centre - half) / (1 + z2 / count), (centre + half) / (1 + z2 / count)
    # Exact at the ends, where rounding leaves 1e-17 outside of [0, 1].
    return (0.0 if passes == 0 else low), (1.0 if passes == count else high)


def macro(parts: Sequence[Estimate]) -> Estimate:
    """The unweighted mean of several shares, with an interval made of theirs.

    Each part's distance from its own limit is combined as independent errors are, by the root of the sum of squares, so
    that a slice with 44 of 44 right still adds its doubt.

    Returns:
        The mean; without a value if a part has none, because a mean over other slices would be another score.

    Source: G. Y. Zou and A. Donner, "Construction of confidence limits about effect measures", Statistics in Medicine
    27, 2008 (MOVER), with Wilson limits as in R. G. Newcombe's method 10 of 1998.
    """
    values = [part.value for part in parts if part.value is not None]
    num_scored, num_unscored = sum(part.num_scored for part in parts), sum(part.num_unscored for part in parts)
    if not parts or len(values) < len(parts):
        return Estimate(None, None, None, num_scored, num_unscored)
    mean = sum(values) / len(values)
    below = math.hypot(*(value - (part.low or 0.0) for value, part in zip(values, parts, strict=True))) / len(parts)
    above = math.hypot(*((part.high or 0.0) - value for value, part in zip(values, parts, strict=True))) / len(parts)
    return Estimate(mean, mean - below, mean + above, num_scored, num_unscored)


def mean(values: Sequence[float | None], weights: Sequence[float] | None = None, most: float = math.inf) -> Estimate:
    """The mean of graded scores, with a bootstrap interval.

    Args:
        values: Scores, None where there is none.
        weights: Of a ratio of sums; see `lal.evaluation.statistics.paired.difference_in_means`.
        most: The largest score there can be, beyond which the interval is cut off; 0 is the smallest.
    """
    weight = [1.0] * len(values) if weights is None else weights
    scored = [(value, heavy) for value, heavy in zip(values, weight, strict=True) if value is not None]
    if not scored:
        return Estimate(None, None, None, 0, len(values))
    score, heavy = np.array(scored, dtype=np.float64).T
    low, high = mean_interval(score, heavy, 0.95)
    value = math.fsum(score * heavy) / math.fsum(heavy)
    return Estimate(value, max(0.0, low), min(most, high), len(scored), len(values) - len(scored))


def mcnemar(fixed: int, broken: int) -> float:
    """Probability of a split at least this uneven if both models were equally good: the exact two-sided sign test.

    Only the items on which the two differ say anything about the difference.

    Args:
        fixed: Items the new model passes and the old one does not.
        broken: Items the old model passes and the new one does not.

    Source: Q. McNemar, "Note on the sampling error of the difference between correlated proportions", Psychometrika 12,
    1947, in its exact binomial form.

    Example:
        >>> mcnemar(6, 0), mcnemar(5, 0)
        (0.03125, 0.0625)
    """
    differing = fixed + broken
    tail = sum(math.comb(differing, k) for k in range(min(fixed, broken) + 1))
    return float(min(1.0, 2 * tail / 2**differing))
