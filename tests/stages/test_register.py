"""Stage `register` with registries of the test's own; tests/tracking has the real one."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from lal.errors import ModelError, RegistryError
from lal.params import load_params
from lal.reporting import NullReporter
from lal.stages.register import register
from tests.shipped import ship

PARAMS = load_params(Path(__file__).parents[2] / "params.yaml")


class Listener(NullReporter):
    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, message: str) -> None:
        self.said.append(message)


class Shelf:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.tags: Mapping[str, str] = {}

    def register(self, name: str, bundle: Path, tags: Mapping[str, str]) -> int:
        self.tags = tags
        return 3


class Closed:
    def register(self, name: str, bundle: Path, tags: Mapping[str, str]) -> int:
        raise RegistryError("database is locked", "wait")


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    ship(1)
    return Path("models/export")


def test_a_bundle_is_registered_with_what_its_manifest_says_of_it(bundle: Path) -> None:
    listener, shelf = Listener(), Shelf()
    metrics = register(params=PARAMS, bundle=bundle, registry=shelf, reporter=listener)
    assert metrics == {"version": 3, "name": ["lal"]}
    assert listener.said == ["models/export: models:/lal/3"]
    assert shelf.tags["lal.headline"] == "0.5000"
    assert shelf.tags["lal.gate"] == "Gate passed."
    assert shelf.tags["lal.gate_passed"] == "yes"
    assert shelf.tags["lal.gold_versions"] == "1 items of version 2"
    assert {len(shelf.tags[key]) for key in ("lal.manifest_sha256", "lal.model_sha256")} == {64}


def test_a_registry_out_of_reach_costs_a_line_that_says_how_to_make_up_for_it(bundle: Path) -> None:
    listener = Listener()
    assert register(params=PARAMS, bundle=bundle, registry=Closed(), reporter=listener)["version"] == 0
    (said,) = listener.said
    assert said.startswith("NOT REGISTERED: models/export: database is locked")
    assert "dvc repro -f register" in said


def test_a_bundle_that_is_not_what_its_manifest_says_is_not_registered(bundle: Path) -> None:
    (bundle / "config.json").write_text("{}")
    with pytest.raises(ModelError, match=r"config\.json: sha256"):
        register(params=PARAMS, bundle=bundle, registry=Shelf(), reporter=Listener())
