"""The registry of a tracking server that several machines share, and MLflow's own model server: real ones."""

import json
import os
import shutil
import sys
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lal.cli.ui import server, wait_until_ready
from lal.errors import RegistryError
from lal.export.facts import bundle_tags
from lal.export.manifest import check_manifest
from lal.records import Message
from lal.runtime import Runtime
from lal.tracking.registry import CHAMPION, ModelRegistry, model_folder
from lal.tracking.store import ENVIRONMENT, PROBE_SECONDS, store_uri
from tests.shipped import ship
from tests.tracking.test_server import free_port

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType:UserWarning"),
]

BUNDLE = Path("models/export")


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with an exported bundle and no store of its own."""
    folder = tmp_path / "workplace"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("LAL_TRACKING", "on")
    monkeypatch.delenv("DVC_ROOT", raising=False)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    ship(1)
    return folder


@pytest.fixture
def address(tmp_path: Path, workplace: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A running tracking server, named in the environment."""
    port = free_port()
    where = ["--backend-store-uri", f"sqlite:///{tmp_path / 'server.db'}", "--artifacts-destination"]
    command = [sys.executable, "-m", "mlflow", "server", *where, str(tmp_path / "kept"), "--workers", "1"]
    log = tmp_path / "log"
    with server([*command, "--host", "127.0.0.1", "--port", str(port)], dict(os.environ), log) as process:
        wait_until_ready(process, port, log)
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
        yield f"http://127.0.0.1:{port}"


def test_a_bundle_goes_to_the_server_and_comes_back_whole_and_once(address: str, workplace: Path) -> None:
    registry = ModelRegistry(workplace)
    assert registry.register("lal", BUNDLE, bundle_tags(BUNDLE)) == 1
    (version,) = registry.versions()
    registry.point(CHAMPION, version)
    shutil.rmtree(workplace / ".lal")
    with ThreadPoolExecutor(4) as threads:
        folders = set(threads.map(lambda _: model_folder("models:/lal@champion", workplace), range(4)))
    (folder,) = folders
    assert check_manifest(folder) == check_manifest(BUNDLE)
    assert [path.name for path in (workplace / ".lal" / "registry").iterdir()] == [version.manifest_sha256]
    assert registry.register("lal", BUNDLE, bundle_tags(BUNDLE)) == 1
    registry.log_folder(version, BUNDLE, "champion/0001")
    registry.kept_folder(version, "champion/0001", workplace / "back")
    assert check_manifest(workplace / "back") == check_manifest(BUNDLE)
    assert registry.manifest(version).read_bytes() == (BUNDLE / "manifest.json").read_bytes()
    assert not {"mlflow.db", "mlartifacts", "mlruns"} & {path.name for path in workplace.iterdir()}


def test_a_server_that_has_gone_is_told_within_seconds(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(RegistryError, match="cannot be reached") as raised:
        model_folder("models:/lal@champion", workplace)
    assert "MLFLOW_TRACKING_URI" in raised.value.remedy
    assert PROBE_SECONDS <= 1


def test_mlflow_serves_the_champion(workplace: Path, tmp_path: Path) -> None:
    registry = ModelRegistry(workplace)
    registry.register("lal", BUNDLE, bundle_tags(BUNDLE))
    registry.point(CHAMPION, registry.versions()[0])
    port, log = free_port(), tmp_path / "log"
    model = ["-m", f"models:/lal@{CHAMPION}", "--env-manager", "local"]
    command = [sys.executable, "-m", "mlflow", "models", "serve", *model, "-h", "127.0.0.1", "-p", str(port)]
    paths = os.pathsep.join(path for path in sys.path if path)
    folder = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": folder, "PYTHONPATH": paths, "MLFLOW_TRACKING_URI": store_uri(workplace)}
    question = [{"role": "user", "content": "Modernise: giue"}]
    body = json.dumps({"inputs": [{"messages": question}]}).encode()
    with server(command, environment, log) as process:
        wait_until_ready(process, port, log)
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/invocations", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - ours, on loopback
            said = json.loads(answer.read())
    runtime = Runtime.load(BUNDLE)
    expected = "".join(runtime.chat([Message(role="user", content="Modernise: giue")], runtime.settings()))
    assert said == {"predictions": [expected]}
