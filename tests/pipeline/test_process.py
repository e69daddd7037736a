"""Tests of the process around a stage, `pipeline/__init__.py`."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import pipeline
from lal.errors import ParamsError, TrainingError
from pipeline import Place, run, stage

CHECKOUT = Path(pipeline.__file__).parents[1]


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a params.yaml and without tracking."""
    shutil.copy(CHECKOUT / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LAL_TRACKING", "off")
    for name in ("DVC_ROOT", "DVC_STAGE", "LAL_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    previous = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, previous)


@pytest.fixture
def leave(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Runs a `main` with arguments and returns what the process would exit with."""

    def call(main: Callable[..., None], *arguments: str) -> Any:
        monkeypatch.setattr(sys, "argv", ["pipeline", *arguments])
        with pytest.raises(SystemExit) as exit_:
            run(main)
        return exit_.value.code

    return call


def test_a_stage_gets_its_params_and_leaves_metrics_and_the_id_of_its_run(
    workspace: Path, leave: Callable[..., Any]
) -> None:
    def main(base: Place) -> None:
        with stage("sft") as running:
            assert running.params.seed == 1337
            assert running.scratch == workspace / ".lal" / "checkpoints" / "sft"
            running.metrics = {"loss": 1.5, "base": str(base)}

    assert leave(main, "--base", "models/base") == 0
    assert json.loads(Path("metrics/sft.json").read_text()) == {"loss": 1.5, "base": "models/base"}
    assert json.loads(Path("runs/sft.json").read_text()) == {"run_id": None}


def test_an_option_that_is_missing_is_a_usage_error(leave: Callable[..., Any]) -> None:
    def main(base: Place) -> None: ...

    assert leave(main) == 2
    assert leave(main, "models/base") == 2


def test_an_error_of_the_users_making_is_a_message(workspace: Path, leave: Callable[..., Any]) -> None:
    def main() -> None:
        with stage("sft"):
            raise TrainingError("the loss is not a number", "lower sft.learning_rate")

    assert leave(main) == "error: the loss is not a number\n  -> lower sft.learning_rate"
    assert not (workspace / "metrics").exists()
    assert not (workspace / "runs").exists()


def test_for_a_developer_it_is_a_traceback(
    workspace: Path, leave: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def main() -> None:
        raise TrainingError("the loss is not a number")

    monkeypatch.setenv("LAL_DEBUG", "1")
    with pytest.raises(TrainingError):
        leave(main)


def test_every_section_of_params_is_checked_before_a_stage_begins(workspace: Path) -> None:
    path = workspace / "params.yaml"
    path.write_text(path.read_text().replace("temperature: 0.0", "temperature: hot"))
    with pytest.raises(ParamsError, match=r"params\.yaml:\d+: export\.temperature"), stage("data"):
        pytest.fail("the stage began")


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_stage_that_is_told_to_stop_ends_with_130(leave: Callable[..., Any], stop: signal.Signals) -> None:
    def main() -> None:
        os.kill(os.getpid(), stop)
        signal.pause()

    assert leave(main) == 130


def test_a_missing_package_names_the_environment(leave: Callable[..., Any]) -> None:
    def main() -> None:
        import package_that_nobody_has  # type: ignore[import-not-found]  # noqa: F401

    message = leave(main)
    assert "No module named 'package_that_nobody_has'" in message
    assert message.endswith(". .venv/bin/activate")


def test_python_without_the_packages_is_told_where_they_are() -> None:
    done = subprocess.run(
        [sys.executable, "-S", "-m", "pipeline.data"], cwd=CHECKOUT, check=False, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "activate the environment" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_workspace_runs_its_own_code_though_another_one_is_installed(tmp_path: Path) -> None:
    for name in ("pipeline/__init__.py", "src/lal/__init__.py", "src/lal/errors.py", "src/lal/files.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(CHECKOUT / name, tmp_path / name)
    installed = {**os.environ, "PYTHONPATH": str(CHECKOUT / "src")}
    code = "import pipeline, lal.files; print(lal.files.__file__)"
    found = subprocess.check_output([sys.executable, "-c", code], cwd=tmp_path, env=installed, text=True)
    assert Path(found.strip()) == tmp_path / "src" / "lal" / "files.py"


def test_nothing_phones_home_unless_somebody_wants_it_to() -> None:
    code = "import os, pipeline; print(os.environ['MLFLOW_DISABLE_TELEMETRY'], os.environ['GX_ANALYTICS_ENABLED'])"
    wanted = {**os.environ, "GX_ANALYTICS_ENABLED": "true"}
    wanted.pop("MLFLOW_DISABLE_TELEMETRY", None)
    assert subprocess.check_output([sys.executable, "-c", code], cwd=CHECKOUT, env=wanted, text=True) == "true true\n"
