"""The learning rate's climb, plateau and fall."""

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lal.train import schedule
from lal.train.schedule import rate_multiplier


def test_the_example_in_the_docstring_holds() -> None:
    assert doctest.testmod(schedule).failed == 0


def test_the_rate_climbs_stays_and_falls_in_straight_lines() -> None:
    curve = [rate_multiplier(step, 100, warmup_fraction=0.1, decay_fraction=0.5) for step in range(1, 101)]
    assert curve[:10] == pytest.approx([0.1 * step for step in range(1, 11)])
    assert curve[10:50] == [1.0] * 40
    assert curve[50:] == pytest.approx([(50 - step) / 50 for step in range(50)])


@given(
    steps=st.integers(1, 3000),
    position=st.floats(0, 1),
    warmup=st.floats(0, 1),
    decay=st.floats(0, 1),
)
def test_the_multiplier_is_never_zero_and_never_above_one(
    steps: int, position: float, warmup: float, decay: float
) -> None:
    step = 1 + round(position * (steps - 1))
    assert 0 < rate_multiplier(step, steps, warmup, decay * (1 - warmup)) <= 1


def test_without_warmup_and_decay_the_rate_is_constant() -> None:
    assert {rate_multiplier(step, 7, 0.0, 0.0) for step in range(1, 8)} == {1.0}
