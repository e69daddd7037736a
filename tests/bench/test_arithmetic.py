"""What is counted as work is what torch counts, and the shares of a step are shares."""

from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from bench import workload
from bench.arithmetic import measure, peak, shares, step_operations
from bench.workload import Shape, Training

TINY = Shape(width=64, num_layers=2, context_length=16, batch_size=2, vocabulary_size=40)


@pytest.fixture(autouse=True)
def params(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workload, "PARAMS", Path(__file__).parents[2] / "params.yaml")


@pytest.mark.parametrize("shape", [TINY, Shape(width=32, num_layers=1, context_length=8, batch_size=3)])
def test_the_formula_counts_what_torch_counts(shape: Shape, monkeypatch: pytest.MonkeyPatch) -> None:
    # Of the fused attention on processors torch counts nothing.
    monkeypatch.setattr("lal.model.attention.is_written_out", lambda *_: True)
    training = Training(shape)
    with FlopCounterMode(display=False) as counter:
        training.run(1)
    assert step_operations(shape.config, shape.batch_size, "muon") == counter.get_total_flops()


def test_the_optimizer_is_the_difference_to_adamw() -> None:
    assert step_operations(TINY.config, 2, "adamw") < step_operations(TINY.config, 2, "muon")


def test_the_peak_is_a_speed_that_a_product_has_reached() -> None:
    assert 1e8 < peak(torch.float32, torch.device("cpu"), sizes=[64, 128], rounds=2) < 1e14


def test_shares_add_up_to_one_and_each_part_takes_some_time() -> None:
    found = shares(Training(TINY), num_steps=2)
    assert sum(found.values()) == pytest.approx(1)
    assert min(found.values()) > 0.001


def test_a_row_holds_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.workload.compile_blocks", lambda *_: None)  # a compiler takes 20 seconds
    rows, where = measure([TINY], num_steps=3, sizes=[64])
    assert [(row["width"], row["blocks"]) for row in rows] == [(64, "plain"), (64, "compiled")]
    for row in rows:
        milliseconds, work, speed = row["ms a step"], row["GFLOP a step"], row["GFLOP/s"]
        assert isinstance(milliseconds, float)
        assert isinstance(speed, float)
        assert work == round(step_operations(TINY.config, 2, "muon") / 1e9, 1)
        assert speed * milliseconds / 1e3 == pytest.approx(
            step_operations(TINY.config, 2, "muon") / 1e9, rel=0.2, abs=1e-3
        )
    assert len(where) == 2
