"""Two models on the same items: the difference, its interval, its p-value, and how many more items would settle it.

Only the pairs that differ say anything. Exact McNemar is the test that flips the sign of each of their differences with
a coin; the same coins test graded scores, ratios and means of slices, so there is one kind of p-value throughout.
docs/decisions/0007 has the measured coverage of the intervals and what else was tried.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from lal.evaluation.statistics.bootstrap import Array, mean_interval
from lal.evaluation.statistics.intervals import mcnemar

Counts = npt.NDArray[np.int64]

STEPS = 60
"""Halvings in the search for an interval's end: past the last digit of a float."""

MOST_EXACT_SPLITS = 200_000
"""Up to so many different outcomes of the coins are all looked at; beyond, some of them are drawn."""

COIN_ROUNDS, DRAWS_A_ROUND = 20, 1000
"""Standard error of a p-value of 0.05 from so many draws: 0.0015."""

COIN_SEED = 31

MOST_EXACT_ITEMS = 1000

MOST_ITEMS = 20_000
"""A gold set that nobody reads by hand."""


@dataclass(frozen=True)
class Difference:
    """New minus old, on the same items.

    Attributes:
        value: The difference.
        low: Lower end of its interval.
        high: Upper end.
        p_value: Chance of a difference at least this large, either way, between two equally good models.
        num_pairs: Items behind it.
        confidence: That of the interval.
        terms: What each pair that differs adds to `value`; None if it is not made of pairs.
    """

    value: float
    low: float
    high: float
    p_value: float
    num_pairs: int
    confidence: float = 0.95
    terms: tuple[float, ...] | None = field(default=None, repr=False, compare=False)


def difference_in_passes(fixed: int, broken: int, num_pairs: int, confidence: float = 0.95) -> Difference:
    """The difference of two shares of passes, with Tango's score interval and the exact McNemar test.

    Args:
        fixed: Items that only the new model passes.
        broken: Items that only the old one passes.
        num_pairs: All items that both answered, at least 1.
        confidence: Of the interval, both sides together.

    Source: T. Tango, "Equivalence test and confidence interval for the difference in proportions for the paired-sample
    design", Statistics in Medicine 17, 1998.

    Example:
        >>> found = difference_in_passes(15, 5, 100)
        >>> round(found.value, 3), round(found.low, 3), round(found.high, 3), round(found.p_value, 3)
        (0.1, 0.013, 0.192, 0.041)
    """
    assert num_pairs >= fixed + broken
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    high = _tango_upper(fixed, broken, num_pairs, z)
    low = -_tango_upper(broken, fixed, num_pairs, z)
    terms = (1 / num_pairs,) * fixed + (-1 / num_pairs,) * broken
    return Difference((fixed - broken) / num_pairs, low, high, mcnemar(fixed, broken), num_pairs, confidence, terms)


def difference_in_means(
    old: Sequence[float],
    new: Sequence[float],
    weights: Sequence[float] | None = None,
    confidence: float = 0.95,
) -> Difference:
    """The difference of two mean scores of the same items, with a bootstrap interval of the paired differences.

    Args:
        old: Scores of the old model.
        new: Those of the new one, in the same order; at least one.
        weights: Of a ratio of sums, what the sum below is made of: bits per byte of a text is the mean of its items'
            bits per byte, weighted by their bytes.
        confidence: Of the interval, both sides together.

    Example:
        >>> found = difference_in_means([0.5] * 40, [0.5, 0.75] * 20)
        >>> round(found.value, 3), found.low > 0, found.p_value < 0.001
        (0.125, True, True)
    """
    assert len(old) == len(new) > 0
    change = np.asarray(new, dtype=np.float64) - np.asarray(old, dtype=np.float64)
    weight = np.ones(len(change)) if weights is None else np.asarray(weights, dtype=np.float64)
    share = weight / weight.sum()
    value = float(share @ change)
    terms = tuple(float(term) for term in share * change if term)
    low, high = mean_interval(change, weight, confidence)
    return Difference(value, low, high, coin_p_value(terms), len(change), confidence, terms)


def macro_difference(parts: Sequence[Difference]) -> Difference:
    """The unweighted mean of the differences of several slices, each made of other items.

    Its interval comes from all pairs that differ, as if there were one more of them: within 0.5 points of its promise
    from 19 of them on. Parts that are not made of pairs are combined by their intervals, and have no p-value (NaN).

    Source: G. Y. Zou and A. Donner, "Construction of confidence limits about effect measures", Statistics in Medicine
    27, 2008 (MOVER), for the second kind.
    """
    confidence, count = parts[0].confidence, len(parts)
    value = sum(part.value for part in parts) / count
    num_pairs = sum(part.num_pairs for part in parts)
    known = [part.terms for part in parts if part.terms is not None]
    terms = tuple(term / count for some in known for term in some)
    below = math.hypot(*(part.value - part.low for part in parts)) / count
    above = math.hypot(*(part.high - part.value for part in parts)) / count
    if len(known) < count:
        return Difference(value, value - below, value + above, math.nan, num_pairs, confidence)
    if terms:
        squares = math.fsum(term * term for term in terms)
        within = squares - sum((part.value / count) ** 2 / part.num_pairs for part in parts)
        z = NormalDist().inv_cdf((1 + confidence) / 2)
        below = above = z * math.sqrt(within + squares / len(terms))
    return Difference(value, value - below, value + above, coin_p_value(terms), num_pairs, confidence, terms)


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted for being several: rejecting those up to 0.05 errs once in twenty families at most.

    Returns:
        The adjusted values, in the same order.

    Source: S. Holm, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian Journal of Statistics 6,
    1979.

    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    adjusted, worst = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        worst = max(worst, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = worst
    return adjusted


def items_to_settle(
    found: Difference, size: float | None = None, level: float = 0.05, power: float = 0.8
) -> int | None:
    """How many more items would show a true difference of some size with the power asked for.

    It takes as given that the new items differ as often as those seen. One slice of passes gets the power of the exact
    McNemar test, computed, to 1 in 500; from `MOST_EXACT_ITEMS` on the normal approximation with a correction for whole
    counts, which is within 2 in 100 there; graded scores and means of slices get the normal approximation, new items
    spread over the slices as the old ones are.

    Args:
        found: The difference on the items there are; made of pairs.
        size: The true difference to be shown; None is the one seen.
        level: Of the test.
        power: Chance of showing it.

    Returns:
        None where nothing tells: no pair differs, the size is 0, or it would take more than `MOST_ITEMS` in all.

    Example:
        >>> items_to_settle(difference_in_passes(10, 3, 100))
        124
    """
    sought = abs(found.value if size is None else size)
    if not found.terms or sought < 1e-12:
        return None
    squares, count = math.fsum(term * term for term in found.terms), found.num_pairs
    flips_alone = all(math.isclose(abs(term), 1 / count) for term in found.terms)
    quantiles = NormalDist().inv_cdf(1 - level / 2), NormalDist().inv_cdf(power)
    under_null = math.sqrt(max(squares * count, sought if flips_alone else 0.0))
    under_difference = math.sqrt(max(squares * count - sought**2, 0.0))
    needed = ((quantiles[0] * under_null + quantiles[1] * under_difference) / sought) ** 2
    if needed > MOST_ITEMS:
        return None
    if not flips_alone or needed > MOST_EXACT_ITEMS:
        whole_counts = 1 / sought if flips_alone else 0.0
        return max(0, math.ceil(needed + whole_counts) - count)
    discordance = max(len(found.terms) / count, sought)
    low, high = int(needed / 2), max(8, math.ceil(1.2 * needed))
    while mcnemar_power(high, sought, discordance, level) < power:
        low, high = high, 2 * high
    while high - low > 1 + high // 500:
        middle = (low + high) // 2
        reached = mcnemar_power(middle, sought, discordance, level) >= power
        low, high = (low, middle) if reached else (middle, high)
    return max(0, high - count)


def mcnemar_power(num_pairs: int, difference: float, discordance: float, level: float = 0.05) -> float:
    """Chance that the exact McNemar test shows a true difference, on the right side.

    Args:
        num_pairs: Items both models answer.
        difference: True difference of the shares of passes, above 0.
        discordance: Share of items on which the two differ, at least the difference.
        level: Of the test, two-sided.

    Example:
        >>> round(mcnemar_power(400, 0.05, 0.10), 2)
        0.87
    """
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, num_pairs + 1)))])

    def binomial(trials: Counts, hits: Counts, chance: float) -> Array:
        hits = np.minimum(hits, trials)
        ways = log_factorial[trials] - log_factorial[hits] - log_factorial[trials - hits]
        rest = (trials - hits) * math.log1p(-chance) if chance < 1 else np.where(trials == hits, 0.0, -np.inf)
        chances: Array = np.exp(ways + hits * math.log(chance) + rest)
        return chances

    middle, spread = num_pairs * discordance, math.sqrt(num_pairs * discordance * (1 - discordance))
    # Beyond 6 standard deviations lies a chance of 2e-9; 20 more for the long tail of small counts.
    ends = max(0, int(middle - 6 * spread) - 1), min(num_pairs, int(middle + 6 * spread) + 20)
    differing: Counts = np.arange(ends[0], ends[1] + 1, dtype=np.int64)
    broken: Counts = np.arange(ends[1] // 2 + 1, dtype=np.int64)
    trials, possible = differing[:, None], broken[None, :] <= differing[:, None]
    rejected = 2 * np.cumsum(np.where(possible, binomial(trials, broken, 0.5), 0.0), axis=1) <= level
    chance = (discordance - difference) / (2 * discordance)
    seen = np.where(possible & rejected, binomial(trials, broken, chance), 0.0) if chance > 0 else rejected[:, :1]
    return float(binomial(np.full_like(differing, num_pairs), differing, discordance) @ seen.sum(axis=1))


def coin_p_value(terms: Sequence[float]) -> float:
    """Chance that differences of these sizes, each up or down by a fair coin, add up to at least as much either way.

    Exact where there are few different outcomes, as with passes and means of slices; else from 20,000 draws.

    Source: R. A. Fisher, "The Design of Experiments", 1935, section 21; draws counted as in B. Phipson and G. K. Smyth,
    "Permutation P-values Should Never Be Zero", 2010.

    Example:
        >>> coin_p_value([0.1] * 6)
        0.03125
    """
    sizes, counts = np.unique(np.round(np.abs(np.asarray(terms, dtype=np.float64)), 14), return_counts=True)
    total = abs(math.fsum(terms))
    # Sums that are equal on paper differ in the last digits: the seen one must count as one of its equals.
    bar = total - 1e-9 * float(sizes @ counts)
    if math.prod(int(count) + 1 for count in counts) > MOST_EXACT_SPLITS:
        generator, twice = np.random.default_rng(COIN_SEED), 2 * np.abs(np.asarray(terms))
        hits = 0
        for _ in range(COIN_ROUNDS):
            coins = generator.integers(2, size=(DRAWS_A_ROUND, len(terms)), dtype=np.int8)
            hits += int(np.count_nonzero(np.abs(coins @ twice - float(sizes @ counts)) >= bar))
        return float(1 + hits) / (1 + COIN_ROUNDS * DRAWS_A_ROUND)
    sums, chances = np.zeros(1), np.ones(1)
    for size, count in zip(sizes, counts.tolist(), strict=True):
        ups = np.array([math.comb(count, k) for k in range(count + 1)], dtype=np.float64) / 2.0**count
        sums = (sums[:, None] + size * (2 * np.arange(count + 1) - count)).ravel()
        chances = (chances[:, None] * ups).ravel()
    return min(1.0, float(chances[np.abs(sums) >= bar].sum()))


def _tango_upper(fixed: int, broken: int, count: int, z: float) -> float:
    """The largest difference that a score test does not reject."""

    def score(difference: float) -> float:
        # The chance of a broken item that fits best, given the difference: Tango's equation (9).
        linear = (2 * count - fixed + broken) * difference - fixed - broken
        root = math.sqrt(linear**2 + 8 * count * broken * difference * (1 - difference))
        chance = (root - linear) / (4 * count)
        variance = count * (2 * chance + difference * (1 - difference))
        return (count * difference - (fixed - broken)) / math.sqrt(variance) if variance > 0 else math.inf

    low, high = (fixed - broken) / count, 1.0
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if score(middle) < z else (low, middle)
    return high
