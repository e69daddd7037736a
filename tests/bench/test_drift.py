"""The bench of the monitor: what is foreign is seen, what is not is not."""

import numpy as np

from bench.drift import pools_of, seen_share
from lal.monitor.signals import Array


def pool(mean: float, seed: int) -> dict[str, Array]:
    return {"a": np.random.default_rng(seed).normal(mean, size=500)}


def test_windows_without_foreign_requests_raise_hardly_an_alarm_and_foreign_ones_nearly_all() -> None:
    ordinary = pool(0.0, 2)
    assert seen_share(pool(0.0, 1), ordinary, pool(3.0, 3), 50, 0.0, 0.01) < 0.1
    assert seen_share(pool(0.0, 1), ordinary, pool(3.0, 3), 50, 1.0, 0.01) == 1.0
    some = seen_share(pool(0.0, 1), ordinary, pool(3.0, 3), 50, 0.1, 0.01)
    assert 0.0 < some < 1.0


def test_each_kind_of_traffic_has_prompts_and_the_task_is_asked_as_ever() -> None:
    found = pools_of(["Modernise: giue"], ["Modernise: loue"], ["give"])
    assert found["the same lines, upper case"] == ["Modernise: GIUE"]
    assert found["the same lines, modern spelling"] == ["Modernise: give"]
    assert all(prompts for prompts in found.values())
