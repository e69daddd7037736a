"""Tests of `lal.tracking.reporter`: a real store in a temporary folder, and every way it can fail."""

import json
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lal.lineage import own_identity
from lal.tracking import reporter as module
from lal.tracking.reporter import MlflowTracker, track
from lal.tracking.store import Store, open_store

pytestmark = [
    pytest.mark.slow,  # imports MLflow
    # MLflow's own use of SQLAlchemy.
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning"),
]

PARAMS = {"seed": 1, "pretrain": {"learning_rate": 0.02}}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_store: Path) -> Path:
    """A project folder with an empty store, the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LAL_TRACKING", "on")
    monkeypatch.delenv("DVC_ROOT", raising=False)
    with sqlite3.connect(tmp_path / "mlflow.db") as copy, sqlite3.connect(empty_store) as source:
        source.backup(copy)
        copy.execute("UPDATE experiments SET artifact_location = ?", ((tmp_path / "mlartifacts").as_uri(),))
    copy.close()
    source.close()
    return tmp_path


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store to copy; making one takes 2 s."""
    folder = tmp_path_factory.mktemp("store")
    open_store(folder)
    return folder / "mlflow.db"


@pytest.fixture
def lock(project: Path) -> Iterator[sqlite3.Connection]:
    """Somebody else's connection to the store, that can lock it."""
    connection = sqlite3.connect(project / "mlflow.db", isolation_level=None)
    yield connection
    connection.close()


def runs(project: Path, kind: str) -> list[Any]:
    store = open_store(project)
    return list(store.client.search_runs([store.experiment], f"tags.`lal.kind` = '{kind}'"))


def test_a_stage_by_hand_is_a_run_with_a_parent_of_its_own(project: Path) -> None:
    with track("pretrain", PARAMS) as tracker:
        for step in range(5):
            tracker.numbers({"train_loss": 4.0 - step}, step)
        tracker.results({"train_loss": 0.5, "validation": {"bits_per_byte": 1.25}, "diagnosis": {"finding": "plateau"}})
    (child,), (parent,) = runs(project, "stage"), runs(project, "pipeline")
    assert tracker.run_id == child.info.run_id
    for run in (child, parent):
        assert run.info.status == "FINISHED"
        assert run.data.metrics["pretrain/train_loss"] == 0.5
        assert run.data.metrics["pretrain/validation.bits_per_byte"] == 1.25
        assert run.data.tags["pretrain/diagnosis.finding"] == "plateau"
    assert parent.data.metrics["bits_per_byte"] == 1.25
    assert parent.data.params == {"seed": "1", "pretrain.learning_rate": "0.02"}
    assert parent.data.tags["mlflow.source.name"] == "by hand"


def test_tables_and_reports_are_on_both_runs(project: Path) -> None:
    report = project / "gold.html"
    report.write_text("<h1>0.5</h1>")
    with track("evaluate", PARAMS) as tracker:
        tracker.table("gold", [{"id": "a", "passed": True}, {"id": "b", "answer": "have"}])
        tracker.attach(report)
    client = open_store(project).client
    for run in runs(project, "stage") + runs(project, "pipeline"):
        assert json.loads(run.data.tags["mlflow.loggedArtifacts"]) == [{"path": "gold/results.json", "type": "table"}]
        content = json.loads(Path(client.download_artifacts(run.info.run_id, "gold/results.json")).read_text())
        assert content == {"columns": ["id", "passed", "answer"], "data": [["a", True, None], ["b", None, "have"]]}
        assert Path(client.download_artifacts(run.info.run_id, "reports/gold.html")).read_text() == "<h1>0.5</h1>"


@pytest.mark.parametrize(("error", "status"), [(ValueError("no"), "FAILED"), (KeyboardInterrupt(), "KILLED")])
def test_a_stage_that_ends_badly_says_so(project: Path, error: BaseException, status: str) -> None:
    with pytest.raises(type(error)), track("pretrain", PARAMS):
        raise error
    for run in runs(project, "stage") + runs(project, "pipeline"):
        assert run.info.status == status
        assert run.data.tags["lal.error"] == (str(error) or "KeyboardInterrupt")


def test_one_failed_stage_makes_a_failed_execution(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAL_EXECUTION", "tonight")
    with pytest.raises(ValueError, match="no"), track("sft", PARAMS):
        raise ValueError("no")
    with track("data", PARAMS):
        pass
    assert [run.info.status for run in runs(project, "pipeline")] == ["FAILED"]
    assert sorted(run.info.status for run in runs(project, "stage")) == ["FAILED", "FINISHED"]


def test_runs_of_dead_processes_are_closed_and_those_of_living_ones_are_not(project: Path) -> None:
    store = open_store(project)
    host, pid, born = own_identity().split(":")
    dead = _start(store, f"{host}:{pid}:{int(born) - 1}")
    living = _start(store, own_identity())
    elsewhere = _start(store, f"another-computer:{pid}:{born}")
    client = open_store(project).client
    assert [client.get_run(run).info.status for run in (dead, living, elsewhere)] == ["KILLED", "RUNNING", "RUNNING"]


def test_a_locked_store_costs_a_warning_and_loses_nothing(
    project: Path, lock: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "FLUSH_SECONDS", 0.0)
    with track("pretrain", PARAMS) as tracker:
        tracker.numbers({"loss": 3.0}, 1)
        lock.execute("BEGIN EXCLUSIVE")
        start = time.monotonic()
        for step in range(2, 4):
            tracker.numbers({"loss": 3.0 / step}, step)
        assert time.monotonic() - start < 5
        lock.execute("ROLLBACK")
    history = open_store(project).client.get_metric_history(runs(project, "pipeline")[0].info.run_id, "pretrain/loss")
    assert sorted(point.step for point in history) == [1, 2, 3]
    assert capsys.readouterr().err == "tracking: OperationalError: database is locked; the stage goes on without\n"


def test_a_store_that_is_locked_all_the_time_leaves_the_stage_alone(
    project: Path, lock: sqlite3.Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    lock.execute("BEGIN EXCLUSIVE")
    start = time.monotonic()
    with track("pretrain", PARAMS) as tracker:
        tracker.numbers({"loss": 3.0}, 1)
    assert time.monotonic() - start < 5
    assert tracker.run_id is None
    assert "metrics/pretrain.json" in capsys.readouterr().err
    lock.execute("ROLLBACK")
    assert runs(project, "stage") == []


@pytest.mark.parametrize("damage", ["not a database", ""])
def test_a_damaged_store_leaves_the_stage_alone(project: Path, damage: str, capsys: pytest.CaptureFixture[str]) -> None:
    with track("pretrain", PARAMS) as tracker:
        tracker.numbers({"loss": 3.0}, 1)
        (project / "mlflow.db").unlink()
        if damage:
            (project / "mlflow.db").write_text(damage * 1000)
    assert capsys.readouterr().err.startswith("tracking: ")


def test_a_store_that_cannot_be_made_leaves_the_stage_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LAL_TRACKING", "on")
    (tmp_path / ".lal").write_text("a file in the way")
    with track("pretrain", PARAMS) as tracker:
        tracker.say("training")
    assert capsys.readouterr().out == "training\n"
    assert tracker.run_id is None


def test_after_failures_the_next_try_comes_later_and_later(
    project: Path, lock: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock.execute("BEGIN EXCLUSIVE")
    monkeypatch.setattr("lal.tracking.store.PROBE_SECONDS", 0.01)
    tracker = MlflowTracker("pretrain", {})
    pauses = []
    for _ in range(8):
        tracker._flush(at_once=True)
        pauses.append(tracker._pause)
    assert pauses == [8, 16, 32, 60, 60, 60, 60, 60]


def test_without_tracking_nothing_is_written_but_lines_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LAL_TRACKING", "off")
    with track("pretrain", PARAMS) as tracker:
        tracker.numbers({"loss": 1.0}, 1)
        tracker.results({"loss": 1.0})
        tracker.say("half-way")
    assert capsys.readouterr().out == "half-way\n"
    assert list(tmp_path.iterdir()) == []


def _start(store: Store, process: str) -> str:
    return str(store.client.create_run(store.experiment, tags={"lal.process": process}).info.run_id)
