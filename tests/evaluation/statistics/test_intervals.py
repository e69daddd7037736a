import doctest

import numpy as np
import pytest
from scipy import stats

from lal.evaluation.statistics import bootstrap
from lal.evaluation.statistics import intervals as statistics
from lal.evaluation.statistics.intervals import Estimate, macro, mcnemar, mean, proportion, wilson


def test_the_examples_hold() -> None:
    assert doctest.testmod(statistics).failed == 0


@pytest.mark.parametrize(("passes", "count"), [(0, 1), (1, 1), (0, 20), (20, 20), (13, 65), (299, 300)])
def test_wilson_agrees_with_scipy(passes: int, count: int) -> None:
    expected = stats.binomtest(passes, count).proportion_ci(0.95, "wilson")
    assert wilson(passes, count) == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize(("fixed", "broken"), [(0, 0), (6, 0), (0, 6), (5, 0), (10, 3), (15, 5), (40, 40), (300, 200)])
def test_mcnemar_agrees_with_the_exact_binomial_test(fixed: int, broken: int) -> None:
    expected = stats.binomtest(fixed, fixed + broken).pvalue if fixed + broken else 1.0
    assert mcnemar(fixed, broken) == pytest.approx(expected, rel=1e-9)


def test_what_was_not_scored_is_counted_apart_and_not_as_zero() -> None:
    share = proportion([1.0, None, 1.0, 0.0])
    assert (share.value, share.num_scored, share.num_unscored) == (2 / 3, 3, 1)
    graded = mean([0.5, None, 1.0])
    assert (graded.value, graded.num_scored, graded.num_unscored) == (0.75, 2, 1)


def test_without_a_single_score_there_is_no_value() -> None:
    assert proportion([None]) == Estimate(None, None, None, 0, 1)
    assert proportion([]) == Estimate(None, None, None, 0, 0)
    assert mean([None]) == Estimate(None, None, None, 0, 1)


def test_wilson_covers_the_truth_about_as_often_as_it_says() -> None:
    chances = stats.binom.pmf(np.arange(21), 20, 0.9)
    holds = [low <= 0.9 <= high for low, high in (wilson(passes, 20) for passes in range(21))]
    assert chances[holds].sum() == pytest.approx(0.957, abs=5e-4)


def test_the_mean_of_slices_weighs_each_slice_the_same() -> None:
    both = macro([proportion([1.0] * 9 + [0.0]), proportion([0.0, 1.0])])
    assert both.value == pytest.approx((0.9 + 0.5) / 2)
    assert both.num_scored == 12
    assert both.low is not None
    assert both.high is not None
    assert 0 < both.low < 0.7 < both.high < 1


def test_a_slice_that_is_all_right_still_adds_its_doubt() -> None:
    one = macro([proportion([1.0] * 10), proportion([1.0] * 10)])
    assert one.high == 1.0
    assert one.low is not None
    assert 0.7 < one.low < 0.9


def test_a_mean_with_a_slice_missing_is_no_mean() -> None:
    assert macro([proportion([1.0]), proportion([])]).value is None
    assert macro([]).value is None


def test_the_interval_of_a_mean_of_slices_covers_the_truth_about_as_often_as_it_says() -> None:
    generator, truths, sizes = np.random.default_rng(0), (0.9, 0.45, 0.55, 0.98), (60, 65, 71, 44)
    held, rounds = 0, 2000
    for _ in range(rounds):
        drawn = [int(generator.binomial(n, p)) for n, p in zip(sizes, truths, strict=True)]
        share = macro([proportion([1.0] * k + [0.0] * (n - k)) for k, n in zip(drawn, sizes, strict=True)])
        held += (share.low or 0.0) <= sum(truths) / 4 <= (share.high or 0.0)
    assert 0.935 < held / rounds < 0.97


def test_graded_scores_get_the_interval_of_their_bootstrap_within_their_scale() -> None:
    found = mean([*[1.0] * 12, 0.5, 0.9, 0.75], most=1.0)
    assert found.value == pytest.approx(0.943, abs=5e-4)
    assert found.low is not None
    assert 0.6 < found.low < 0.9
    assert found.high == 1.0
    assert (mean([0.0] * 9).low, mean([1.0] * 9, most=1.0).high) == (0.0, 1.0)


def test_a_ratio_of_sums_weighs_its_items() -> None:
    found = mean([2.0, None, 1.0], weights=[10.0, 99.0, 30.0])
    assert found.value == pytest.approx((2.0 * 10 + 1.0 * 30) / 40)


def test_skewed_scores_are_covered_about_as_often_as_promised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "RESAMPLES", 199)
    generator, rounds = np.random.default_rng(0), 500
    # What word accuracy looks like: half of the lines perfect, the others with a tail.
    values = np.array([1.0] * 6 + [0.9, 0.86, 0.8, 0.75, 0.6])
    held = 0
    for _ in range(rounds):
        found = mean(list(generator.choice(values, 80)), most=1.0)
        held += (found.low or 0.0) <= values.mean() <= (found.high or 0.0)
    assert held / rounds == pytest.approx(0.95, abs=0.03)
