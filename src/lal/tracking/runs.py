"""The two runs of a stage: its own, and around it the one of the whole `dvc repro`."""

import contextlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lal import lineage
from lal.errors import LalError
from lal.files import read_json
from lal.tracking.points import Point, at_end, changed_params, flatten_metrics, flatten_texts, make_points, rename
from lal.tracking.store import LEADERBOARD, Store, open_store

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

MAX_CURVE_POINTS = 500
"""Of a curve that is copied from an earlier run: as many as a screen can show."""

METRICS_PER_BATCH = 1000
PARAMS_PER_BATCH = 100
"""Both are MLflow's limits."""

TABLES = "mlflow.loggedArtifacts"
"""The tag in which MLflow's artifact view looks for tables that it can compare."""


@dataclass
class Runs:
    """An open pair of runs; everything is written to both, under the same name, so that either can be compared.

    Each method can be repeated after a failure half-way: MLflow keeps one of equal points, and files are replaced.
    """

    client: "MlflowClient"
    parent: str
    child: str
    last_step: dict[str, int] = field(default_factory=dict)
    """Of each curve: what a resumed training repeats up to here is there already."""

    def log_curves(self, points: Sequence[Point]) -> None:
        """Writes the points that go on from where each curve ends."""
        fresh = [point for point in points if point.step > self.last_step.get(point.key, -1)]
        self.log_points(fresh)
        if {point.key for point in fresh} - set(self.last_step):
            curves = sorted({point.key for point in fresh} | set(self.last_step))
            self.client.set_tag(self.child, "lal.curves", ",".join(curves))
        self.last_step |= {point.key: point.step for point in fresh}

    def log_results(self, points: list[Point], texts: Mapping[str, str]) -> None:
        """Writes final numbers, on the outer run those of the leaderboard once more, and final words as tags."""
        self.log_points(at_end(points, self.last_step))
        for run in (self.child, self.parent):
            _set_tags(self.client, run, texts)
        _log_points(self.client, self.parent, rename(points, LEADERBOARD))

    def log_points(self, points: Sequence[Point]) -> None:
        """Writes points as they are."""
        for run in (self.child, self.parent):
            _log_points(self.client, run, points)

    def log_file(self, path: Path) -> None:
        """Keeps a copy of a file with the runs, in their folder `reports`."""
        for run in (self.child, self.parent):
            self.client.log_artifact(run, str(path), "reports")

    def log_table(self, file: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Writes rows as the artifact `file`, in pandas' split layout, which MLflow's artifact view compares."""
        # client.log_table imports pandas, and appends to a table that is there already.
        columns = list(dict.fromkeys(column for row in rows for column in row))
        content = {"columns": columns, "data": [[row.get(column) for column in columns] for row in rows]}
        for run in (self.child, self.parent):
            self.client.log_dict(run, content, file)
            _list_tables(self.client, run, [{"path": file, "type": "table"}])

    def end(self, status: str, problem: str) -> None:
        """Closes the runs as FINISHED, FAILED or KILLED."""
        if problem:
            for run in (self.child, self.parent):
                self.client.set_tag(run, "lal.error", problem[:2000])
        # `dvc repro --keep-going` goes on after a failure: one failed stage makes a failed execution.
        failed = status == "FINISHED" and "lal.error" in self.client.get_run(self.parent).data.tags
        self.client.set_terminated(self.child, status)
        self.client.set_terminated(self.parent, "FAILED" if failed else status)


def open_runs(root: Path, stage: str, params: Mapping[str, str]) -> Runs:
    """Finds or starts the run of this execution and, nested in it, the run of this stage.

    Args:
        root: The main checkout.
        stage: Its name in dvc.yaml.
        params: The whole of params.yaml, flat.
    """
    store = open_store(root)
    execution = lineage.current_execution()
    stages = lineage.read_stages(Path("dvc.yaml"))
    parent = _open_parent(store, execution, params)
    done = lineage.upstream(stages, stage) if execution.by_dvc else []
    _log_datasets(store.client, parent, lineage.locked_digests(Path("dvc.lock"), done))
    for name in done:
        if f"lal.run.{name}" not in parent.data.tags:
            _adopt(store.client, parent.info.run_id, name)
    spec = stages.get(stage, lineage.Stage(stage, deps=(), outs=(), params=tuple(params)))
    runs = _open_child(store, parent.info.run_id, stage, lineage.fingerprint(spec, params))
    store.client.set_tag(runs.parent, f"lal.run.{stage}", runs.child)
    return runs


def _open_parent(store: Store, execution: lineage.Execution, params: Mapping[str, str]) -> "Run":
    from mlflow.entities import Param

    client = store.client
    found = store.latest({"lal.kind": "pipeline", "lal.execution": execution.key})
    if found:
        client.update_run(found.info.run_id, status="RUNNING")
        client.set_tag(found.info.run_id, "lal.process", execution.process)
        return found
    before = store.latest({"lal.kind": "pipeline"})
    changes = changed_params(before.data.params, params) if before else {}
    changed = ", ".join(f"{key} {old} -> {new}" for key, (old, new) in changes.items())
    tags = {
        "lal.kind": "pipeline",
        "lal.execution": execution.key,
        "lal.process": execution.process,
        "lal.changed": changed or ("no param" if before else "first run"),
        "mlflow.source.name": "dvc" if execution.by_dvc else "by hand",
    }
    if git := lineage.git_state(Path.cwd()):
        tags |= {"mlflow.source.git.commit": git.commit, "lal.git.dirty": ", ".join(git.changed) or "no"}
    # The name of an experiment is what `dvc exp show` calls it; without one, a small change makes a telling name.
    telling = " ".join(f"{key}={new}" for key, (_, new) in changes.items()) if len(changes) <= 2 else ""
    run = client.create_run(store.experiment, tags=tags, run_name=os.environ.get("DVC_EXP_NAME") or telling or None)
    entries = [Param(key, value) for key, value in params.items()]
    for start in range(0, len(entries), PARAMS_PER_BATCH):
        client.log_batch(run.info.run_id, params=entries[start : start + PARAMS_PER_BATCH])
    return run


def _open_child(store: Store, parent: str, stage: str, fingerprint: str) -> Runs:
    """Starts a stage's run, or goes on with the one that was killed while it trained the very same thing."""
    client, own = store.client, lineage.own_identity()
    tags = {"lal.kind": "stage", "lal.stage": stage, "lal.process": own, "lal.fingerprint": fingerprint}
    tags["mlflow.parentRunId"] = parent
    # A call that failed half-way has started one already.
    if begun := store.latest({"lal.stage": stage, "lal.process": own}, "attributes.status = 'RUNNING'"):
        return Runs(client, parent, begun.info.run_id)
    killed = store.latest({"lal.kind": "stage", "lal.fingerprint": fingerprint}, "attributes.status = 'KILLED'")
    if killed is None or "lal.curves" not in killed.data.tags:
        return Runs(client, parent, client.create_run(store.experiment, tags=tags, run_name=stage).info.run_id)
    run = killed.info.run_id
    last_step = _copy_curves(client, killed, parent)
    times = int(killed.data.tags.get("lal.resumed", "0")) + 1
    for key, value in {**tags, "lal.resumed": str(times)}.items():
        client.set_tag(run, key, value)
    client.update_run(run, status="RUNNING")
    return Runs(client, parent, run, last_step)


def _adopt(client: "MlflowClient", parent: str, stage: str) -> None:
    """Puts on the parent what a stage that DVC took from its cache had reported when it really ran."""
    from mlflow.exceptions import MlflowException

    run = _read(Path("runs", f"{stage}.json")).get("run_id")
    last_step: dict[str, int] = {}
    with contextlib.suppress(MlflowException):  # the run is in another computer's store, or was deleted
        if run:
            source = client.get_run(run)
            last_step = _copy_curves(client, source, parent)
            if client.list_artifacts(run):
                client.log_artifacts(parent, client.download_artifacts(run, ""))
            _list_tables(client, parent, json.loads(source.data.tags.get(TABLES, "[]")))
    metrics = _read(Path("metrics", f"{stage}.json"))
    results = make_points(stage, flatten_metrics(metrics), 0)
    _log_points(client, parent, [*at_end(results, last_step), *rename(results, LEADERBOARD)])
    _set_tags(client, parent, flatten_texts(stage, metrics))
    client.set_tag(parent, f"lal.cached.{stage}", "true")
    client.set_tag(parent, f"lal.run.{stage}", run or "not recorded")


def _copy_curves(client: "MlflowClient", source: "Run", target: str) -> dict[str, int]:
    """Copies a run's curves, thinned but with their ends, and returns the last step of each."""
    last_step = {}
    for key in filter(None, source.data.tags.get("lal.curves", "").split(",")):
        history = sorted(client.get_metric_history(source.info.run_id, key), key=lambda point: -point.step)
        kept = history[:: len(history) // MAX_CURVE_POINTS + 1]
        _log_points(client, target, [Point(key, point.value, point.step, point.timestamp) for point in kept])
        if history:
            last_step[key] = history[0].step
    return last_step


def _log_datasets(client: "MlflowClient", parent: "Run", digests: Mapping[str, str]) -> None:
    """Names the data an execution used, with DVC's digests; a run's page shows them as `gold (1fb55b)`."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    known = {entry.dataset.name for entry in parent.inputs.dataset_inputs} if parent.inputs else set()
    inputs = []
    for path, digest in digests.items():
        top = Path(path).parts[0]
        if top in ("data", "gold") and path not in known:
            source = json.dumps({"uri": path})
            dataset = Dataset(name=path, digest=digest.removesuffix(".dir"), source_type="local", source=source)
            inputs.append(DatasetInput(dataset, tags=[InputTag("mlflow.data.context", top)]))
    if inputs:
        client.log_inputs(parent.info.run_id, datasets=inputs)


def _list_tables(client: "MlflowClient", run: str, tables: list[dict[str, str]]) -> None:
    listed = json.loads(client.get_run(run).data.tags.get(TABLES, "[]"))
    if added := [table for table in tables if table not in listed]:
        client.set_tag(run, TABLES, json.dumps(listed + added))


def _log_points(client: "MlflowClient", run: str, points: Sequence[Point]) -> None:
    from mlflow.entities import Metric

    metrics = [Metric(point.key, point.value, point.time, point.step) for point in points]
    for start in range(0, len(metrics), METRICS_PER_BATCH):
        client.log_batch(run, metrics=metrics[start : start + METRICS_PER_BATCH])


def _set_tags(client: "MlflowClient", run: str, texts: Mapping[str, str]) -> None:
    for key, text in texts.items():
        client.set_tag(run, key, text)


def _read(path: Path) -> dict[str, Any]:
    """A JSON object, or an empty one if the file is missing or something else."""
    with contextlib.suppress(LalError):
        value = read_json(path)
        if isinstance(value, dict):
            return value
    return {}
