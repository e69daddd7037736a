"""The files of a registered version: the bundle, and beside it what MLflow needs to open it."""

import shutil
import tempfile
import urllib.parse
import urllib.request
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from lal.errors import RegistryError
from lal.files import read_json, sha256

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel

MANIFEST = "manifest.json"

IN_VERSION = "artifacts/bundle"
"""Where the bundle lies among the files of a version."""

EXAMPLE = [{"messages": [{"role": "user", "content": "Modernise: Haue you had quiet Guard?"}]}]

REGISTER_AGAIN = "register it again: `dvc repro -f register`"


def log_files(client: "MlflowClient", model: "LoggedModel", bundle: Path, run: str | None) -> None:
    """Writes the files of a version: the bundle, and what MLflow needs to open it."""
    from mlflow.models import Model
    from mlflow.pyfunc import save_model

    needs = [f"{package}=={version(package).partition('+')[0]}" for package in ("mlflow", "torch", "lal")]
    with tempfile.TemporaryDirectory(prefix="lal-register-") as folder:
        copy, target = Path(folder, Path(IN_VERSION).name), Path(folder, "model")
        shutil.copytree(bundle, copy)
        about = Model(
            artifact_path=model.artifact_location, run_id=run, model_uuid=model.model_id, model_id=model.model_id
        )
        save_model(
            path=str(target),
            mlflow_model=about,
            python_model=str(Path(__file__).with_name("model_from_code.py")),
            artifacts={copy.name: str(copy)},
            input_example=EXAMPLE,
            pip_requirements=needs,  # Otherwise MLflow loads the model once more, in a process, to find them out.
        )
        client.log_model_artifacts(model.model_id, str(target))
    client.finalize_logged_model(model.model_id, "READY")


def bundle_folder(client: "MlflowClient", model_id: str, digest: str, root: Path) -> Path:
    """The bundle of a version on this computer: where the store has it, or fetched once, whole or not at all.

    Raises:
        RegistryError: It is gone, or not what was registered.
    """
    location = client.get_logged_model(model_id).artifact_location
    if location.startswith("file:"):
        folder = _path_of(location) / IN_VERSION
        if not (folder / MANIFEST).is_file():
            problem = f"{folder}: the files of this version are gone; was the project moved?"
            raise RegistryError(problem, REGISTER_AGAIN)
        return folder
    folder = root / ".lal" / "registry" / digest
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix="part-") as part:
            download(client, model_id, IN_VERSION, Path(part, "bundle"))
            demand_whole(Path(part, "bundle"), digest)
            try:
                Path(part, "bundle").rename(folder)
            except OSError:
                if not folder.is_dir():  # If it is, another thread was first: its copy is as good.
                    raise
    return folder


def download(client: "MlflowClient", model_id: str, place: str, target: Path) -> None:
    """Copies a file or a folder of a logged model to a new place."""
    location = client.get_logged_model(model_id).artifact_location
    if location.startswith("file:"):
        source = _path_of(location) / place
        (shutil.copytree if source.is_dir() else shutil.copyfile)(source, target)
        return
    from mlflow.artifacts import download_artifacts

    with tempfile.TemporaryDirectory(dir=target.parent, prefix="fetch-") as folder:
        uri = f"{location.rstrip('/')}/{place}"
        fetched = download_artifacts(artifact_uri=uri, dst_path=folder, tracking_uri=client.tracking_uri)
        Path(fetched).rename(target)


def demand_whole(folder: Path, digest: str) -> None:
    """Raises: RegistryError: A folder is not the bundle with the manifest of that digest."""
    listed = read_json(folder / MANIFEST)["files"]
    wrong = [name for name, entry in listed.items() if sha256(folder / name) != entry["sha256"]]
    if sha256(folder / MANIFEST) != digest:
        wrong.append(MANIFEST)
    if wrong:
        problem = f"{folder}: not the bundle that was registered: {', '.join(sorted(wrong))}"
        raise RegistryError(problem, REGISTER_AGAIN)


def _path_of(location: str) -> Path:
    return Path(urllib.request.url2pathname(urllib.parse.urlparse(location).path))
