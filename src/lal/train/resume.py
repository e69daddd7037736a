"""Checkpoints: a run that was stopped at any moment goes on and ends in the same bytes.

    scratch/
      lock                        held for a moment while folders are made and removed
      <fingerprint>/              one a run: everything that decides its outcome, hashed
        lock                      held by the process that trains
        run.json                  that process and what the fingerprint was made of
        0.checkpoint, 1.checkpoint   written in turn; the newer one that is whole counts

A checkpoint is one file: 32 bytes of SHA-256, then safetensors whose metadata carries the numbers as JSON. It is read
without running code, and a flipped bit, which safetensors alone loads silently, is found.

The same bytes are promised on a CPU, with the same number of threads and of processes. A GPU adds up in an order that
varies: there a run goes on from exactly where it stood, and ends near the other, not in its bytes.
"""

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock
import safetensors.torch
import torch
from torch import Tensor

import lal
from lal.errors import DataError, TrainingError
from lal.files import read_json, sha256, write_bytes, write_json
from lal.reporting import Reporter
from lal.train.processes import ALONE, Processes

FORMAT = 1
"""Part of every fingerprint: a checkpoint of another layout is never read."""

_DIGEST_BYTES = 32
_CODE = ("model", "text", "train")
_MAX_OTHERS = 3


@dataclass(frozen=True)
class Checkpoint:
    """A moment of a run.

    Args:
        step: Steps taken.
        tensors: Weights, best weights, optimizer and random state, by name.
        numbers: The rest, as JSON can say it.
    """

    step: int
    tensors: dict[str, Tensor]
    numbers: dict[str, Any]


def identity(origin: Mapping[str, Any], machine: str, recipe: Path) -> dict[str, Any]:
    """Everything that decides a run's outcome, flat: on a CPU, two runs that share it end in the same bytes.

    Args:
        origin: What the model is made from: `stage`, `params` (the sections it reads, as JSON) and `inputs` (the
            SHA-256 of each file it learns from, by name).
        machine: How it computes, e.g. `cpu, bfloat16`.
        recipe: The source of the stage, which puts the batches together.
    """
    values = {"stage": origin["stage"], "machine": machine, "torch": torch.__version__, "format": FORMAT}
    for section, content in origin["params"].items():
        values |= _flatten(section, content)
    values |= {f"file {name}": digest for name, digest in origin["inputs"].items()}
    values |= {f"code of lal.{package}": _code_digest(package) for package in _CODE}
    values[f"code of lal.stages.{recipe.stem}"] = sha256(recipe)
    return values


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What has changed from one identity to another, each as a phrase for the user."""
    keys = [*before, *(key for key in now if key not in before)]
    return [_difference(key, before.get(key), now.get(key)) for key in keys if before.get(key) != now.get(key)]


class Checkpoints:
    """The checkpoints of one run; made by `open_checkpoints`, which holds the lock."""

    def __init__(self, folder: Path, reporter: Reporter) -> None:
        self._folder = folder
        self._reporter = reporter
        self._newest: Path | None = None
        self._is_trusted = False

    @property
    def is_begun(self) -> bool:
        """Whether the run has saved something."""
        return any(path.exists() for path in self._slots())

    def load(self) -> Checkpoint | None:
        """The newest whole checkpoint, or None; a damaged one is named, and the one before it taken."""
        found: list[tuple[int, Path, Checkpoint]] = []
        for path in self._slots():
            if path.exists():
                try:
                    checkpoint = _read(path)
                except DataError as error:
                    self._reporter.say(f"{error.problem}: using the one before it, if there is one")
                else:
                    found.append((checkpoint.step, path, checkpoint))
        if not found:
            return None
        _, self._newest, newest = max(found, key=lambda entry: entry[0])
        return newest

    def save(self, checkpoint: Checkpoint) -> None:
        """Writes a checkpoint over the older one; the newer one stands until the write is complete.

        Raises:
            DataError: The disk is full or cannot be written; the checkpoint before it still stands.
            TrainingError: What was written cannot be read back.
        """
        path = next(slot for slot in self._slots() if slot != self._newest)
        write_bytes(path, _pack(checkpoint))
        if not self._is_trusted:  # Once a run: a disk that does not keep what it is given is found at the start.
            try:
                _read(path)
            except DataError as error:
                raise TrainingError(error.problem, "check the disk that holds it") from error
            self._is_trusted = True
        self._newest = path

    def _slots(self) -> tuple[Path, Path]:
        return self._folder / "0.checkpoint", self._folder / "1.checkpoint"


class NoCheckpoints(Checkpoints):
    """What a process has that does not write: the first of several reads and writes for all of them."""

    def __init__(self) -> None: ...

    def load(self) -> None:
        """Finds nothing."""

    def save(self, checkpoint: Checkpoint) -> None:
        """Keeps nothing."""


@contextlib.contextmanager
def open_checkpoints(
    scratch: Path, identity: Mapping[str, Any], reporter: Reporter, processes: Processes = ALONE
) -> Iterator[Checkpoints]:
    """Lends the checkpoints of one run, and removes them once the block has ended well.

    Says what differs from the run before when there is nothing to continue from. The newest three other runs keep
    theirs, so that a setting that was tried in between costs nothing; older ones go, unless a process trains them.
    This process never shares a folder with another one; of several that train one model, the first holds the lock.

    Raises:
        TrainingError: Another process is training this very run.
    """
    if not processes.is_first:
        yield NoCheckpoints()
        return
    folder = scratch / hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
    scratch.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(scratch / "lock"):
        is_new = not folder.exists()
        lock = _lock(folder)
        others = _others(folder)
        _remove(others[_MAX_OTHERS:])
        before = _read_run(others[0]).get("identity") if others else None
        if is_new and before:
            reporter.say(f"{'; '.join(differences(before, identity))}: starting fresh")
        write_json(folder / "run.json", {"pid": os.getpid(), "identity": dict(identity)})
    try:
        yield Checkpoints(folder, reporter)
    except BaseException:
        lock.release()
        raise
    with filelock.FileLock(scratch / "lock"):
        lock.release()
        shutil.rmtree(folder)


def _lock(folder: Path) -> filelock.BaseFileLock:
    folder.mkdir(exist_ok=True)
    lock = filelock.FileLock(folder / "lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout as error:
        pid = _read_run(folder).get("pid", "unknown")
        raise TrainingError(
            f"{folder}: process {pid} is training with the same parameters and data",
            f"wait for it, or stop it with `kill {pid}`: this run then continues from its checkpoint",
        ) from error
    return lock


def _others(folder: Path) -> list[Path]:
    """The folders of other runs, the one that was written to last first."""
    others = [path for path in folder.parent.iterdir() if path.is_dir() and path != folder]
    return sorted(others, key=lambda path: path.stat().st_mtime_ns, reverse=True)


def _remove(folders: Sequence[Path]) -> None:
    """Removes the folders of runs that nobody trains."""
    for folder in folders:
        with contextlib.suppress(TrainingError):
            _lock(folder).release()
            shutil.rmtree(folder)


def _read_run(folder: Path) -> dict[str, Any]:
    """What run.json says; nothing where a kill came before it was written."""
    try:
        content = read_json(folder / "run.json")
    except DataError:
        return {}
    return content if isinstance(content, dict) else {}


def _pack(checkpoint: Checkpoint) -> bytes:
    numbers = json.dumps({"step": checkpoint.step, **checkpoint.numbers})
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in checkpoint.tensors.items()}
    payload = safetensors.torch.save(tensors, metadata={"numbers": numbers})
    return hashlib.sha256(payload).digest() + payload


def _read(path: Path) -> Checkpoint:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    digest, payload = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
    if hashlib.sha256(payload).digest() != digest:
        raise DataError(f"{path}: damaged checkpoint (its SHA-256 differs)")
    header_bytes = int.from_bytes(payload[:8], "little")
    numbers = json.loads(json.loads(payload[8 : 8 + header_bytes])["__metadata__"]["numbers"])
    return Checkpoint(step=numbers.pop("step"), tensors=safetensors.torch.load(payload), numbers=numbers)


def _code_digest(package: str) -> str:
    """One digest over the sources of a package: continuing with other code would give neither run's result."""
    folder = Path(lal.__file__).parent / package
    sources = {path.name: sha256(path) for path in sorted(folder.glob("*.py"))}
    return hashlib.sha256(json.dumps(sources).encode()).hexdigest()


def _flatten(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        return {name: value}
    return {key: leaf for inner, content in value.items() for key, leaf in _flatten(f"{name}.{inner}", content).items()}


def _difference(key: str, before: Any, now: Any) -> str:
    is_digest = key.startswith(("file ", "code of "))
    return f"{key} changed" if is_digest else f"{key} changed from {before} to {now}"
