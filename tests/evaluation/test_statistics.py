import doctest

import numpy as np
import pytest
from scipy import stats

from lal.evaluation import statistics
from lal.evaluation.statistics import Estimate, clustered_mean, macro, mcnemar, proportion, wilson


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
    mean = clustered_mean([0.5, None, 1.0], ["a", "a", "b"])
    assert (mean.value, mean.num_scored, mean.num_unscored) == (0.75, 2, 1)


def test_without_a_single_score_there_is_no_value() -> None:
    assert proportion([None]) == Estimate(None, None, None, 0, 1)
    assert proportion([]) == Estimate(None, None, None, 0, 0)
    assert clustered_mean([None], ["a"]) == Estimate(None, None, None, 0, 1)


def test_wilson_covers_the_truth_about_as_often_as_it_says() -> None:
    chances = stats.binom.pmf(np.arange(21), 20, 0.9)
    holds = [low <= 0.9 <= high for low, high in (wilson(passes, 20) for passes in range(21))]
    assert chances[holds].sum() == pytest.approx(0.957, abs=5e-4)


def test_the_mean_of_slices_weighs_each_slice_the_same() -> None:
    mean = macro([proportion([1.0] * 9 + [0.0]), proportion([0.0, 1.0])])
    assert mean.value == pytest.approx((0.9 + 0.5) / 2)
    assert mean.num_scored == 12
    assert mean.low is not None
    assert mean.high is not None
    assert 0 < mean.low < 0.7 < mean.high < 1


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


def test_the_bootstrap_gives_the_same_interval_each_time() -> None:
    values, clusters = [0.1 * i for i in range(10)], ["a", "b"] * 5
    assert clustered_mean(values, clusters) == clustered_mean(values, clusters)


def test_the_bootstrap_of_unclustered_scores_agrees_with_scipy() -> None:
    values = np.random.default_rng(0).random(80)
    ours = clustered_mean(list(values), [str(i) for i in range(80)])
    theirs = stats.bootstrap((values,), np.mean, method="percentile", rng=np.random.default_rng(1)).confidence_interval
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.01)


def test_scores_that_share_a_source_count_for_less() -> None:
    values = [0.0] * 20 + [1.0] * 20 + [0.5] * 20
    apart = clustered_mean(values, [str(i) for i in range(60)])
    together = clustered_mean(values, ["a"] * 20 + ["b"] * 20 + ["c"] * 20)
    assert (together.high or 0) - (together.low or 0) > 2 * ((apart.high or 0) - (apart.low or 0))


def test_with_three_sources_the_bootstrap_covers_the_truth_nearly_as_often_as_it_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(statistics, "RESAMPLES", 200)
    generator, held, rounds = np.random.default_rng(0), 0, 150
    for _ in range(rounds):
        centres = 0.9 + 0.01 * generator.standard_normal(3)
        values = (centres[:, None] + 0.12 * generator.standard_normal((3, 80))).ravel()
        mean = clustered_mean(list(values), ["a"] * 80 + ["b"] * 80 + ["c"] * 80)
        held += (mean.low or 0.0) <= 0.9 <= (mean.high or 0.0)
    assert held / rounds > 0.9
