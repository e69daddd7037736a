"""MLflow's model registry: each exported bundle is a version of one registered model, and an alias says which is used.

A version holds the whole bundle, and is found again by the SHA-256 of the bundle's manifest: the same bundle is one
version, however often it is registered. `models:/lal@champion` and `models:/lal/3` name versions, here as in MLflow.
"""

import contextlib
import json
import os
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lal import lineage
from lal.errors import DataError, LalError, RegistryError
from lal.files import sha256, write_bytes
from lal.tracking.model_address import Address, parse_address
from lal.tracking.store import (
    Store,
    has_store,
    is_tracking,
    open_store,
    probe,
    set_environment,
    shared_store,
    store_uri,
)
from lal.tracking.version_files import (
    IN_VERSION,
    MANIFEST,
    REGISTER_AGAIN,
    bundle_folder,
    demand_whole,
    download,
    log_files,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel
    from mlflow.entities.model_registry import ModelVersion

CHAMPION = "champion"
"""The alias of the version that was promoted last."""

MANIFEST_TAG, MODEL_TAG, DVC_TAG = "lal.manifest_sha256", "lal.model_id", "lal.dvc"

RUNS = ("evaluate", "export")
"""Stages whose MLflow runs a version names."""

LOCKED = ("data", "gold", "models")
"""Top folders whose digests in dvc.lock a version names."""

LOCK_SECONDS = 60

UNREACHABLE = "the model registry cannot be reached"

_folders: dict[tuple[str, str], Path] = {}
"""(store, model id) -> where the bundle lies; what it says is looked at again, and only ever grows."""


@dataclass(frozen=True)
class Version:
    """One registered bundle.

    Attributes:
        name: Of the registered model.
        number: Counts the versions of that name from 1.
        aliases: The names that point to it now.
        tags: What is known of it.
        run_id: The MLflow run of the `dvc repro` that exported it; None if it is not in this store.
    """

    name: str
    number: int
    aliases: tuple[str, ...]
    tags: Mapping[str, str]
    run_id: str | None

    @property
    def manifest_sha256(self) -> str:
        """What tells one bundle from another."""
        return self.tags[MANIFEST_TAG]

    @property
    def model_id(self) -> str:
        """Of MLflow's logged model, which holds the files."""
        return self.tags[MODEL_TAG]


class NoRegistry:
    """Where tracking is switched off."""

    def register(self, name: str, bundle: Path, tags: Mapping[str, str]) -> int:  # noqa: ARG002
        """Raises: RegistryError: Always."""
        raise RegistryError("LAL_TRACKING is off", "leave it out, and register again")


class ModelRegistry:
    """The registry of the project at `root`, or of the server that MLFLOW_TRACKING_URI names."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def register(self, name: str, bundle: Path, tags: Mapping[str, str]) -> int:
        """Keeps a whole bundle, once; see `lal.reporting.Registry`.

        To the tags come the runs that measured and exported it, git's commit, and DVC's digests of all data it is from.
        """
        digest = sha256(bundle / MANIFEST)
        with self._writing() as store, self.locked("registry"):
            if (found := self.find(name, digest)) and self._is_whole(found):
                return found.number
            run = _pipeline_run(store)
            tags = {**tags, MANIFEST_TAG: digest, **_origin_tags()}
            model = store.client.create_logged_model(store.experiment, name=name, source_run_id=run, tags=tags)
            log_files(store.client, model, bundle, run)
            demand_whole(bundle_folder(store.client, model.model_id, digest, self._root), digest)
            return _create_version(store, name, model, run, tags)

    def find(self, name: str, manifest_sha256: str) -> Version | None:
        """The latest version of a bundle, by the SHA-256 of its manifest; there are two only if files were lost."""
        found = [each for each in self.versions(name) if each.manifest_sha256 == manifest_sha256]
        return found[-1] if found else None

    def versions(self, name: str | None = None) -> list[Version]:
        """The registered bundles of a name or of all names, oldest first; none where there is no store.

        Raises:
            RegistryError: The registry cannot be reached.
        """
        if not has_store(self._root):
            return []
        with _translated():
            client = _reading(self._root)
            condition = f"name = '{name}'" if name else ""
            found: list[ModelVersion] = []
            token = None
            while True:
                page = client.search_model_versions(condition, max_results=1000, page_token=token)
                found += page
                if not (token := page.token):
                    break
            # A search leaves the aliases out.
            pointed = {each: dict(client.get_registered_model(each).aliases) for each in {one.name for one in found}}
        ours = [_version(each, pointed[each.name]) for each in found if MANIFEST_TAG in each.tags]
        return sorted(ours, key=lambda version: (version.name, version.number))

    def version(self, address: Address) -> Version:
        """The version that an address names.

        Raises:
            RegistryError: There is none, or the registry cannot be reached.
        """
        if not has_store(self._root):
            raise RegistryError(
                f"{address}: nothing is registered yet", "run `dvc repro`: its stage `register` does it"
            )
        with _translated(str(address)):
            client = _reading(self._root)
            if address.alias:
                found = client.get_model_version_by_alias(address.name, address.alias)
            else:
                found = client.get_model_version(address.name, str(address.number))
        if MANIFEST_TAG not in found.tags:
            problem = f"{address}: version {found.version} was not registered by Lal: it has no tag {MANIFEST_TAG}"
            raise RegistryError(problem, "name another version; `lal ui` shows them under Models")
        return _version(found, dict.fromkeys(found.aliases, found.version))

    def folder(self, version: Version) -> Path:
        """The bundle of a version as a folder of this computer, fetched if need be, whole or not at all.

        Raises:
            RegistryError: Its files are gone or not what was registered, or cannot be fetched.
        """
        key = (store_uri(self._root), version.model_id)
        if key not in _folders or not (_folders[key] / MANIFEST).is_file():
            with _translated(f"models:/{version.name}/{version.number}"):
                _folders[key] = bundle_folder(
                    _reading(self._root), version.model_id, version.manifest_sha256, self._root
                )
        return _folders[key]

    def manifest(self, version: Version) -> Path:
        """The manifest of a version's bundle, without the rest of it.

        Raises:
            RegistryError: It is gone or not what was registered, or cannot be fetched.
        """
        place = f"models:/{version.name}/{version.number}"
        kept = self._root / ".lal" / "registry" / f"{version.manifest_sha256}.json"
        with _translated(place):
            client = _reading(self._root)
            if not kept.is_file():
                with tempfile.TemporaryDirectory(prefix="lal-manifest-") as folder:
                    download(client, version.model_id, f"{IN_VERSION}/{MANIFEST}", Path(folder, MANIFEST))
                    write_bytes(kept, Path(folder, MANIFEST).read_bytes())
            if sha256(kept) != version.manifest_sha256:
                kept.unlink()
                raise RegistryError(f"{place}: its {MANIFEST} is not the one that was registered", REGISTER_AGAIN)
        return kept

    def log_folder(self, version: Version, folder: Path, place: str) -> None:
        """Keeps further files with a version, under `place`."""
        with self._writing() as store:
            store.client.log_model_artifacts(version.model_id, str(folder), place)

    def kept_folder(self, version: Version, place: str, target: Path) -> None:
        """Fetches files that `log_folder` kept into an empty folder."""
        with _translated(f"models:/{version.name}/{version.number}: {place}"):
            download(_reading(self._root), version.model_id, place, target)

    def set_tags(self, version: Version, tags: Mapping[str, str]) -> None:
        """Writes down something about a version."""
        with self._writing() as store:
            for key, value in tags.items():
                store.client.set_model_version_tag(version.name, str(version.number), key, value)

    def point(self, alias: str, version: Version) -> None:
        """Lets an alias name a version."""
        with self._writing() as store:
            store.client.set_registered_model_alias(version.name, alias, str(version.number))

    def name_tags(self, name: str) -> dict[str, str]:
        """The tags of a registered model as a whole; none if there is no such model."""
        if not has_store(self._root):
            return {}
        with _translated():
            found = _reading(self._root).search_registered_models(f"name = '{name}'")
        return dict(found[0].tags) if found else {}

    def set_name_tag(self, name: str, key: str, value: str) -> None:
        """Writes down something about a registered model as a whole."""
        with self._writing() as store:
            store.client.set_registered_model_tag(name, key, value)

    def demand_reachable(self) -> None:
        """Raises: RegistryError: It cannot be written now."""
        with self._writing():
            pass

    def _is_whole(self, version: Version) -> bool:
        """Whether its files are there; in a project that was moved they are not, and it is registered anew."""
        try:
            demand_whole(self.folder(version), version.manifest_sha256)
        except LalError:
            return False
        return True

    @contextlib.contextmanager
    def locked(self, what: str) -> Iterator[None]:
        """Keeps other processes of this project from doing the same for a while. Raises: RegistryError: One does."""
        from filelock import FileLock, Timeout

        lock = self._root / ".lal" / f"{what}.lock"
        lock.parent.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(lock, timeout=LOCK_SECONDS):
                yield
        except Timeout as error:
            raise RegistryError(f"{lock}: another process holds it", "wait for it, then run again") from error

    @contextlib.contextmanager
    def _writing(self) -> Iterator[Store]:
        """Lends the store, if it can be written. Raises: RegistryError: It cannot, or what was tried failed."""
        with _translated():
            probe(self._root, must_exist=False)
            yield open_store(self._root)


def project_registry(root: Path) -> ModelRegistry | NoRegistry:
    """The registry of a project; with LAL_TRACKING=off, none."""
    return ModelRegistry(root) if is_tracking() else NoRegistry()


def model_folder(uri: str, root: Path) -> Path:
    """The bundle that `models:/lal@champion` or `models:/lal/3` names, as a folder of this computer.

    Made to be asked every few seconds, by several threads: it costs a query of the registry, and files are fetched from
    a server once for each version. What it returns is whole and stays as it is; when the alias moves, the next call
    returns another folder.

    Args:
        uri: As MLflow writes it.
        root: The project, whose store counts unless MLFLOW_TRACKING_URI names another.

    Raises:
        RegistryError: No such version, or its files or the registry are out of reach.
    """
    registry = ModelRegistry(root)
    return registry.folder(registry.version(parse_address(uri)))


@cache
def _client(uri: str) -> "MlflowClient":
    set_environment()
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri)


def _reading(root: Path) -> "MlflowClient":
    """A client to read with; a server that does not answer is found out within a second, not after MLflow's four."""
    uri = store_uri(root)
    if uri.startswith(("http://", "https://")):
        probe(root, must_exist=True)
    return _client(uri)


@contextlib.contextmanager
def _translated(what: str = "") -> Iterator[None]:
    """Makes what MLflow, SQLite and the network raise one of our errors."""
    from filelock import Timeout
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    remedy = f"is MLFLOW_TRACKING_URI right ({os.environ.get('MLFLOW_TRACKING_URI', 'not set')}), does the server run?"
    try:
        yield
    except (MlflowException, SQLAlchemyError, sqlite3.Error, OSError, Timeout, DataError) as error:
        first = str(error).splitlines()[0][:300] if str(error) else type(error).__name__
        if getattr(error, "error_code", "") in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            missing = "`lal promote` names the champion, `lal ui` lists versions under Models"
            raise RegistryError(f"{what or 'registry'}: {first}", missing) from error
        raise RegistryError(f"{f'{what}: ' if what else ''}{UNREACHABLE}: {first}", remedy) from error


def _version(found: "ModelVersion", pointed: Mapping[str, Any]) -> Version:
    number = int(found.version)
    aliases = tuple(sorted(alias for alias, target in pointed.items() if int(target) == number))
    return Version(found.name, number, aliases, dict(found.tags), found.run_id or None)


def _create_version(store: Store, name: str, model: "LoggedModel", run: str | None, tags: Mapping[str, str]) -> int:
    """The version appears with all its tags at once, and last: a crash before leaves files that nothing names."""
    from mlflow.exceptions import MlflowException

    with contextlib.suppress(MlflowException):  # It exists already.
        store.client.create_registered_model(name, description="What Lal exported, one bundle a version.")
    # Given `models:/<id>` as its source, or a model without a run, a local store asks for it in the store of the
    # environment, which need not be this one. A server's is, and it demands the model.
    is_found = run is not None or shared_store() is not None
    created = store.client.create_model_version(
        name,
        model.artifact_location,
        run_id=run,
        tags={**tags, MODEL_TAG: model.model_id},
        description=tags.get("lal.gate", ""),
        model_id=model.model_id if is_found else None,
    )
    return int(created.version)


def _pipeline_run(store: Store) -> str | None:
    """The run of the `dvc repro` in which the bundle was exported: it has all params, scores and reports."""
    from mlflow.exceptions import MlflowException

    if run := lineage.recorded_run(Path("runs/export.json")):
        with contextlib.suppress(MlflowException):  # The run is in another computer's store, or was deleted.
            return str(store.client.get_run(run).data.tags.get("mlflow.parentRunId", run))
    return None


def _origin_tags() -> dict[str, str]:
    """Runs, commit and, as JSON, DVC's digests of all that the bundle in this folder was made from."""
    tags: dict[str, str | None] = {
        f"lal.run.{stage}": lineage.recorded_run(Path("runs", f"{stage}.json")) for stage in RUNS
    }
    if git := lineage.git_state(Path.cwd()):
        tags |= {"lal.commit": git.commit, "lal.uncommitted": ", ".join(git.changed)[:1000] or "no"}
    stages = lineage.upstream(lineage.read_stages(Path("dvc.yaml")), "register")
    digests = lineage.locked_digests(Path("dvc.lock"), stages)
    used = {path: digest for path, digest in digests.items() if Path(path).parts[0] in LOCKED}
    tags[DVC_TAG] = json.dumps(used) if used else None
    return {key: value for key, value in tags.items() if value}
