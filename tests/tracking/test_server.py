"""A tracking server that several machines share, a real one of MLflow's on this computer."""

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lal.cli.ui import server, ui, wait_until_ready
from lal.lineage import project_root
from lal.tracking.artifacts import matching_runs, run_file
from lal.tracking.reporter import track
from lal.tracking.store import ENVIRONMENT, open_store

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning"),
]

PARAMS = {"seed": 1}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with a project and no store of its own."""
    folder = tmp_path / "workplace"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("LAL_TRACKING", "on")
    monkeypatch.delenv("DVC_ROOT", raising=False)
    return folder


@pytest.fixture
def address(tmp_path: Path, workplace: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A running server, named in the environment."""
    port = free_port()
    where = [
        "--backend-store-uri",
        f"sqlite:///{tmp_path / 'server.db'}",
        "--artifacts-destination",
        str(tmp_path / "kept"),
    ]
    command = [sys.executable, "-m", "mlflow", "server", *where, "--workers", "1", "--host", "127.0.0.1"]
    log = tmp_path / "log"
    with server([*command, "--port", str(port)], {**os.environ, **ENVIRONMENT}, log) as process:
        wait_until_ready(process, port, log)
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
        yield f"http://127.0.0.1:{port}"


def test_runs_and_their_files_go_to_the_server_and_come_back(
    address: str, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = workplace / "gold.html"
    report.write_text("<h1>0.5</h1>")
    with track("pretrain", PARAMS) as tracker:
        tracker.numbers({"train_loss": 4.0}, 1)
        tracker.attach(report)
        tracker.results({"parameters": 1000})
    assert tracker.run_id is not None
    run = open_store(project_root()).client.get_run(tracker.run_id)
    assert (run.info.status, run.data.metrics["pretrain/train_loss"]) == ("FINISHED", 4.0)
    assert run.data.metrics["pretrain/parameters"] == 1000
    assert matching_runs(workplace, tracker.run_id) == [tracker.run_id]
    report.unlink()
    assert run_file(workplace, tracker.run_id, "reports/gold.html").read_text() == "<h1>0.5</h1>"
    assert not {"mlflow.db", "mlartifacts"} & {path.name for path in workplace.iterdir()}
    ui()
    assert address in capsys.readouterr().out


def test_a_server_that_does_not_answer_costs_a_warning(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{free_port()}")
    with track("pretrain", PARAMS) as tracker:
        tracker.results({"train_loss": 0.5})
    assert tracker.run_id is None
    said = capsys.readouterr().err
    assert "the stage goes on without" in said
    assert "is in metrics/pretrain.json" in said
    assert not (workplace / "mlflow.db").exists()
