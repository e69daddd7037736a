"""A share of right answers against a number instead of another model: how far above it, and how sure that is."""

import math
from collections.abc import Callable

from lal.evaluation.statistics.paired import Difference

STEPS = 50
"""Halvings of [0, 1] in the search for an interval's end: to 1e-15."""


def share_above(passes: int, count: int, floor: float, confidence: float = 0.95) -> Difference:
    """How far a share of passes lies above a floor, by the exact binomial test.

    Exact rather than Wilson's: a gate must not refuse a model that is at the floor more often than it says, and near 1,
    where floors are, Wilson's upper end does.

    Args:
        passes: Items that are right.
        count: Items in all, at least 1.
        floor: The number.
        confidence: Of the interval, both sides together.

    Source: C. J. Clopper and E. S. Pearson, "The use of confidence or fiducial limits illustrated in the case of the
    binomial", Biometrika 26, 1934.

    Example:
        >>> found = share_above(54, 57, 0.95)
        >>> round(found.value, 3), round(found.low, 3), round(found.high, 3)
        (-0.003, -0.096, 0.039)
    """
    half = (1 - confidence) / 2
    low = 0.0 if passes == 0 else _search(lambda share: _at_least(passes, count, share) < half)
    high = 1.0 if passes == count else _search(lambda share: 1 - _at_least(passes + 1, count, share) > half)
    below, above = 1 - _at_least(passes + 1, count, floor), _at_least(passes, count, floor)
    p_value = min(1.0, 2 * min(below, above))
    return Difference(passes / count - floor, low - floor, high - floor, p_value, count, confidence)


def _at_least(passes: int, count: int, share: float) -> float:
    """Probability of `passes` or more out of `count` if each passes with probability `share`."""
    if passes <= 0 or share >= 1:
        return 1.0
    if passes > count or share <= 0:
        return 0.0
    log, log_not = math.log(share), math.log1p(-share)
    ways = math.lgamma(count + 1)
    return min(
        1.0,
        math.fsum(
            math.exp(ways - math.lgamma(k + 1) - math.lgamma(count - k + 1) + k * log + (count - k) * log_not)
            for k in range(passes, count + 1)
        ),
    )


def _search(is_below: Callable[[float], bool]) -> float:
    """The place in [0, 1] up to which a condition holds."""
    low, high = 0.0, 1.0
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if is_below(middle) else (low, middle)
    return low
