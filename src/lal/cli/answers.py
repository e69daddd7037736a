"""Where a person says that answers are - a file, a run, a revision, the champion - and the answers themselves."""

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from lal.errors import DataError, LalError
from lal.evaluation.scores.results import Result, of_solver, read_results, solvers
from lal.lineage import project_root

RESULTS = "reports/gold.jsonl"
CHAMPION = "champion"
FORMS = "name a result file, an MLflow run id or its beginning, a git revision, or `champion`"


@dataclass(frozen=True)
class Answers:
    """One solver's answers from one place.

    Attributes:
        label: `lal in run 3fa9c2d1`.
        results: Them.
    """

    label: str
    results: list[Result]


@dataclass(frozen=True)
class Place:
    """A result file, and how a person would call where it is from."""

    name: str
    file: Path


def find_answers(name: str, solver: str) -> Answers:
    """One solver's answers.

    Args:
        name: The path of a result file; the id of an MLflow run or the beginning of it; a git revision; `champion`.
            `run:` or `git:` before it says which of them it is.
        solver: Whose.

    Raises:
        LalError: There is no such place, it has no answers, or none of that solver.
    """
    place = _place(name)
    results = read_results(place.file)
    found = of_solver(results, solver)
    if not found:
        problem = f"{place.name} ({place.file}): no answers of {solver!r}"
        raise DataError(problem, f"there are answers of {', '.join(solvers(results))}: choose with --solver")
    return Answers(f"{solver} in {place.name}", found)


def _place(name: str) -> Place:
    kind, colon, rest = name.partition(":")
    if colon and kind == "run":
        return _run(rest)
    if colon and kind == "git":
        return _revision(rest)
    if name == CHAMPION:
        return _champion()
    if Path(name).is_file():
        return Place(name, Path(name))
    runs = _matching_runs(name)
    commit = _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    if runs and commit:
        raise LalError(f"{name!r} begins a run and a commit", f"write run:{name} or git:{name}")
    if runs:
        return _run(name)
    if commit:
        return _revision(name)
    raise LalError(f"{name!r}: no such file, no run begins so, and git knows no such revision", FORMS)


def _champion() -> Place:
    from lal.evaluation.verdict.champion import RESULTS as CHAMPION_RESULTS
    from lal.evaluation.verdict.champion import read_champion

    if read_champion(Path(CHAMPION)) is None:
        raise LalError(f"{CHAMPION}/: no model was promoted yet", "`lal promote` makes the last one the champion")
    return Place("champion", Path(CHAMPION) / CHAMPION_RESULTS)


def _run(prefix: str) -> Place:
    from lal.tracking.artifacts import run_file

    runs = _matching_runs(prefix)
    if not runs:
        raise LalError(f"no run begins with {prefix!r}", "`lal ui` lists the runs, with the id at the top of each")
    if len(runs) > 1:
        raise LalError.of([f"{len(runs)} runs begin with {prefix!r}:", *sorted(runs)], "write more of the id", most=9)
    return Place(f"run {runs[0][:8]}", run_file(project_root(), runs[0], RESULTS))


def _matching_runs(prefix: str) -> list[str]:
    from lal.tracking.artifacts import matching_runs

    return matching_runs(project_root(), prefix) if re.fullmatch(r"[0-9a-f]{4,32}", prefix) else []


def _revision(revision: str) -> Place:
    """The result file of a commit: dvc.lock has its digest, DVC's cache the file itself."""
    commit = _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    if commit is None:
        raise LalError(f"git knows no revision {revision!r}", "`git log --oneline` lists them")
    name = f"git {revision if not re.fullmatch('[0-9a-f]{9,40}', revision) else revision[:8]}"
    lock = _git("show", f"{commit}:./dvc.lock")
    if lock is None:
        raise LalError(f"{name}: no dvc.lock in it", "`dvc repro` writes it; commit it with the code")
    digest = _locked_digest(lock, name)
    file = _cache_folder() / "files" / "md5" / digest[:2] / digest[2:]
    if not file.is_file():
        remedy = f"`dvc fetch --all-commits {RESULTS}` if a remote has them, `git checkout` and `dvc repro` otherwise"
        raise LalError(f"{name}: DVC's cache does not have its answers ({file})", f"{remedy}; or name its MLflow run")
    return Place(name, file)


def _locked_digest(lock: str, name: str) -> str:
    try:
        stages = YAML(typ="safe").load(lock)["stages"]
        outs = [out for stage in stages.values() for out in stage.get("outs", [])]
        return next(str(out["md5"]) for out in outs if out["path"] == RESULTS)
    except (YAMLError, AttributeError, KeyError, TypeError, StopIteration) as error:
        raise LalError(f"{name}: its dvc.lock names no {RESULTS}", "it was committed before `evaluate` ran") from error


def _cache_folder() -> Path:
    """Where DVC keeps files; its configuration may have moved it."""
    command = [sys.executable, "-m", "dvc", "cache", "dir"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - the command is ours
    if done.returncode:
        raise LalError(f"`dvc cache dir` failed: {done.stderr.strip()}", "run it in the folder of the project")
    return Path(done.stdout.strip())


def _git(*arguments: str) -> str | None:
    """What git says; None if it refuses, or is not there."""
    try:
        done = subprocess.run(  # noqa: S603
            ["git", "--no-optional-locks", *arguments],  # noqa: S607
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
