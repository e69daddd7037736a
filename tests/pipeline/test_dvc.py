"""The tracking under a real DVC: every way to run the pipeline gives one comparable run, however it ends."""

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from ruamel.yaml import YAML

from lal.tracking.store import open_store

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings(
        "ignore:The ``noload`` loader strategy:DeprecationWarning"
    ),  # MLflow's use of SQLAlchemy
]

CURVE = "pretrain/train_loss"


class Project:
    """A project folder, DVC in it, and what MLflow knows about it."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.environment = environment

    def dvc(self, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        """Runs a `dvc` command to its end."""
        environment = {**self.environment, **variables}
        command = ["dvc", *arguments]
        return subprocess.run(
            command, cwd=self.folder, env=environment, check=False, capture_output=True, text=True, timeout=300
        )

    def set_param(self, key: str, value: object) -> None:
        """Edits one value of params.yaml, comments kept, as a person would."""
        section, name = key.split(".")
        path, yaml = self.folder / "params.yaml", YAML(typ="rt")
        tree = yaml.load(path)
        tree[section][name] = value
        yaml.dump(tree, path)

    def runs(self, kind: str) -> list[Any]:
        """The runs of a kind, oldest first."""
        store = open_store(self.folder)
        order = ["attributes.start_time ASC"]
        return list(store.client.search_runs([store.experiment], f"tags.`lal.kind` = '{kind}'", order_by=order))

    def curve(self, run: Any) -> list[int]:
        """The steps of the training curve of a run."""
        history = open_store(self.folder).client.get_metric_history(run.info.run_id, CURVE)
        return sorted({point.step for point in history})

    def artifacts(self, run: Any, folder: str) -> list[str]:
        """The files of a run in one of its folders."""
        return [entry.path for entry in open_store(self.folder).client.list_artifacts(run.info.run_id, folder)]


@pytest.fixture
def project(reproduced: Path, environment: dict[str, str], tmp_path: Path) -> Project:
    """The project after its first `dvc repro`."""
    return Project(_copy(reproduced, tmp_path / "project"), environment)


@pytest.fixture
def new_project(fresh: Path, environment: dict[str, str], tmp_path: Path) -> Project:
    """The project before its first `dvc repro`."""
    return Project(_copy(fresh, tmp_path / "project"), environment)


@pytest.fixture
def training(project: Project) -> Iterator[Callable[[], "subprocess.Popen[bytes]"]]:
    """Starts `dvc repro` after an edit and returns while it trains, after a checkpoint or two."""
    project.set_param("pretrain.learning_rate", 0.05)
    started = []

    def start() -> "subprocess.Popen[bytes]":
        kept = project.folder / ".lal" / "checkpoints" / "pretrain" / "step"
        before = int(kept.read_text()) if kept.exists() else 0
        slowly = {**project.environment, "TEST_PAUSE": "0.2"}
        dvc = subprocess.Popen(["dvc", "repro"], cwd=project.folder, env=slowly)
        started.append(dvc)
        _wait(lambda: kept.exists() and int(kept.read_text()) >= before + 10)
        return dvc

    yield start
    for dvc in started:
        dvc.kill()
        dvc.wait()


def test_one_repro_is_one_run_with_a_run_nested_for_each_stage(project: Project) -> None:
    (parent,) = project.runs("pipeline")
    children = project.runs("stage")
    assert [run.info.run_name for run in children] == ["data", "pretrain", "evaluate"]
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}
    assert {run.info.status for run in [parent, *children]} == {"FINISHED"}
    for run in children:
        assert json.loads((project.folder / "runs" / f"{run.info.run_name}.json").read_text()) == {
            "run_id": run.info.run_id
        }


def test_everything_that_can_be_compared_is_on_the_outer_run(project: Project) -> None:
    (parent,) = project.runs("pipeline")
    assert parent.data.params["pretrain.learning_rate"] == "0.02"
    assert parent.data.params["model.num_kv_heads"] == "null"
    loss = json.loads((project.folder / "metrics" / "pretrain.json").read_text())["validation"]["bits_per_byte"]
    assert parent.data.metrics["pretrain/validation.bits_per_byte"] == loss
    assert parent.data.metrics["evaluate/headline.lexicon_rules"] == 0.5
    assert project.curve(parent) == list(range(40))
    assert project.artifacts(parent, "gold") == ["gold/results.json"]
    assert project.artifacts(parent, "reports") == ["reports/gold.html"]
    datasets = {entry.dataset.name: entry.dataset.digest for entry in parent.inputs.dataset_inputs}
    assert set(datasets) == {"gold", "data/corpus"}
    assert f"{datasets['gold']}.dir" in (project.folder / "dvc.lock").read_text()
    commit = subprocess.check_output(["git", "rev-parse", "HEAD~1"], cwd=project.folder, text=True).strip()
    assert parent.data.tags["mlflow.source.git.commit"] == commit
    assert parent.data.tags["lal.git.dirty"] == "no"


def test_a_repro_with_nothing_to_do_makes_no_run(project: Project) -> None:
    assert project.dvc("repro").returncode == 0
    assert len(project.runs("pipeline")) == 1


def test_an_edited_param_makes_a_run_that_also_has_what_came_from_the_cache(project: Project) -> None:
    project.set_param("evaluate.few_shot_examples", 2)
    done = project.dvc("repro")
    assert done.returncode == 0, done.stderr
    first, second = project.runs("pipeline")
    assert [run.info.run_name for run in project.runs("stage")] == ["data", "pretrain", "evaluate", "evaluate"]
    assert second.data.metrics == first.data.metrics
    assert project.curve(second) == list(range(40))
    tags = second.data.tags
    assert second.info.run_name == "evaluate.few_shot_examples=2"
    assert tags["lal.changed"] == "evaluate.few_shot_examples 4 -> 2"
    assert tags["lal.git.dirty"] == "params.yaml"
    assert (tags["lal.cached.data"], tags["lal.cached.pretrain"], tags.get("lal.cached.evaluate")) == (
        "true",
        "true",
        None,
    )
    assert tags["lal.run.pretrain"] == first.data.tags["lal.run.pretrain"]


def test_an_experiment_in_a_temporary_workspace_is_a_run_of_the_same_store(project: Project) -> None:
    done = project.dvc("exp", "run", "--temp", "--name", "hotter", "-S", "pretrain.learning_rate=0.5")
    assert done.returncode == 0, done.stderr
    first, second = project.runs("pipeline")
    assert (second.info.run_name, second.info.status) == ("hotter", "FINISHED")
    assert second.data.params["pretrain.learning_rate"] == "0.5"
    assert second.data.metrics["evaluate/headline.lal"] > first.data.metrics["evaluate/headline.lal"]
    assert second.data.metrics["data/documents"] == 3
    assert list(project.folder.rglob("mlflow.db")) == [project.folder / "mlflow.db"]


def test_queued_experiments_run_side_by_side_are_a_run_each(project: Project) -> None:
    for rate in ("0.1", "0.4"):
        project.dvc("exp", "run", "--queue", "--name", f"rate-{rate[-1]}", "-S", f"pretrain.learning_rate={rate}")
    done = project.dvc("exp", "run", "--run-all", "--jobs", "2")
    assert done.returncode == 0, done.stderr
    rates = {run.info.run_name: run.data.params["pretrain.learning_rate"] for run in project.runs("pipeline")[1:]}
    assert rates == {"rate-1": "0.1", "rate-4": "0.4"}
    assert all("evaluate/headline.lal" in run.data.metrics for run in project.runs("pipeline"))
    assert all(run.info.status == "FINISHED" for run in project.runs("pipeline") + project.runs("stage"))


def test_a_killed_training_goes_on_in_the_same_run(
    project: Project, training: Callable[[], "subprocess.Popen[bytes]"]
) -> None:
    dvc = training()
    _stage_process(dvc).kill()
    assert dvc.wait(timeout=30) == 255
    assert _latest(project, "stage").info.status == "KILLED"

    dvc = training()
    stage = _stage_process(dvc)
    dvc.kill()
    dvc.wait()
    _wait(lambda: not stage.is_running() or stage.status() == psutil.STATUS_ZOMBIE)
    assert _latest(project, "stage").info.status == "KILLED"

    done = project.dvc("repro")
    assert done.returncode == 0, done.stderr
    parents = project.runs("pipeline")
    assert [run.info.status for run in parents] == ["FINISHED", "KILLED", "KILLED", "FINISHED"]
    children = project.runs("stage")
    assert [run.info.run_name for run in children] == ["data", "pretrain", "evaluate", "pretrain", "evaluate"]
    killed = children[3]
    assert (killed.info.status, killed.data.tags["lal.resumed"]) == ("FINISHED", "2")
    assert killed.data.tags["mlflow.parentRunId"] == parents[-1].info.run_id
    steps = project.curve(parents[-1])
    assert steps == project.curve(killed)
    assert (steps[0], steps[-1]) == (0, 39)
    assert len(steps) >= 20  # what was said in the last two seconds before kill -9 is lost


def test_a_lock_that_a_kill_cut_short_costs_nothing_but_its_removal(project: Project) -> None:
    lock = project.folder / "dvc.lock"
    whole = lock.read_bytes()
    lock.write_bytes(b"")
    assert "dvc.lock' validation failed" in project.dvc("repro").stderr
    lock.unlink()
    done = project.dvc("repro")
    assert done.returncode == 0, done.stderr
    assert "Running stage" not in done.stdout
    assert lock.read_bytes() == whole


def test_a_failed_stage_is_a_failed_run_with_its_reason(project: Project) -> None:
    project.set_param("pretrain.learning_rate", 0.9)
    done = project.dvc("repro", TEST_FAIL="1")
    assert done.returncode == 255
    assert "error: the loss is not a number\n  -> lower pretrain.learning_rate" in done.stderr
    assert "`dvc checkout`" in done.stderr
    assert "Traceback" not in done.stderr
    for kind in ("pipeline", "stage"):
        run = _latest(project, kind)
        assert run.info.status == "FAILED"
        assert "the loss is not a number" in run.data.tags["lal.error"]


def test_params_that_no_stage_can_read_stop_it_before_a_run_begins(new_project: Project) -> None:
    new_project.set_param("evaluate.few_shot_example", 4)
    done = new_project.dvc("repro", LAL_TRACKING="off")
    assert done.returncode == 255
    assert "evaluate.few_shot_example: unknown key, did you mean 'few_shot_examples'?" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_tracking_the_pipeline_makes_the_same_files_and_no_store(new_project: Project) -> None:
    done = new_project.dvc("repro", LAL_TRACKING="off")
    assert done.returncode == 0, done.stderr
    assert json.loads((new_project.folder / "runs" / "pretrain.json").read_text()) == {"run_id": None}
    assert (new_project.folder / "metrics" / "evaluate.json").exists()
    assert not (new_project.folder / "mlflow.db").exists()


def _copy(source: Path, target: Path) -> Path:
    shutil.copytree(source, target, symlinks=True)
    return target


def _latest(project: Project, kind: str) -> Any:
    return project.runs(kind)[-1]


def _stage_process(dvc: "subprocess.Popen[bytes]") -> psutil.Process:
    (stage,) = [p for p in psutil.Process(dvc.pid).children(recursive=True) if "pipeline.pretrain" in p.cmdline()]
    return stage


def _wait(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that in time"
        time.sleep(0.1)
