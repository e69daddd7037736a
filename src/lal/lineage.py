"""What a stage was made from: dvc.yaml's graph, dvc.lock's digests, git's commit, and the DVC process above it.

Read only; DVC itself is never imported.
"""

import hashlib
import os
import socket
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import psutil
from ruamel.yaml import YAML

from lal.errors import DataError
from lal.files import read_json, sha256

ROOT_VARIABLE = "DVC_ROOT"
"""Set by DVC to the main checkout, also for a stage that runs in a temporary workspace of `dvc exp run`."""

WRITTEN_BY_STAGES = ("dvc.lock", "metrics", "plots")
"""Tracked by git but written by `dvc repro`: a change in them is not an uncommitted edit."""


@dataclass(frozen=True)
class Stage:
    """One stage of dvc.yaml: paths as written there; `outs` includes metrics and plots."""

    name: str
    deps: tuple[str, ...]
    outs: tuple[str, ...]
    params: tuple[str, ...]


@dataclass(frozen=True)
class Git:
    """Where the code stands: commit and the tracked files that differ from it."""

    commit: str
    changed: tuple[str, ...]


@dataclass(frozen=True)
class Execution:
    """Who runs this stage.

    Attributes:
        key: The same for all stages of one `dvc repro`, different for any two of them.
        process: `host:pid:born` of the process that ends when the execution ends.
        by_dvc: False for a stage started by hand; its upstream stages may be stale then.
    """

    key: str
    process: str
    by_dvc: bool


def project_root() -> Path:
    """The main checkout: where the tracking store and the checkpoints live."""
    return Path(os.environ.get(ROOT_VARIABLE) or Path.cwd()).resolve()


def read_stages(path: Path) -> dict[str, Stage]:
    """Reads the graph of a dvc.yaml, in its order; a missing file has no stages."""
    return {name: _stage(name, entry) for name, entry in _read_yaml(path).get("stages", {}).items()}


def upstream(stages: Mapping[str, Stage], name: str) -> list[str]:
    """The stages that `name` depends on, directly or not, in the order of dvc.yaml."""
    found: set[str] = set()
    todo = [name] if name in stages else []
    while todo:
        deps = stages[todo.pop()].deps
        makers = {
            maker.name for maker in stages.values() if any(_touch(dep, out) for dep in deps for out in maker.outs)
        }
        todo.extend(makers - found)
        found |= makers
    return [stage for stage in stages if stage in found]


def locked_digests(path: Path, names: list[str]) -> dict[str, str]:
    """Path -> DVC's md5 of everything the named stages read and wrote, from dvc.lock.

    Ask only for stages that are up to date, such as those upstream of the running one: the lock still holds the old
    digests of the others.
    """
    locked = _read_yaml(path).get("stages", {})
    entries = [entry for name in names for kind in ("deps", "outs") for entry in locked.get(name, {}).get(kind, [])]
    return {entry["path"]: entry["md5"] for entry in entries if "md5" in entry}


def fingerprint(stage: Stage, params: Mapping[str, Any]) -> str:
    """SHA-256 over all that decides the outcome of a stage: its params, and the bytes of its code and data.

    Args:
        stage: The stage; its paths are taken from the current folder.
        params: Flat params; those at or under the keys that the stage names count.
    """
    sections = tuple(f"{name}." for name in stage.params)
    chosen = sorted((key, value) for key, value in params.items() if f"{key}.".startswith(sections))
    digest = hashlib.sha256(repr((stage.name, chosen)).encode())
    for dep in sorted(stage.deps):
        path = Path(dep)
        files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
        for file in files:
            if file.is_file() and "__pycache__" not in file.parts:
                digest.update(f"\n{file.as_posix()} {sha256(file)}".encode())
    return digest.hexdigest()


def recorded_run(path: Path) -> str | None:
    """The MLflow run that a runs/<stage>.json names; None if it was not tracked, or the file is missing or damaged."""
    try:
        content = read_json(path)
    except DataError:
        return None
    run = content.get("run_id") if isinstance(content, dict) else None
    return run if isinstance(run, str) else None


def git_state(folder: Path) -> Git | None:
    """The commit of a checkout and its uncommitted edits; None outside of git."""
    exclude = [f":(exclude,top){name}" for name in WRITTEN_BY_STAGES]
    commit = _git(folder, "rev-parse", "HEAD")
    status = _git(folder, "status", "--porcelain", "--untracked-files=no", "--", ":/", *exclude)
    if commit is None or status is None:
        return None
    return Git(commit.strip(), tuple(line[3:] for line in status.splitlines()))


def file_history(folder: Path, path: str) -> Iterator[tuple[str, str]]:
    """Yields (commit, content) of each committed state of a file, newest first; nothing outside of git."""
    for commit in (_git(folder, "log", "--format=%H", "--", path) or "").split():
        content = file_at(folder, commit, path)
        if content is not None:
            yield commit, content


def file_at(folder: Path, commit: str, path: str) -> str | None:
    """A file as it stood in a commit; None if it was not there, or git does not have that commit."""
    return _git(folder, "show", f"{commit}:./{path}")


def current_execution() -> Execution:
    """Finds the `dvc` process above this one; by hand: what LAL_EXECUTION says, or this process alone.

    `dvc repro`, `dvc exp run`, `--temp` and the workers of `--queue` each have a `dvc` process of their own above the
    stage, so no wrapper and no environment variable is needed. Several queued experiments may share a worker; the
    experiment's name keeps them apart.
    """
    for ancestor in psutil.Process().parents():
        if _is_dvc(ancestor):
            process = process_identity(ancestor)
            return Execution("/".join(filter(None, [process, os.environ.get("DVC_EXP_NAME")])), process, by_dvc=True)
    return Execution(os.environ.get("LAL_EXECUTION") or own_identity(), own_identity(), by_dvc=False)


def own_identity() -> str:
    """The identity of this process."""
    return process_identity(psutil.Process())


def process_identity(process: psutil.Process) -> str:
    """`host:pid:born`, which no later process with the same pid shares."""
    return f"{socket.gethostname()}:{process.pid}:{_born(process)}"


def is_dead(identity: str) -> bool:
    """True if a process of this host has ended; False if it lives or ran elsewhere."""
    host, _, rest = identity.rpartition(":")[0].rpartition(":")
    if host != socket.gethostname() or not rest.isdigit():
        return False
    try:
        process = psutil.Process(int(rest))
        return process_identity(process) != identity or process.status() == psutil.STATUS_ZOMBIE
    except psutil.Error:
        return True


def _stage(name: str, entry: Mapping[str, Any]) -> Stage:
    outs = [*entry.get("outs", []), *entry.get("metrics", []), *entry.get("plots", [])]
    return Stage(name, _names(entry.get("deps", [])), _names(outs), _names(entry.get("params", [])))


def _names(entries: list[Any]) -> tuple[str, ...]:
    """The paths of entries that may carry settings: `a.json` or `a.json: {cache: false}`."""
    return tuple(str(next(iter(entry)) if isinstance(entry, dict) else entry) for entry in entries)


def _touch(dep: str, out: str) -> bool:
    return PurePath(dep).is_relative_to(out) or PurePath(out).is_relative_to(dep)


def _read_yaml(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    return dict(YAML(typ="safe").load(path.read_text(encoding="utf-8")) or {})


def _git(folder: Path, *arguments: str) -> str | None:
    command = ["git", "--no-optional-locks", *arguments]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=10, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout


def _is_dvc(process: psutil.Process) -> bool:
    """True for `dvc ...`, `python .../bin/dvc ...` and `python -m dvc ...`."""
    try:
        return any(Path(word).name in ("dvc", "dvc.exe") for word in process.cmdline()[:3])
    except psutil.Error:
        return False


def _born(process: psutil.Process) -> int:
    """When a process started: in clock ticks since boot on Linux, else in milliseconds.

    Not psutil's create_time where there is another way: it moves when the computer's clock is set.
    """
    try:
        return int(Path(f"/proc/{process.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19])
    except OSError:
        return int(process.create_time() * 1000)
