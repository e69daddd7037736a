"""The model registry in a real MLflow store: one version a bundle, opened by MLflow and by Lal."""

import contextlib
import shutil
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lal.errors import RegistryError
from lal.export.facts import bundle_tags
from lal.export.manifest import check_manifest
from lal.records import Message
from lal.runtime import Runtime
from lal.tracking.registry import CHAMPION, ModelRegistry, model_folder, project_registry
from lal.tracking.store import ENVIRONMENT, PROBE_SECONDS, store_uri
from tests.shipped import judge, ship

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType:UserWarning"),  # MLflow's own, too
]

BUNDLE = Path("models/export")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LAL_TRACKING", "on")
    monkeypatch.delenv("DVC_ROOT", raising=False)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    ship(1)
    return tmp_path


@pytest.fixture
def registry(project: Path) -> ModelRegistry:
    return ModelRegistry(project)


def add(registry: ModelRegistry) -> int:
    return registry.register("lal", BUNDLE, bundle_tags(BUNDLE))


def test_the_same_bundle_is_one_version_that_says_where_it_is_from(project: Path, registry: ModelRegistry) -> None:
    assert registry.versions() == []
    assert (add(registry), add(registry)) == (1, 1)
    ship(2)
    assert add(registry) == 2
    first, second = registry.versions("lal")
    assert first.tags["lal.headline"] == "0.5000"
    assert first.manifest_sha256 != second.manifest_sha256
    assert bundle_tags(BUNDLE).items() <= second.tags.items()
    assert check_manifest(registry.folder(second)) == check_manifest(BUNDLE)
    assert registry.manifest(first).read_bytes() == (registry.folder(first) / "manifest.json").read_bytes()

    shutil.rmtree(project / "mlartifacts")  # As after the project was moved.
    with pytest.raises(RegistryError, match="are gone"):
        model_folder("models:/lal/2", project)
    assert add(registry) == 3


def test_an_alias_leads_to_its_folder_and_moves(project: Path, registry: ModelRegistry) -> None:
    add(registry)
    with pytest.raises(RegistryError, match="champion not found") as raised:
        model_folder("models:/lal@champion", project)
    assert "lal promote" in raised.value.remedy
    ship(2)
    add(registry)
    first, second = registry.versions()
    folders = []
    for version in (first, second, first):
        registry.point(CHAMPION, version)
        folders.append(model_folder("models:/lal@champion", project))
        assert folders[-1] == model_folder("models:/lal@champion", project)
    assert folders[0] == folders[2] == model_folder("models:/lal/1", project) != folders[1]
    assert [version.aliases for version in registry.versions()] == [("champion",), ()]


@pytest.mark.parametrize(
    ("uri", "match"),
    [
        ("models:/lal@champion", "nothing is registered yet"),
        ("models:/lal", "no registered model"),
        ("models:/lal/x", "no registered model"),
    ],
)
def test_what_is_no_version_is_told_with_a_remedy(project: Path, uri: str, match: str) -> None:
    with pytest.raises(RegistryError, match=match) as raised:
        model_folder(uri, project)
    assert raised.value.remedy
    assert not (project / "mlflow.db").exists()


def test_mlflow_opens_a_version_and_it_answers_as_the_bundle_does(
    project: Path, registry: ModelRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    add(registry)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store_uri(project))  # The next line sets it, and nobody would unset it.
    mlflow.set_tracking_uri(store_uri(project))
    opened = mlflow.pyfunc.load_model("models:/lal/1")
    question = [{"role": "user", "content": "Modernise: giue"}]
    runtime = Runtime.load(BUNDLE)
    expected = "".join(runtime.chat([Message(role="user", content="Modernise: giue")], runtime.settings()))
    assert opened.predict([{"messages": question}, {"messages": question}]) == [expected, expected]
    assert opened.metadata.signature is not None
    assert not list(project.rglob("*.pkl"))


@contextlib.contextmanager
def locked(database: Path) -> Iterator[None]:
    connection = sqlite3.connect(database)
    try:
        connection.execute("BEGIN EXCLUSIVE")
        yield
    finally:
        connection.close()


def test_a_locked_store_refuses_within_seconds(project: Path, registry: ModelRegistry) -> None:
    add(registry)
    ship(2)
    start = time.monotonic()
    with locked(project / "mlflow.db"), pytest.raises(RegistryError, match="cannot be reached: database is locked"):
        add(registry)
    assert time.monotonic() - start < PROBE_SECONDS + 2
    assert add(registry) == 2


def test_with_tracking_off_there_is_no_registry(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAL_TRACKING", "off")
    with pytest.raises(RegistryError, match="LAL_TRACKING is off"):
        project_registry(project).register("lal", BUNDLE, {})
    judge()
