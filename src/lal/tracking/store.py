"""The MLflow store of a project: where it is, whether it can be written now, and what its first page shows.

A project keeps its runs in a file of its own, unless MLFLOW_TRACKING_URI, the variable that MLflow itself reads, names
a server that several people or machines share.
"""

import contextlib
import json
import os
import sqlite3
import sys
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lal.lineage import is_dead

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

EXPERIMENT = "lal"
VIEW = "leaderboard"
PROBE_SECONDS = 1.0
"""MLflow waits 20 s for a locked database, in every call; asking first bounds what a lock can cost."""

ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_DISABLE_AGENT_HINT": "1",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",  # 7 by default: a server that has gone would hold a stage up for minutes
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # 2 processes and 0.5 GB instead of 14 and 3 GB
}

LEADERBOARD = {
    "headline": "evaluate/headline.lal",
    "lexicon_rules": "evaluate/headline.lexicon_rules",
    "keep": "evaluate/exact.lal.keep",
    "gate": "gate/passed",
    "bits_per_byte": "pretrain/validation.bits_per_byte",
    "parameters": "pretrain/parameters",
}
"""Numbers of the ready-made view, the first of which sorts it, under names that its narrow columns can show."""

LEADERBOARD_PARAMS = ("pretrain.learning_rate", "pretrain.steps", "sft.epochs", "tokenizer.vocabulary_size")

LEADERBOARD_TAGS = ("lal.changed", "pretrain/diagnosis.finding", "sft/diagnosis.finding")

NOTE = """\
**One row is one `dvc repro`** (or `dvc exp run`), the stages that really ran are nested in it. The column *lal.changed*
says which params differ from the run before.

- **Better?** `headline`, higher is better; `lexicon_rules` is what a word list with spelling rules does on the same
  questions. Look at the interval in the report before you believe a difference. `keep` is how often it leaves alone
  what is right already; `gate` is 1 if it may take the champion's place.
- **Why?** Mark two runs, press *Compare*, switch on *Show diff only*. The chart view lays their curves over each other.
- **What next?** `pretrain/diagnosis.finding` says how the training ended; the tags beside it, on the run's own page,
  say by which numbers, and what to try.
- **Which answers?** *Artifact view*, table `gold/results.json`: the same question, both answers, side by side.
- **The report** is among a run's artifacts: `reports/gold.html`.
"""


@dataclass(frozen=True)
class Store:
    """An open store: MLflow's client and the id of the project's experiment in it."""

    client: "MlflowClient"
    experiment: str

    def latest(self, tags: Mapping[str, str], condition: str = "") -> "Run | None":
        """The latest run with these tags, and with a condition in MLflow's search language."""
        conditions = [f"tags.`{key}` = '{value}'" for key, value in tags.items()] + ([condition] if condition else [])
        order = ["attributes.start_time DESC"]
        found = self.client.search_runs([self.experiment], " and ".join(conditions), max_results=1, order_by=order)
        return found[0] if found else None


def probe(root: Path, must_exist: bool) -> None:
    """Asks SQLite, or the server, whether the store can be written now; a file that is yet to be made can.

    Raises:
        sqlite3.Error: It is locked for longer than `PROBE_SECONDS`, damaged, read-only, or gone.
        OSError: The server does not answer within `PROBE_SECONDS`.
    """
    if address := shared_store():
        if address.startswith(("http://", "https://")):
            urllib.request.urlopen(f"{address.rstrip('/')}/health", timeout=PROBE_SECONDS).close()  # noqa: S310
        return
    database = database_path(root)
    if not must_exist and not database.exists():
        return
    connecting = sqlite3.connect(f"{database.as_uri()}?mode=rw", timeout=PROBE_SECONDS, uri=True)
    with contextlib.closing(connecting) as connection:
        connection.execute("SELECT count(*) FROM sqlite_master")
        connection.execute("BEGIN IMMEDIATE")
        connection.rollback()


def open_store(root: Path) -> Store:
    """Opens the store of the project at `root`, making it if need be, and closes the runs whose processes have died."""
    set_environment()
    from filelock import FileLock
    from mlflow import MlflowClient

    lock = root / ".lal" / "tracking.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    # Two processes that make the store at the same time break it: "duplicate column name".
    with FileLock(lock, timeout=10):
        client = MlflowClient(tracking_uri=store_uri(root))
        found = client.get_experiment_by_name(EXPERIMENT)
        place = None if shared_store() else artifacts_uri(root)  # A server knows where it keeps files.
        experiment = found.experiment_id if found else client.create_experiment(EXPERIMENT, place)
        _describe(client, experiment, dict(found.tags) if found else {})
        for run in client.search_runs([experiment], "attributes.status = 'RUNNING'"):
            if is_dead(run.data.tags.get("lal.process", "")):
                client.set_terminated(run.info.run_id, "KILLED")
    return Store(client, experiment)


def set_environment() -> None:
    """Says how MLflow is to behave, where the person has not; before it is imported."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)


def is_tracking() -> bool:
    """Whether runs and models are recorded at all."""
    return os.environ.get("LAL_TRACKING", "on").lower() != "off"


def shared_store() -> str | None:
    """The address of a tracking server that the environment names, such as http://tracking.example.org:5000."""
    return os.environ.get("MLFLOW_TRACKING_URI") or None


def has_store(root: Path) -> bool:
    """Whether there can be runs to find."""
    return shared_store() is not None or database_path(root).exists()


def database_path(root: Path) -> Path:
    """The file the store of a project is in, if it is not a server's."""
    return root / "mlflow.db"


def store_uri(root: Path) -> str:
    """The store's address; absolute, so that a stage in a temporary workspace writes to the same one."""
    return shared_store() or f"sqlite:///{database_path(root)}"


def artifacts_uri(root: Path) -> str:
    """Where the files of runs go; without it they would land in ./mlruns of whatever folder is the current one."""
    return (root / "mlartifacts").as_uri()


def server_command(root: Path, port: int) -> list[str]:
    """The command line of MLflow's own server, for this computer only, on this project's store."""
    where = ["--backend-store-uri", store_uri(root), "--default-artifact-root", artifacts_uri(root)]
    return [sys.executable, "-m", "mlflow", "ui", *where, "--workers", "1", "--host", "127.0.0.1", "--port", str(port)]


def view_link(experiment: str, port: int) -> str:
    """Where that server shows the leaderboard."""
    return f"http://127.0.0.1:{port}/#/experiments/{experiment}/runs?workflowType=machine_learning&viewStateShareKey={VIEW}"


def _describe(client: "MlflowClient", experiment: str, tags: Mapping[str, str]) -> None:
    """Gives the experiment its note and the ready-made view (undocumented; ignored where it is not understood)."""
    numbers = [f"metrics.`{name}`" for name in LEADERBOARD]
    params = [f"params.`{name}`" for name in LEADERBOARD_PARAMS]
    view = {
        "searchFilter": "tags.`lal.kind` = 'pipeline'",
        "orderByKey": numbers[0],
        "orderByAsc": False,
        "selectedColumns": [*numbers, *params, *[f"tags.`{name}`" for name in LEADERBOARD_TAGS]],
    }
    wanted = {f"mlflow.sharedViewState.{VIEW}": json.dumps(view), "mlflow.note.content": NOTE}
    for key, value in wanted.items():
        if tags.get(key) != value:
            client.set_experiment_tag(experiment, key, value)
