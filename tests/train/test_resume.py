"""Checkpoints on disk: whole or absent, one writer, nothing left over."""

import contextlib
import multiprocessing
import os
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import pytest
import torch

from lal.errors import DataError, TrainingError
from lal.train.resume import Checkpoint, differences, identity, open_checkpoints
from tests.tiny_training import Listener

IDENTITY: dict[str, Any] = {"stage": "pretrain", "pretrain.learning_rate": 0.02, "file train.bin": "aa"}


def checkpoint(step: int) -> Checkpoint:
    return Checkpoint(
        step, {"weights/a": torch.full((3, 2), float(step)), "count": torch.tensor(step)}, {"rows": [0.1]}
    )


class StoppedError(Exception):
    """Stands for a run that ends before it is done."""


def leave_unfinished(scratch: Path, *steps: int, identity: dict[str, Any] = IDENTITY) -> Path:
    """A run that saves after these steps and is then stopped; returns its folder."""
    with contextlib.suppress(StoppedError), open_checkpoints(scratch, identity, Listener()) as checkpoints:
        for step in steps:
            checkpoints.save(checkpoint(step))
        raise StoppedError
    return next(path for path in scratch.iterdir() if path.is_dir())


def load(scratch: Path, listener: Listener, identity: dict[str, Any] = IDENTITY) -> Checkpoint | None:
    with contextlib.suppress(StoppedError), open_checkpoints(scratch, identity, listener) as checkpoints:
        found = checkpoints.load()
        raise StoppedError
    return found


def test_the_newest_checkpoint_comes_back_bit_for_bit(tmp_path: Path) -> None:
    leave_unfinished(tmp_path, 4, 8, 12)
    found = load(tmp_path, Listener())
    assert found is not None
    assert found.step == 12
    assert found.numbers == {"rows": [0.1]}
    assert found.tensors.keys() == checkpoint(12).tensors.keys()
    for name, tensor in checkpoint(12).tensors.items():
        assert torch.equal(found.tensors[name], tensor)


def test_only_two_checkpoints_are_kept(tmp_path: Path) -> None:
    folder = leave_unfinished(tmp_path, 4, 8, 12, 16, 20)
    assert sorted(path.name for path in folder.iterdir()) == ["0.checkpoint", "1.checkpoint", "lock", "run.json"]


def test_a_resumed_run_overwrites_the_older_checkpoint(tmp_path: Path) -> None:
    folder = leave_unfinished(tmp_path, 4, 8)
    with contextlib.suppress(StoppedError), open_checkpoints(tmp_path, IDENTITY, Listener()) as checkpoints:
        assert checkpoints.load() is not None
        checkpoints.save(checkpoint(12))
        raise StoppedError
    assert {p.name for p in folder.glob("*.checkpoint")} == {"0.checkpoint", "1.checkpoint"}
    newest = load(tmp_path, Listener())
    assert newest is not None
    assert newest.step == 12


@pytest.mark.parametrize("place", [0, 31, 32, 40, -1])
def test_a_damaged_checkpoint_is_named_and_the_one_before_it_used(tmp_path: Path, place: int) -> None:
    folder = leave_unfinished(tmp_path, 4, 8)
    newest = folder / "1.checkpoint"
    content = bytearray(newest.read_bytes())
    content[place] ^= 1
    newest.write_bytes(content)
    listener = Listener()
    found = load(tmp_path, listener)
    assert found is not None
    assert found.step == 4
    assert any("1.checkpoint: damaged" in line for line in listener.lines)


def test_a_truncated_checkpoint_falls_back_too_and_two_of_them_mean_a_fresh_start(tmp_path: Path) -> None:
    folder = leave_unfinished(tmp_path, 4, 8)
    for name, expected in (("1.checkpoint", 4), ("0.checkpoint", None)):
        (folder / name).write_bytes((folder / name).read_bytes()[:20])
        found = load(tmp_path, Listener())
        assert (found.step if found else None) == expected


def test_a_finished_run_leaves_nothing_but_the_lock(tmp_path: Path) -> None:
    with open_checkpoints(tmp_path, IDENTITY, Listener()) as checkpoints:
        checkpoints.save(checkpoint(4))
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]


def test_a_changed_parameter_starts_fresh_and_says_why(tmp_path: Path) -> None:
    leave_unfinished(tmp_path, 4)
    listener = Listener()
    changed = IDENTITY | {"pretrain.learning_rate": 0.01}
    assert load(tmp_path, listener, changed) is None
    assert listener.lines == ["pretrain.learning_rate changed from 0.02 to 0.01: starting fresh"]


def with_seed(seed: int) -> dict[str, Any]:
    return IDENTITY | {"seed": seed}


def test_the_newest_three_other_runs_can_still_go_on(tmp_path: Path) -> None:
    # One second apart: some file systems count no finer.
    for seed in range(5):
        known = {path.name for path in tmp_path.glob("*/")}
        leave_unfinished(tmp_path, seed + 1, identity=with_seed(seed))
        (new,) = (path for path in tmp_path.glob("*/") if path.name not in known)
        os.utime(new, (seed, seed))
    listener = Listener()
    assert load(tmp_path, listener, with_seed(9)) is None
    assert listener.lines == ["seed changed from 4 to 9: starting fresh"]
    found = [load(tmp_path, Listener(), with_seed(seed)) for seed in (2, 3, 4)]
    assert [checkpoint and checkpoint.step for checkpoint in found] == [3, 4, 5]
    assert len(list(tmp_path.glob("*/"))) == 4


def test_a_run_that_is_training_is_not_removed_however_old(tmp_path: Path) -> None:
    with open_checkpoints(tmp_path, with_seed(0), Listener()):
        (training,) = tmp_path.glob("*/")
        os.utime(training, (0, 0))
        for seed in range(1, 6):
            load(tmp_path, Listener(), with_seed(seed))
        assert training.exists()


def test_differences_name_files_without_their_digests() -> None:
    now = {"stage": "pretrain", "pretrain.learning_rate": 0.02, "file train.bin": "bb", "new": 1}
    assert differences(IDENTITY, now) == ["file train.bin changed", "new changed from None to 1"]


def test_the_identity_covers_params_inputs_and_code(tmp_path: Path) -> None:
    recipe = tmp_path / "pretrain.py"
    recipe.write_text("one")
    origin = {"stage": "s", "params": {"seed": 1, "model": {"size": {"width": 8}}}, "inputs": {"a": "00"}}
    values = identity(origin, "cpu, float32", recipe)
    assert values["seed"] == 1
    assert values["model.size.width"] == 8
    assert values["file a"] == "00"
    assert len(values["code of lal.train"]) == 64
    recipe.write_text("another")
    now = identity(origin, "cpu, float32", recipe)
    assert differences(values, now) == ["code of lal.stages.pretrain changed"]


def _hold(scratch: Path, holding: Event, done: Event) -> None:
    with open_checkpoints(scratch, IDENTITY, Listener()):
        holding.set()
        done.wait(60)


@pytest.mark.slow
def test_a_second_writer_is_refused_and_told_who_the_first_is(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    holding, done = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(tmp_path, holding, done))
    other.start()
    try:
        assert holding.wait(60)
        with (
            pytest.raises(TrainingError, match=f"process {other.pid} is training"),
            open_checkpoints(tmp_path, IDENTITY, Listener()),
        ):
            pass
        # Another run may go on beside it, and leaves its folder alone.
        with open_checkpoints(tmp_path, IDENTITY | {"seed": 2}, Listener()):
            assert len([path for path in tmp_path.iterdir() if path.is_dir()]) == 2
    finally:
        done.set()
        other.join(60)
    assert other.exitcode == 0


def test_the_same_process_cannot_train_one_run_twice_at_once(tmp_path: Path) -> None:
    with (
        open_checkpoints(tmp_path, IDENTITY, Listener()),
        pytest.raises(TrainingError, match=f"process {os.getpid()} is training"),
        open_checkpoints(tmp_path, IDENTITY, Listener()),
    ):
        pass


def test_a_save_that_fails_leaves_the_checkpoint_before_it(tmp_path: Path) -> None:
    folder = leave_unfinished(tmp_path, 4)
    (folder / "1.checkpoint").mkdir()  # What cannot be replaced by a file.
    with pytest.raises(DataError, match="cannot be written"):
        leave_unfinished(tmp_path, 4, 8)
    assert not list(folder.glob("*.part"))
    found = load(tmp_path, Listener())
    assert found is not None
    assert found.step == 4


def _save_on_a_full_disk(scratch: Path) -> None:
    import resource
    import signal

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with open_checkpoints(scratch, IDENTITY, Listener()) as checkpoints:
        checkpoints.save(checkpoint(4))
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
        try:
            checkpoints.save(checkpoint(8))
        except DataError:
            os._exit(17)


@pytest.mark.slow
def test_a_full_disk_is_an_error_and_leaves_the_checkpoint_before_it(tmp_path: Path) -> None:
    process = multiprocessing.get_context("spawn").Process(target=_save_on_a_full_disk, args=(tmp_path,))
    process.start()
    process.join(60)
    assert process.exitcode == 17
    found = load(tmp_path, Listener())
    assert found is not None
    assert found.step == 4
    assert not list(tmp_path.rglob("*.part"))
