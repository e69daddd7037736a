"""SIGKILL at chosen moments of pretraining and of fine-tuning: the next run ends in the same bytes."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

import lal.train.fit
import lal.train.resume
from lal.files import sha256
from lal.stages.pretrain import pretrain
from lal.stages.sft import sft
from lal.text.batches import ConversationBatches, WindowBatches
from tests.tiny_training import Listener, tiny_params, write_inputs

PARAMS = tiny_params(sft={"epochs": 4.0})
"""Both stages take 12 steps; three epochs end on the way, and fine-tuning has rows of different widths."""

MADE = ("model.safetensors", "lal.json", "curve.csv")

Train = Callable[[Path, Listener], None]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the stages read, a base model included."""
    folder = write_inputs(tmp_path_factory.mktemp("inputs"))
    where: dict[str, Any] = {"base": folder / "base", "curve": folder / "curve.csv", "scratch": folder / "scratch"}
    read: dict[str, Any] = {"tokenizer": folder / "tokenizer", "tokens": folder / "tokens"}
    pretrain(params=PARAMS, reporter=Listener(), **read, **where)
    return folder


@pytest.fixture(scope="module", params=["pretrain", "sft"])
def train(request: pytest.FixtureRequest, inputs: Path) -> Train:
    """A stage that writes everything into a folder."""

    def run(out: Path, listener: Listener) -> None:
        where: dict[str, Any] = {"params": PARAMS, "curve": out / "curve.csv", "scratch": out / "scratch"}
        read: dict[str, Any]
        if request.param == "sft":
            read = {"base": inputs / "base", "conversations": inputs / "conversations"}
            sft(instruct=out, reporter=listener, **read, **where)
        else:
            read = {"tokenizer": inputs / "tokenizer", "tokens": inputs / "tokens"}
            pretrain(base=out, reporter=listener, **read, **where)

    return run


@pytest.fixture(scope="module")
def undisturbed(train: Train, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Digests of what it makes when nobody kills it."""
    out = tmp_path_factory.mktemp("undisturbed")
    train(out, Listener())
    return {name: sha256(out / name) for name in MADE}


def kill_self(*_: Any, **__: Any) -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("still alive")


def at_batch(step: int) -> None:
    """The process dies when it asks for the batch of a step, counted from 0."""
    for kind in (WindowBatches, ConversationBatches):
        ask = kind.__call__

        def call(self: Any, number: int, ask: Any = ask) -> Any:
            return kill_self() if number == step else ask(self, number)

        kind.__call__ = call  # type: ignore[method-assign, assignment]


def at_save(number: int) -> None:
    """The process dies in the middle of writing a checkpoint, counted from 1."""
    write, count = lal.train.resume.write_bytes, [0]  # type: ignore[attr-defined]  # what it imports is ours to replace

    def call(path: Path, content: bytes) -> None:
        count[0] += 1
        if count[0] == number:
            path.with_suffix(".part").write_bytes(content[: len(content) // 2])
            kill_self()
        write(path, content)

    lal.train.resume.write_bytes = call  # type: ignore[attr-defined]


def at_end(_: int) -> None:
    """The process dies when all steps are taken and the model is about to be written."""
    lal.train.fit.save_model = kill_self  # type: ignore[attr-defined]


def killed(train: Train, out: Path, arm: Callable[[int], None], at: int) -> bool:
    """Trains in a process of its own that kills itself; whether it did."""
    child = os.fork()
    if child == 0:
        try:
            arm(at)
            train(out, Listener())
        finally:
            os._exit(0)  # Nothing of pytest's may run twice.
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


@pytest.mark.skipif(not hasattr(os, "fork"), reason="starts the process by fork")
@pytest.mark.parametrize(
    "kills",
    [
        [(at_batch, 0)],
        [(at_batch, 2), (at_batch, 2)],
        [(at_batch, 7)],
        [(at_batch, 11)],
        [(at_save, 1)],
        [(at_save, 2), (at_batch, 9)],
        [(at_batch, 5), (at_save, 1), (at_batch, 10), (at_end, 0), (at_end, 0)],
    ],
)
def test_killed_anywhere_it_ends_in_the_same_bytes(
    train: Train, undisturbed: dict[str, str], tmp_path: Path, kills: list[tuple[Callable[[int], None], int]]
) -> None:
    assert [killed(train, tmp_path, arm, at) for arm, at in kills] == [True] * len(kills)
    listener = Listener()
    train(tmp_path, listener)
    assert {name: sha256(tmp_path / name) for name in MADE} == undisturbed
    # Nothing is left of the kills: neither checkpoints nor files cut short.
    assert [path.name for path in (tmp_path / "scratch").iterdir()] == ["lock"]
