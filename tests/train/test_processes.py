"""Several processes that train one model: here all that one process can show; tests/pipeline starts real ones."""

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist

from lal.errors import TrainingError
from lal.text.batches import Batch
from lal.train.fit import Fitted, fit
from lal.train.interrupt import StopRequest
from lal.train.loop import sum_of_losses
from lal.train.processes import ALONE, Processes, Sharded, Torchrun, join_processes
from lal.train.resume import open_checkpoints
from tests.tiny_training import Listener, held_out, new_model, new_plan, tokenizer

Weights = dict[str, torch.Tensor]

DEVICE = torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")


@pytest.fixture
def world() -> Iterator[None]:
    """A world of one process, in which every message is real and comes back; with a graphics card, NCCL carries it."""
    store = dist.HashStore()  # type: ignore[attr-defined]  # torch exports it without saying so
    backend = "gloo" if DEVICE.type == "cpu" else "cpu:gloo,cuda:nccl"
    dist.init_process_group(backend, store=store, rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def torchrun() -> Torchrun:
    return Torchrun(DEVICE)


def sharded() -> Sharded:
    return Sharded(DEVICE)


def alone() -> Processes:
    return ALONE


Build = Callable[[], Processes]


def train(folder: Path, build: Build, stop_at: int = 0, **changes: Any) -> tuple[Weights, Fitted, list[str]]:
    """Trains a new model to its end, or until it is stopped while step `stop_at` learns."""
    model, plan, listener, processes = new_model(), new_plan(**changes), Listener(), build()

    def batches(step: int) -> Batch:
        if step == stop_at - 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return plan.batches(step)

    interrupted = replace(plan, batches=batches)
    with open_checkpoints(folder, {"plan": 1}, listener, processes) as checkpoints:
        fitted = fit(model, interrupted, held_out(), tokenizer(), checkpoints, listener, processes=processes)
        whole = processes.whole_model(model)
    return {name: weight.detach() for name, weight in whole.named_parameters()}, fitted, listener.lines


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize("changes", [{}, {"optimizer": "adamw"}, {"weight_decay": 0.1}])
@pytest.mark.parametrize("build", [torchrun, sharded])
def test_the_messages_change_nothing(tmp_path: Path, build: Build, changes: dict[str, Any]) -> None:
    expected, fitted, _ = train(tmp_path, alone, **changes)
    weights, again, _ = train(tmp_path, build, **changes)
    assert again.rows == [pytest.approx(row, rel=1e-6) for row in fitted.rows]
    assert again.metrics()["tokens_seen"] == fitted.metrics()["tokens_seen"]
    for name, weight in expected.items():
        assert torch.allclose(weights[name], weight, atol=1e-5), name


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize(("first", "then"), [(alone, sharded), (sharded, alone), (torchrun, sharded)])
def test_sharded_and_whole_runs_read_each_others_checkpoints(tmp_path: Path, first: Build, then: Build) -> None:
    expected, fitted, _ = train(tmp_path, alone)
    with pytest.raises(SystemExit) as caught:
        train(tmp_path, first, stop_at=6)
    assert caught.value.code == 143
    weights, again, lines = train(tmp_path, then)
    assert lines[0] == "pretrain: continuing after step 6 of 12"
    assert again.rows == [pytest.approx(row, rel=1e-6) for row in fitted.rows]
    for name, weight in expected.items():
        assert torch.allclose(weights[name], weight, atol=1e-5), name


@pytest.mark.usefixtures("world")
def test_a_process_that_goes_is_a_clear_error_and_other_errors_stay_what_they_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    with (
        pytest.raises(TrainingError, match="process 0 of 1: another process has ended") as caught,
        torchrun().together(),
    ):
        raise RuntimeError("[transport/tcp/pair.cc:547] Connection closed by peer [127.0.0.1]:4417")
    assert "goes on from the last checkpoint" in caught.value.remedy
    monkeypatch.undo()
    with pytest.raises(RuntimeError, match="shapes"), torchrun().together():
        raise RuntimeError("shapes do not match")


def member(rank: int, count: int) -> Torchrun:
    """One of many, of whom nobody else is there."""
    process = Torchrun.__new__(Torchrun)
    process.rank, process.count = rank, count
    return process


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_every_row_is_learned_by_exactly_one_process(count: int) -> None:
    rows = np.arange(10).reshape(5, 2)
    shares = [member(rank, count).share(Batch(rows, -rows)) for rank in range(count)]
    assert sorted(np.concatenate([share.inputs for share in shares]).tolist()) == rows.tolist()
    assert all((share.targets == -share.inputs).all() for share in shares)
    sizes = [len(share.inputs) for share in shares]
    assert max(sizes) - min(sizes) <= 1


def test_the_shares_of_a_batch_add_up_to_its_loss_and_gradient_even_where_one_has_no_targets() -> None:
    def learn(*batches: Batch) -> tuple[float, Weights]:
        model = new_model()
        with torch.no_grad():
            model.lm_head.weight.normal_(generator=torch.Generator().manual_seed(0))
        loss = sum((sum_of_losses(model, batch) for batch in batches), torch.zeros(()))
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.item(), {name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None}

    batch = new_plan(batch_size=3).batches(0)
    batch.targets[1] = -1  # All that the second of three processes gets; in fine-tuning, the last batch ends so.
    loss, gradients = learn(batch)
    shared_loss, shared = learn(*(member(rank, 3).share(batch) for rank in range(3)))
    assert shared_loss == pytest.approx(loss, rel=1e-6)
    assert shared.keys() == gradients.keys()
    for name, gradient in gradients.items():
        assert torch.allclose(shared[name], gradient, atol=1e-5), name


def test_fewer_rows_than_processes_are_one_clear_error() -> None:
    member(0, 2).check_rows("pretrain", 2)
    with pytest.raises(TrainingError, match=r"pretrain\.batch_size is 2: not a row for each of 3 processes"):
        member(0, 3).check_rows("pretrain", 2)


def test_one_process_has_nobody_to_share_a_model_with(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with join_processes() as processes:
        assert processes is ALONE
    with pytest.raises(TrainingError, match="--shard: there is one process"), join_processes(shard=True):
        pass


def test_a_process_without_a_card_of_its_own_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("WORLD_SIZE", "3")
    monkeypatch.setenv("LOCAL_RANK", "2")
    with (
        pytest.raises(TrainingError, match="process 2 of this machine has no graphics card: there are 2"),
        join_processes(),
    ):
        pass


def test_the_processes_that_do_not_write_open_no_checkpoints(tmp_path: Path) -> None:
    with open_checkpoints(tmp_path / "scratch", {"plan": 1}, Listener(), member(1, 2)) as checkpoints:
        assert checkpoints.load() is None
    assert not (tmp_path / "scratch").exists()


def test_under_torchrun_a_signal_that_comes_twice_is_one_wish() -> None:
    before = signal.getsignal(signal.SIGINT)
    request = StopRequest(may_insist=False)
    request.receive(signal.SIGINT, None)
    assert request.signal_number == signal.SIGINT
    assert signal.getsignal(signal.SIGINT) is before
