"""Alarms as rare as asked for where nothing changed, and raised where it did."""

import numpy as np
import pytest

from lal.monitor.drift import find_shifts
from lal.monitor.signals import Array, grams, known_grams


def draws(seed: int, count: int, mean: float = 0.0) -> dict[str, Array]:
    generator = np.random.default_rng(seed)
    return {"a": generator.exponential(size=count) + mean, "b": generator.normal(size=count)}


def is_alarm(live: dict[str, Array], reference: dict[str, Array], weights: Array, rate: float = 0.05) -> bool:
    return any(shift.is_alarm for shift in find_shifts(reference, live, weights, rate))


def test_where_nothing_changed_alarms_come_as_often_as_was_stated() -> None:
    weights = np.random.default_rng(0).choice([1.0, 10.0], size=80)
    alarms = [is_alarm(draws(2 * i, 80), draws(2 * i + 1, 300), weights) for i in range(120)]
    assert 0 < sum(alarms) < 0.05 * 120 + 3 * (120 * 0.05 * 0.95) ** 0.5


def test_a_change_of_one_signal_is_named() -> None:
    shifts = find_shifts(draws(1, 400), draws(2, 100, mean=1.0), np.ones(100), 0.01)
    assert [shift.signal for shift in shifts if shift.is_alarm] == ["a"]


def test_a_request_that_stands_for_ten_counts_ten_times() -> None:
    live = {"a": np.array([0.0, 1.0]), "b": np.array([0.0, 0.0])}
    (shift, _) = find_shifts(draws(1, 50), live, np.array([1.0, 9.0]), 0.01)
    assert shift.live == pytest.approx(0.9)


def test_a_stricter_rate_has_a_wider_limit() -> None:
    reference, live = draws(1, 200), draws(2, 60)
    strict, lax = (find_shifts(reference, live, np.ones(60), rate)[0].limit for rate in (0.001, 0.2))
    assert strict > lax


def test_pieces_shorter_than_the_order_are_none() -> None:
    assert grams("abc") == []
    assert known_grams(["abcde", "xabcd"]) == {"abcd", "bcde", "xabc"}


def test_one_odd_request_is_no_alarm_though_the_reference_never_varies_and_two_are() -> None:
    reference = {"a": np.zeros(2000), "b": np.random.default_rng(1).normal(size=2000)}
    ordinary = np.random.default_rng(2).normal(size=50)

    def found(num_odd: int) -> bool:
        live = {"a": np.array([1.0] * num_odd + [0.0] * (50 - num_odd)), "b": ordinary}
        return is_alarm(live, reference, np.ones(50), 0.01)

    assert [found(number) for number in (0, 1, 2)] == [False, False, True]


def mixed(num_other: int, seed: int = 5) -> dict[str, Array]:
    """A hundred requests, so many of them of another kind, whose signal `a` is higher by 4."""
    ordinary, other = draws(seed, 100 - num_other), draws(seed + 1, num_other, mean=4.0)
    return {name: np.concatenate([ordinary[name], other[name]]) for name in ordinary}


@pytest.mark.parametrize("num_other", [0, 30, 100])
def test_any_mixture_with_a_kind_that_was_trained_on_since_is_no_drift(num_other: int) -> None:
    reference, learned = draws(1, 400), draws(2, 60, mean=4.0)
    assert is_alarm(mixed(num_other), reference, np.ones(100), 0.01) == (num_other > 0)
    found = find_shifts(reference, mixed(num_other), np.ones(100), 0.01, learned)
    assert not [shift.signal for shift in found if shift.is_alarm]


def test_a_third_kind_is_drift_all_the_same() -> None:
    third = {"a": draws(7, 100)["a"] + 4, "b": draws(8, 100)["b"] + 3}
    found = find_shifts(draws(1, 400), third, np.ones(100), 0.01, draws(2, 60, mean=4.0))
    assert [shift.signal for shift in found if shift.is_alarm] == ["b"]


@pytest.mark.parametrize(("size", "num_foreign"), [(50, 15), (200, 20), (200, 60)])
def test_a_few_requests_of_a_third_kind_further_out_are_not_taken_for_many_learned_ones(
    size: int, num_foreign: int
) -> None:
    def kind(seed: int, count: int, means: tuple[float, ...]) -> dict[str, Array]:
        generator = np.random.default_rng(seed)
        scales = (0.4, 0.05, 0.03)
        return {
            name: generator.normal(mean, scale, count) for name, mean, scale in zip("abc", means, scales, strict=True)
        }

    usual, since, third = (2.2, 0.5, 0.02), (3.2, 0.62, 0.25), (3.8, 0.75, 0.5)
    ordinary, foreign = kind(3, size - num_foreign, usual), kind(4, num_foreign, third)
    live = {name: np.concatenate([ordinary[name], foreign[name]]) for name in "abc"}
    shifts = find_shifts(kind(1, 2000, usual), live, np.ones(size), 0.01, kind(2, 120, since))
    assert any(shift.is_alarm for shift in shifts)
