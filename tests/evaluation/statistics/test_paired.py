import doctest
import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lal.evaluation.statistics import paired
from lal.evaluation.statistics.bootstrap import Array
from lal.evaluation.statistics.paired import (
    Difference,
    coin_p_value,
    difference_in_means,
    difference_in_passes,
    holm,
    items_to_settle,
    macro_difference,
    mcnemar_power,
)

Z = float(stats.norm.ppf(0.975))


def test_the_examples_hold() -> None:
    assert doctest.testmod(paired).failed == 0


@pytest.mark.parametrize(
    ("fixed", "broken", "p_value"), [(6, 0, 0.031), (5, 0, 0.063), (10, 3, 0.092), (15, 5, 0.041), (0, 0, 1.0)]
)
def test_the_exact_test_gives_the_figures_everybody_quotes(fixed: int, broken: int, p_value: float) -> None:
    assert difference_in_passes(fixed, broken, 100).p_value == pytest.approx(p_value, abs=6e-4)


def test_the_interval_is_the_published_one() -> None:
    # M. W. Fagerland, S. Lydersen, P. Laake, "Recommended tests and confidence intervals for paired binomial
    # proportions", Statistics in Medicine 33, 2014, tables II and V: 1, 1, 7, 12; Tango (-0.517, -0.026).
    found = difference_in_passes(fixed=1, broken=7, num_pairs=21)
    assert (found.value, found.low, found.high) == pytest.approx((-6 / 21, -0.517, -0.026), abs=5e-4)
    assert found.p_value == pytest.approx(0.0703, abs=5e-5)


def score_z(fixed: int, broken: int, count: int, difference: float) -> float:
    """Tango's statistic with the nuisance parameter found by search, not by his formula."""

    def likelihood(chance: float) -> float:
        cells = np.array([chance + difference, chance, 1 - 2 * chance - difference])
        counts = np.array([fixed, broken, count - fixed - broken])
        return -float((counts * np.log(np.maximum(cells, 1e-300))).sum())

    from scipy.optimize import minimize_scalar

    bounds = (max(0.0, -difference), (1 - difference) / 2)
    chance = minimize_scalar(likelihood, bounds=bounds, method="bounded", options={"xatol": 1e-12}).x
    return float(
        (fixed - broken - count * difference) / math.sqrt(count * (2 * chance + difference * (1 - difference)))
    )


@pytest.mark.parametrize(("fixed", "broken", "count"), [(7, 1, 21), (12, 30, 160), (3, 3, 300), (40, 10, 100)])
def test_both_ends_are_where_the_score_test_is_just_significant(fixed: int, broken: int, count: int) -> None:
    found = difference_in_passes(fixed, broken, count)
    assert score_z(fixed, broken, count, found.low) == pytest.approx(Z, abs=1e-3)
    assert score_z(fixed, broken, count, found.high) == pytest.approx(-Z, abs=1e-3)


@given(st.integers(0, 60), st.integers(0, 60), st.integers(1, 200))
def test_swapping_the_models_turns_the_difference_round(fixed: int, broken: int, same: int) -> None:
    one, two = difference_in_passes(fixed, broken, 120 + same), difference_in_passes(broken, fixed, 120 + same)
    assert (one.value, one.low, one.high, one.p_value) == (-two.value, -two.high, -two.low, two.p_value)
    assert -1 <= one.low <= one.value <= one.high <= 1


def coverage(count: int, discordance: float, difference: float) -> float:
    """Exact: the chance of each outcome, summed over those whose interval holds the truth."""
    up, down = (discordance + difference) / 2, (discordance - difference) / 2
    most = int(count * max(up, down) + 6 * math.sqrt(count * max(up, down)) + 4)
    outcomes = [(f, b) for f in range(most) for b in range(most) if f + b <= count]
    chances = stats.multinomial.pmf([(f, b, count - f - b) for f, b in outcomes], count, [up, down, 1 - up - down])
    held = 0.0
    for (fixed, broken), chance in zip(outcomes, chances, strict=True):
        if chance > 1e-7:
            found = difference_in_passes(fixed, broken, count)
            held += chance * (found.low <= difference <= found.high)
    return held


@pytest.mark.parametrize(("count", "discordance", "difference"), [(50, 0.2, 0.0), (100, 0.1, 0.05), (100, 0.2, 0.1)])
def test_the_interval_covers_the_truth_within_a_point_of_its_promise(
    count: int, discordance: float, difference: float
) -> None:
    assert coverage(count, discordance, difference) == pytest.approx(0.95, abs=0.01)


def test_with_one_item_in_twenty_that_differs_it_is_careful_not_wrong() -> None:
    assert coverage(20, 0.05, 0.025) > 0.99  # the textbook interval: 0.64


def all_signs(terms: Array) -> float:
    total = abs(terms.sum())
    sums = [abs(float(np.dot(signs, terms))) for signs in itertools.product((-1, 1), repeat=len(terms))]
    return float(np.mean(np.array(sums) >= total - 1e-12))


@pytest.mark.parametrize("seed", range(4))
def test_the_p_value_of_graded_scores_is_that_of_all_signs(seed: int) -> None:
    generator = np.random.default_rng(seed)
    old, new = generator.random(11), generator.random(11)
    assert difference_in_means(list(old), list(new)).p_value == pytest.approx(all_signs(new - old))


@pytest.mark.parametrize("seed", range(3))
def test_with_many_scores_the_p_value_agrees_with_scipys_permutation_test(seed: int) -> None:
    generator = np.random.default_rng(seed)
    old = generator.random(120)
    new = old + generator.normal(0.02, 0.1, 120)
    theirs = stats.permutation_test(
        (new, old), lambda x, y, axis: (x - y).mean(axis), permutation_type="samples", n_resamples=20_000,
        vectorized=True, rng=generator,
    )  # fmt: skip
    assert difference_in_means(list(old), list(new)).p_value == pytest.approx(theirs.pvalue, abs=0.012)


def test_scores_of_zero_and_one_get_the_p_value_of_mcnemar() -> None:
    old, new = [0.0] * 15 + [1.0] * 5 + [1.0] * 30, [1.0] * 15 + [0.0] * 5 + [1.0] * 30
    assert difference_in_means(old, new).p_value == pytest.approx(difference_in_passes(15, 5, 50).p_value)


def test_a_ratio_of_sums_is_all_bits_over_all_bytes() -> None:
    old_bits, new_bits, size = np.array([10.0, 30.0, 8.0]), np.array([8.0, 33.0, 4.0]), np.array([5.0, 20.0, 8.0])
    found = difference_in_means(list(old_bits / size), list(new_bits / size), weights=list(size))
    assert found.value == pytest.approx(new_bits.sum() / size.sum() - old_bits.sum() / size.sum())


def test_swapping_the_sides_turns_graded_scores_round() -> None:
    generator = np.random.default_rng(5)
    old, new = list(generator.random(60)), list(generator.random(60))
    one, two = difference_in_means(old, new), difference_in_means(new, old)
    assert (one.value, one.low, one.high) == pytest.approx((-two.value, -two.high, -two.low))
    assert one.p_value == two.p_value


def test_the_mean_of_slices_weighs_each_the_same_and_is_tested_exactly() -> None:
    parts = [difference_in_passes(6, 1, 60), difference_in_passes(2, 3, 20)]
    found = macro_difference(parts)
    assert found.value == pytest.approx((5 / 60 - 1 / 20) / 2)
    assert found.num_pairs == 80
    expected = all_signs(np.array([1 / 120] * 6 + [-1 / 120] + [1 / 40] * 2 + [-1 / 40] * 3))
    assert found.p_value == pytest.approx(expected)


def test_the_mean_of_slices_covers_the_truth_within_a_point_of_its_promise() -> None:
    generator, rounds, held = np.random.default_rng(6), 2000, 0
    sizes, discordance, true = (63, 76, 101, 57), (0.03, 0.2, 0.2, 0.05), (0.0, 0.05, 0.1, -0.02)
    draws = [
        generator.multinomial(n, [(p + d) / 2, (p - d) / 2, 1 - p], size=rounds)
        for n, p, d in zip(sizes, discordance, true, strict=True)
    ]
    for counts in zip(*draws, strict=True):
        terms = [np.repeat([1, -1], row[:2]) / n for row, n in zip(counts, sizes, strict=True)]
        # Built by hand: the ends of the parts are not looked at, and cost most of the time.
        parts = [Difference(float(t.sum()), -1, 1, 1.0, n, terms=tuple(t)) for t, n in zip(terms, sizes, strict=True)]
        found = without_p_value(parts)
        held += found.low <= sum(true) / 4 <= found.high
    assert held / rounds == pytest.approx(0.951, abs=0.015)  # three standard errors


def without_p_value(parts: list[Difference]) -> Difference:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paired, "coin_p_value", lambda terms: 1.0)
        return macro_difference(parts)


def test_slices_in_which_nothing_differs_leave_the_mean_its_doubt() -> None:
    found = macro_difference([difference_in_passes(0, 0, 50), difference_in_passes(0, 0, 50)])
    assert found.low < 0 < found.high
    assert (found.value, found.p_value) == (0.0, 1.0)


def test_parts_that_are_no_pairs_are_combined_by_their_intervals() -> None:
    found = macro_difference([Difference(0.1, 0.0, 0.2, 0.05, 10), Difference(0.3, 0.1, 0.4, 0.01, 10)])
    assert (found.value, found.low, found.high) == pytest.approx(
        (0.2, 0.2 - math.hypot(0.1, 0.2) / 2, 0.2 + 0.0707), abs=1e-4
    )
    assert math.isnan(found.p_value)


def test_holm_gives_what_statsmodels_gives() -> None:
    # statsmodels 0.15.0, multipletests([...], method="holm").
    assert holm([0.01, 0.04, 0.03, 0.005, 0.2, 0.011]) == pytest.approx([0.05, 0.09, 0.09, 0.03, 0.2, 0.05])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_keeps_the_order_and_lies_between_the_value_and_bonferronis(values: list[float]) -> None:
    adjusted = holm(values)
    assert all(p <= q <= min(1.0, len(values) * p) + 1e-12 for p, q in zip(values, adjusted, strict=True))
    order = np.argsort(values, kind="stable")
    assert list(np.array(adjusted)[order]) == sorted(adjusted)


def power_by_hand(count: int, difference: float, discordance: float, level: float) -> float:
    total = 0.0
    for differing in range(count + 1):
        broken = np.arange(differing // 2 + 1)
        rejected = 2 * stats.binom.cdf(broken, differing, 0.5) <= level
        chances = stats.binom.pmf(broken, differing, (discordance - difference) / (2 * discordance))
        total += stats.binom.pmf(differing, count, discordance) * chances[rejected].sum()
    return total


@pytest.mark.parametrize(
    ("count", "difference", "discordance", "level"),
    [(400, 0.05, 0.1, 0.05), (100, 0.08, 0.1, 0.05), (20, 0.3, 0.3, 0.05), (60, 0.1, 0.9, 0.01)],
)
def test_the_power_is_that_of_the_exact_test(count: int, difference: float, discordance: float, level: float) -> None:
    expected = power_by_hand(count, difference, discordance, level)
    assert mcnemar_power(count, difference, discordance, level) == pytest.approx(expected, abs=1e-6)


def test_five_points_of_four_hundred_items_are_seen_87_times_of_100_and_89_by_the_rule_of_thumb() -> None:
    rule = stats.norm.cdf((math.sqrt(400) * 0.05 - Z * math.sqrt(0.1)) / math.sqrt(0.1 - 0.05**2))
    assert rule == pytest.approx(0.89, abs=0.005)
    assert mcnemar_power(400, 0.05, 0.1) == pytest.approx(0.874, abs=5e-4)


@pytest.mark.parametrize(("fixed", "broken", "count"), [(10, 3, 100), (5, 0, 60), (30, 15, 300)])
def test_the_items_asked_for_are_enough_and_not_many_more(fixed: int, broken: int, count: int) -> None:
    found = difference_in_passes(fixed, broken, count)
    more = items_to_settle(found)
    assert more is not None
    discordance = (fixed + broken) / count
    assert mcnemar_power(count + more, found.value, discordance) >= 0.8
    assert mcnemar_power(int(0.97 * (count + more)), found.value, discordance) < 0.8


def test_a_smaller_difference_takes_more_items_and_a_stricter_level_too() -> None:
    found = difference_in_passes(12, 8, 200)
    small, large = items_to_settle(found, 0.02), items_to_settle(found, 0.05)
    strict = items_to_settle(found, 0.05, level=0.01)
    assert small is not None
    assert large is not None
    assert strict is not None
    assert small > strict > large


def test_graded_scores_take_as_many_items_as_students_t_test_would() -> None:
    generator = np.random.default_rng(7)
    change = generator.normal(0.0, 0.1, 300)
    more = items_to_settle(difference_in_means([0.5] * 300, list(0.5 + change)), size=0.01)
    assert more is not None
    # n = ((1.96 + 0.84) sd / size)^2
    assert 300 + more == pytest.approx((2.8016 * float(np.std(change)) / 0.01) ** 2, rel=0.03)


def test_where_nothing_tells_no_number_is_made_up() -> None:
    assert items_to_settle(difference_in_passes(0, 0, 50)) is None
    assert items_to_settle(difference_in_passes(3, 3, 50)) is None
    assert items_to_settle(difference_in_passes(100, 99, 500)) is None  # 400,000 items
    assert items_to_settle(Difference(0.1, 0.0, 0.2, 0.05, 10)) is None


def test_the_coins_are_no_surer_than_their_number() -> None:
    terms = list(np.random.default_rng(8).random(400) + 0.1)
    assert 0 < coin_p_value(terms) < 1e-4
    assert coin_p_value([]) == 1.0
