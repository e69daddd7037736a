"""The process around a stage: `python -m pipeline.<stage>`, as dvc.yaml calls it.

Each module is one stage: argv -> params.yaml -> one call of its recipe in `lal.stages` -> metrics/<stage>.json, inside
one tracked run. This file holds what they share.
"""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

# This checkout's own code, also in the temporary workspace of an experiment, where an installed `lal` is another one.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

# Nothing phones home. Set before anything that would is imported; who wants otherwise sets them otherwise.
for _name, _value in {
    "DO_NOT_TRACK": "true",
    "DVC_NO_ANALYTICS": "true",
    "GX_ANALYTICS_ENABLED": "false",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}.items():
    os.environ.setdefault(_name, _value)


def missing_package(error: ModuleNotFoundError) -> str:
    """What to tell a person whose Python lacks a package."""
    return f"error: {sys.executable}: {error}\n  -> activate the environment and run again: . .venv/bin/activate"


try:
    import typer

    from lal.errors import GateError, LalError
    from lal.files import write_json
except ModuleNotFoundError as error:
    sys.exit(missing_package(error))

if TYPE_CHECKING:
    from lal.params import Params
    from lal.reporting import Reporter

RESTORE = (
    "  (what this stage had made before is in DVC's cache: `dvc checkout` and `git checkout metrics plots` restore it)"
)
"""DVC clears a stage's outputs before it runs it, and does not put them back when it fails."""

Place = Annotated[Path, typer.Option()]
"""A required option `--name PATH`: dvc.yaml says where everything is, the stages never do."""

Shard = Annotated[bool, typer.Option(help="give each process of torchrun a slice of the model instead of a copy")]
"""For a model that does not fit otherwise; changes no result beyond the last digits, so it is no param."""

WATCH_SECONDS = 0.5
"""How often a stage looks whether the `dvc` above it still lives."""


@dataclass
class Stage:
    """What a recipe gets besides its paths, and where it leaves its metrics."""

    params: "Params"
    reporter: "Reporter"
    scratch: Path
    """For checkpoints: outlives the stage, belongs to no experiment, and is in no cache."""
    metrics: dict[str, Any] = field(default_factory=dict)


@contextlib.contextmanager
def stage(name: str) -> Iterator[Stage]:
    """Reads params.yaml, tracks the stage, and writes metrics/<name>.json and runs/<name>.json when it went well.

    Of several processes that torchrun has started, the first does so for all; the others compute and say nothing.

    Raises:
        LalError: params.yaml is not what it should be, in whatever section.
    """
    from lal.lineage import project_root
    from lal.params import load_params
    from lal.reporting import NullReporter
    from lal.tracking.reporter import track

    params = load_params(Path("params.yaml"))
    scratch = project_root() / ".lal" / "checkpoints" / name
    if os.environ.get("RANK", "0") != "0":
        yield Stage(params, NullReporter(), scratch)
        return
    with track(name, params.model_dump(mode="json", by_alias=True)) as tracker:
        running = Stage(params, tracker, scratch)
        yield running
        write_json(Path("metrics", f"{name}.json"), running.metrics)
        tracker.results(running.metrics)
    write_json(Path("runs", f"{name}.json"), {"run_id": tracker.run_id})


def run(main: Callable[..., None]) -> None:
    """Runs a stage's `main` with the options of the command line and exits: 0 done, 1 it failed, 130 it was stopped.

    An error that the user can mend is a message without a traceback, unless LAL_DEBUG=1.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    if "DVC_STAGE" in os.environ:
        _end_with_dvc()
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    app.command()(main)
    try:
        app()
    except (LalError, ModuleNotFoundError) as error:
        if os.environ.get("LAL_DEBUG") == "1":
            raise
        # The gate stops the pipeline after it wrote everything: there is nothing to restore.
        hint = f"\n{RESTORE}" if "DVC_STAGE" in os.environ and not isinstance(error, GateError) else ""
        sys.exit(f"error: {error}{hint}" if isinstance(error, LalError) else missing_package(error))
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # Torchrun tells processes to end that do so already.


def _interrupt(*_: object) -> NoReturn:
    """Makes `kill` end a stage like Ctrl-C does: it may save, and its run is marked as killed."""
    raise KeyboardInterrupt


def _end_with_dvc() -> None:
    """Ends this stage when `dvc` is killed; otherwise it would go on writing behind the next `dvc repro`.

    The kernel's own signal for this (PR_SET_PDEATHSIG) tells of the parent only, and the parent is the shell in which
    DVC runs a command: dash, the shell of Debian where SHELL is not set, stays there and lives on.
    """
    from lal.lineage import current_execution, is_dead

    execution = current_execution()

    def watch() -> None:
        while not is_dead(execution.process):
            time.sleep(WATCH_SECONDS)
        os.kill(os.getpid(), signal.SIGTERM)

    if execution.by_dvc:
        threading.Thread(target=watch, name="watch-dvc", daemon=True).start()
