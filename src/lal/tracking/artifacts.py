"""Files that runs keep, fetched back."""

from pathlib import Path

from lal.errors import LalError
from lal.tracking.store import has_store, open_store

RUNS_A_PAGE = 1000


def matching_runs(root: Path, prefix: str) -> list[str]:
    """Ids of the runs that begin so, stages and pipelines alike; none where there is no store."""
    if not has_store(root):
        return []
    store = open_store(root)
    found: list[str] = []
    token = None
    while True:
        page = store.client.search_runs([store.experiment], max_results=RUNS_A_PAGE, page_token=token)
        found += [run.info.run_id for run in page if run.info.run_id.startswith(prefix)]
        if not (token := page.token):
            return found


def run_file(root: Path, run: str, artifact: str) -> Path:
    """A file that a run keeps, such as reports/gold.jsonl, as a file of this computer.

    Raises:
        LalError: The run has no such file, or it is out of reach.
    """
    from mlflow.exceptions import MlflowException

    client = open_store(root).client
    folder = artifact.rpartition("/")[0]
    try:
        if artifact in {entry.path for entry in client.list_artifacts(run, folder)}:
            return Path(client.download_artifacts(run, artifact))
    except (MlflowException, OSError) as error:
        problem = f"run {run}: its files cannot be read: {str(error).splitlines()[0]}"
        raise LalError(problem, "they may be on another computer, or the project was moved") from error
    problem = f"run {run}: keeps no {artifact}"
    raise LalError(problem, "name a run of a `dvc repro` that reached `evaluate`; `lal ui` lists a run's artifacts")
