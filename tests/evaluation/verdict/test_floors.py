import math

import numpy as np
import pytest
from scipy import stats

from lal.evaluation.verdict.floors import share_above


@pytest.mark.parametrize("confidence", [0.95, 0.99])
@pytest.mark.parametrize(("passes", "count"), [(0, 1), (1, 1), (54, 57), (57, 57), (0, 57), (300, 600), (1990, 2000)])
def test_the_interval_and_the_test_are_those_of_scipy(passes: int, count: int, confidence: float) -> None:
    found = share_above(passes, count, 0.9, confidence)
    expected = stats.binomtest(passes, count).proportion_ci(confidence, method="exact")
    assert found.low + 0.9 == pytest.approx(expected.low, abs=1e-9)
    assert found.high + 0.9 == pytest.approx(expected.high, abs=1e-9)
    tails = stats.binom.cdf(passes, count, 0.9), stats.binom.sf(passes - 1, count, 0.9)
    assert found.p_value == pytest.approx(min(1.0, 2 * min(tails)), abs=1e-9)


def test_a_share_at_the_floor_is_called_below_it_no_more_often_than_promised() -> None:
    count, floor = 57, 0.95
    refused = [passes for passes in range(count + 1) if share_above(passes, count, floor).high < 0]
    assert 0 < stats.binom.cdf(max(refused), count, floor) <= 0.025


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    held = np.array([share_above(passes, 57, 0.0) for passes in range(58)])
    for share in np.linspace(0.6, 0.99, 14):
        chances = stats.binom.pmf(np.arange(58), 57, share)
        covered = sum(chance for chance, each in zip(chances, held, strict=True) if each.low <= share <= each.high)
        assert 0.95 <= covered <= 1
    assert math.isclose(held[57].high, 1.0)
