"""SIGKILL at random moments of a whole `dvc repro`, resumed each time: does it end in the same bytes?

    python -m bench.kill --kills 100

A copy of this checkout with small params runs `dvc repro` once undisturbed; a second copy is killed again and again, at
moments drawn evenly over the time that the first one took, until it comes through; then all that it has made is
compared, byte by byte, and it begins anew. Every second kill hits the whole process group, as a power cut does, the
others `dvc` alone: then the stage must end by itself, or it would write behind the next `dvc repro`.

A kill may hit DVC while it writes dvc.lock, which then cannot be read. The next `dvc repro` says so; the file is then
removed, as README.md tells people to, and that is counted: what was made stands in DVC's cache.

What may differ, and is left out: the ids of MLflow runs (runs/*.json) and times (tokens_per_second, minutes).
Kills add up over calls, as long as what the stages run is the same: `--kills 25` four times is `--kills 100`.
"""

import argparse
import contextlib
import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from bench.table import PAGE, report
from lal.files import read_json, write_json, write_text

PARAMS = Path("tests/minute.params.yaml")
SMALLER = {
    "max_conversations: 2000": "max_conversations: 300",
    "validation_conversations: 100": "validation_conversations: 20",
}
"""Small enough that a whole run takes about a minute, almost all of it the start of the stages."""

MADE = ("dvc.lock", "metrics", "plots")
COMPARED = ("data", "models", "metrics", "plots", "reports")
TIMES = ("tokens_per_second", "minutes")

MAX_CHECKPOINTS = 2 * 4
"""Files that may lie in .lal/checkpoints/<stage>: two slots of this run and of the three before it."""

TORN_LOCK = re.compile(r"dvc\.lock' (is invalid|validation failed)")
"""What DVC says of a dvc.lock that was cut short."""

ORPHAN_SECONDS = 60.0
"""Longest wait for a stage to end after its `dvc` was killed: it looks twice a second, and finishes its step."""


@dataclass(frozen=True)
class Kill:
    """One kill and what came of it.

    Attributes:
        stage: Running when it came; `dvc` between stages.
        whole_group: Whether every process was hit, or `dvc` alone.
        moment: Seconds after the start of `dvc repro`.
        ending: Seconds until the last process of it had gone.
        checkpoint_bytes: Size of .lal/checkpoints afterwards.
        checkpoint_files: The most checkpoints of one stage.
    """

    stage: str
    whole_group: bool
    moment: float
    ending: float
    checkpoint_bytes: int
    checkpoint_files: int


class Project:
    """A copy of the checkout in which `dvc repro` can be run and killed.

    Args:
        folder: Where it is, or will be.
        params: Text of its params.yaml.
    """

    command: Sequence[str] = ("dvc", "repro")

    def __init__(self, folder: Path, params: str) -> None:
        self.folder, self._params = folder, params
        self.num_torn_locks = 0
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("DVC_", "LAL_", "MLFLOW_"))}
        # One thread: what is compared must not depend on how many are free.
        self._environment = kept | {"PATH": path, "OMP_NUM_THREADS": "1", "DVC_SITE_CACHE_DIR": str(folder / ".site")}

    def make(self) -> None:
        """Copies what git has of the checkout, and the sources that were fetched before."""
        shutil.rmtree(self.folder, ignore_errors=True)
        for name in tracked_files():
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(name, self.folder / name)
        write_text(self.folder / "params.yaml", self._params)
        if Path(".lal/sources").is_dir():
            shutil.copytree(".lal/sources", self.folder / ".lal/sources")
        subprocess.run(["git", "init", "--quiet"], cwd=self.folder, check=True)  # noqa: S607

    @contextlib.contextmanager
    def started(self) -> Iterator["subprocess.Popen[bytes]"]:
        """Runs `dvc repro` inside the block, in a process group of its own; what it says goes to a file."""
        with (self.folder / ".lal/said.txt").open("wb") as said:
            running = subprocess.Popen(  # noqa: S603
                self.command, cwd=self.folder, env=self._environment, stdout=said, stderr=said, start_new_session=True
            )
        try:
            yield running
        finally:  # Whoever stops the bench stops what it has started.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGKILL)
            running.wait()

    def said(self) -> str:
        """What the last `dvc repro` said."""
        return (self.folder / ".lal/said.txt").read_text(encoding="utf-8", errors="replace")

    def complaint(self, code: int) -> str:
        """That the last `dvc repro` failed, and what it said before."""
        return f"{self.folder}: `dvc repro` ended with {code}:\n{self.said()[-3000:]}"

    def digests(self) -> dict[str, str]:
        """SHA-256 of every file that a run makes and that must be the same each time."""
        files = [path for top in COMPARED for path in sorted((self.folder / top).rglob("*")) if path.is_file()]
        return {str(path.relative_to(self.folder)): _digest(path) for path in files}

    def checkpoints(self) -> tuple[int, int]:
        """Bytes of all checkpoints, and the most files that one stage has."""
        stages = [list(stage.rglob("*.checkpoint*")) for stage in (self.folder / ".lal/checkpoints").glob("*")]
        return sum(_size(path) for files in stages for path in files), max(map(len, stages), default=0)


def tracked_files() -> list[str]:
    """What git has of this checkout, without what a run makes; the seed noise is no part of the loop."""
    listed = subprocess.run(["git", "ls-files"], check=True, capture_output=True, text=True).stdout.split()  # noqa: S607
    return [
        name for name in listed if Path(name).is_file() and (name == "metrics/noise.json" or not name.startswith(MADE))
    ]


def run_undisturbed(project: Project) -> float:
    """Runs the loop once, from nothing to the exported model; returns the seconds it took."""
    project.make()
    begun = time.monotonic()
    with project.started() as running:
        if code := running.wait():
            raise SystemExit(project.complaint(code))
    return time.monotonic() - begun


def kill_at(project: Project, moment: float | None, whole_group: bool) -> Kill | None:
    """Starts `dvc repro` and kills it so many seconds later; None if it came through."""
    with project.started() as running:
        try:
            code = running.wait(moment)
        except subprocess.TimeoutExpired:
            return _kill(project, running, moment or 0.0, whole_group)
    if code and TORN_LOCK.search(project.said()):
        (project.folder / "dvc.lock").unlink()
        project.num_torn_locks += 1
        return kill_at(project, moment, whole_group)
    if code:
        raise SystemExit(project.complaint(code))
    return None


def _kill(project: Project, running: "subprocess.Popen[bytes]", moment: float, whole_group: bool) -> Kill:
    processes = _family(running.pid)
    stage = next((name for process in processes if (name := _stage(process))), "dvc")
    if whole_group:
        os.killpg(running.pid, signal.SIGKILL)
    else:
        running.kill()
    hit = time.monotonic()
    running.wait()
    _, alive = psutil.wait_procs(processes[1:], ORPHAN_SECONDS)
    if alive:
        raise SystemExit(f"{project.folder}: {ORPHAN_SECONDS:.0f} s after its dvc was killed, {alive} lives on")
    return Kill(stage, whole_group, moment, time.monotonic() - hit, *project.checkpoints())


def differing(expected: dict[str, str], found: dict[str, str]) -> list[str]:
    """The files that are not the same on both sides."""
    return sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))


def rows_of(kills: Sequence[Kill]) -> list[dict[str, object]]:
    """The table: where the kills hit, and how long a stage outlived its `dvc` at most."""
    stages = "data validate tokenizer pretrain sft evaluate gate export parity register monitor"
    order = ["dvc", *stages.split()]
    rows: list[dict[str, object]] = []
    for stage in order:
        here = [kill for kill in kills if kill.stage == stage]
        alone = [kill.ending for kill in here if not kill.whole_group]
        rows.append(
            {
                "killed in": "between stages" if stage == "dvc" else stage,
                "whole group": len(here) - len(alone),
                "dvc alone": len(alone),
                "ended by itself after at most": f"{max(alone):.1f} s" if alone else "-",
            }
        )
    return rows


@dataclass(frozen=True)
class Outcome:
    """All kills so far.

    Attributes:
        kills: Each of them.
        runs: That came through, and whose files were compared.
        num_files: In each of them.
        num_torn_locks: Times that dvc.lock had been cut short.
    """

    kills: list[Kill]
    runs: int
    num_files: int
    num_torn_locks: int


def measure(folder: Path, params: str, num_kills: int, seed: int) -> Outcome:
    """Kills so many times more.

    Args:
        folder: Keeps both copies and the kills between calls.
        params: Text of params.yaml.
        num_kills: Kills of this call; the run they interrupt last is taken to its end and compared as well.
        seed: Start of the random moments.

    Raises:
        SystemExit: A run failed, a stage outlived its `dvc`, or something differs.
    """
    undisturbed, disturbed = Project(folder / "undisturbed", params), Project(folder / "killed", params)
    state = folder / "kills.json"
    if not state.exists():
        write_json(state, {"seconds": run_undisturbed(undisturbed), "runs": 0, "torn_locks": 0, "kills": []})
    content = read_json(state)
    disturbed.num_torn_locks = content["torn_locks"]
    kills, expected = [Kill(**kill) for kill in content["kills"]], undisturbed.digests()
    chance, goal, is_running = random.Random(f"{seed}/{len(kills)}"), len(kills) + num_kills, False  # noqa: S311
    while len(kills) < goal or is_running:
        if not is_running:
            disturbed.make()
        moment = chance.uniform(0, content["seconds"]) if len(kills) < goal else None
        sys.stderr.write(f"{len(kills)} kills; next {f'after {moment:.1f} s' if moment else 'none, to the end'}\n")
        kill = kill_at(disturbed, moment, whole_group=len(kills) % 2 == 0)
        is_running = kill is not None
        if kill is None:
            if changed := differing(expected, disturbed.digests()):
                raise SystemExit(f"after {len(kills)} kills, not the same bytes: {', '.join(changed)}")
            content["runs"] += 1
        else:
            kills.append(kill)
            if kill.checkpoint_files > MAX_CHECKPOINTS:
                raise SystemExit(f"{kill.checkpoint_files} checkpoints of one stage: more than {MAX_CHECKPOINTS}")
        content["torn_locks"] = disturbed.num_torn_locks
        write_json(state, content | {"kills": [asdict(kill) for kill in kills]})
    return Outcome(kills, content["runs"], len(expected), disturbed.num_torn_locks)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures, and shows the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100, help="of this call; they add up")
    parser.add_argument("--folder", type=Path, default=Path(".lal/kill"), help="keeps the copies between calls")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--print-only", action="store_true", help="leave docs/experiments.md alone")
    options = parser.parse_args(arguments)
    params = PARAMS.read_text(encoding="utf-8")
    for old, new in SMALLER.items():
        assert old in params, old
        params = params.replace(old, new)
    run_by_stages = [name for name in tracked_files() if name.startswith(("src/", "pipeline/", "dvc.yaml"))]
    code = hashlib.sha256("".join(f"{name} {_digest(Path(name))}" for name in run_by_stages).encode() + params.encode())
    folder = (options.folder / code.hexdigest()[:12]).resolve()
    outcome = measure(folder, params, options.kills, options.seed)
    kills = outcome.kills
    largest = max(kill.checkpoint_bytes for kill in kills)
    note = (
        f"{len(kills)} kills in {outcome.runs} runs that came through; after each, all {outcome.num_files} files in "
        f"{', '.join(COMPARED)} were the same bytes as after an undisturbed run (left out: run ids, "
        f"{', '.join(TIMES)}). Checkpoints took at most {largest / 1e6:.1f} MB, "
        f"{max(kill.checkpoint_files for kill in kills)} files a stage. Of the kills {outcome.num_torn_locks} "
        "cut DVC's own dvc.lock short, which was then removed."
    )
    report("kill", "Killed at random moments", rows_of(kills), note, None if options.print_only else PAGE)


def _family(pid: int) -> list[psutil.Process]:
    """A process and all that it has started, which its death would leave without a parent to find them by."""
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def _stage(process: psutil.Process) -> str:
    """The stage that a process runs, or nothing."""
    try:
        words = process.cmdline()
    except psutil.Error:
        return ""
    return next((word.removeprefix("pipeline.") for word in words if word.startswith("pipeline.")), "")


def _digest(path: Path) -> str:
    content = path.read_bytes()
    if path.parent.name == "metrics":
        content = json.dumps({key: value for key, value in json.loads(content).items() if key not in TIMES}).encode()
    return hashlib.sha256(content).hexdigest()


def _size(path: Path) -> int:
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_size
    return 0


if __name__ == "__main__":
    main()
