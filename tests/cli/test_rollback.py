"""`lal promote`, `lal rollback` and `lal trace` over a real registry."""

import contextlib
import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from lal.cli import app
from lal.errors import GateError, LalError, ModelError, RegistryError
from lal.evaluation.verdict.champion import read_champion
from lal.tracking.model_address import parse_address
from lal.tracking.registry import CHAMPION, ModelRegistry
from lal.tracking.store import ENVIRONMENT
from tests.shipped import judge, ship

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType:UserWarning"),  # MLflow's own, too
]

ROOT = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LAL_TRACKING", "on")
    monkeypatch.delenv("DVC_ROOT", raising=False)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    shutil.copy(ROOT / "params.yaml", "params.yaml")
    Path("champion").mkdir()
    return tmp_path


def lal(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def done(*arguments: str) -> str:
    result = lal(*arguments)
    assert result.exit_code == 0, (result.output, result.exception)
    return result.output


def refused(kind: type[LalError], *arguments: str) -> LalError:
    error = lal(*arguments).exception
    assert isinstance(error, kind), error
    return error


def promote(seed: int) -> str:
    """Ships a model and promotes it; the digest of its weights."""
    weights = ship(seed)
    done("promote")
    return weights


def champion() -> tuple[int, str]:
    """The version that the alias names, and the weights that champion/ speaks of."""
    version = ModelRegistry(Path.cwd()).version(parse_address("models:/lal@champion"))
    held = read_champion(Path("champion"))
    assert held is not None
    return version.number, held.facts.model_sha256


def test_each_way_back_restores_alias_and_folder_until_there_is_none_before(project: Path) -> None:
    assert "no model was promoted in this registry" in refused(RegistryError, "rollback").problem
    weights = {number: promote(number) for number in (1, 2, 3)}
    assert champion() == (3, weights[3])
    kept = Path("champion/champion.json").read_bytes()
    said = done("rollback", "--reason", "it was slow")
    assert "version 3 -> 2" in said
    assert "git add champion && git commit" in said
    assert champion() == (2, weights[2])
    done("rollback")
    assert champion() == (1, weights[1])
    assert "version 1 is the first champion" in refused(RegistryError, "rollback").problem
    assert "never was the champion; there were 1, 2, 3" in refused(RegistryError, "rollback", "--to", "9").problem
    done("rollback", "--to", "3")
    assert Path("champion/champion.json").read_bytes() == kept

    judge()  # `dvc repro` exports it again, with the verdict on itself: another bundle, the same weights.
    assert "version 3 is the champion now" in refused(RegistryError, "rollback", "--to", "3").problem


def test_a_champion_that_the_registry_does_not_know_is_not_overwritten(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _, third = promote(1), promote(2), ship(3)
    with monkeypatch.context() as off:
        off.setenv("LAL_TRACKING", "off")
        assert "the registry was not told" in done("promote")
    assert "holds a champion that the registry does not know" in refused(GateError, "rollback").problem
    judge()
    assert "now the registry knows it, too" in done("promote")
    assert champion() == (3, third)
    done("rollback", "--to", "1")
    assert champion() == (1, first)


@pytest.mark.parametrize("last", ["promote", "rollback"])
@pytest.mark.parametrize("step", ["copy_champion_folder", "finish"])
def test_a_change_that_was_cut_short_is_finished_by_the_next_one(
    project: Path, monkeypatch: pytest.MonkeyPatch, last: str, step: str
) -> None:
    weights = {number: promote(number) for number in (1, 2)}
    if last == "promote":
        weights[3] = ship(3)

    def kill(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as killed:
        place = "lal.cli.champions" if step == "copy_champion_folder" else "lal.tracking.champions.Champions"
        killed.setattr(f"{place}.{step}", kill)
        assert lal(last).exit_code != 0
    expected = 3 if last == "promote" else 1
    assert f"cut short; it is done now: version {expected} is the champion" in done(last)
    assert champion() == (expected, weights[expected])


def test_a_registry_out_of_reach_stops_a_promotion_before_anything_is_changed(project: Path) -> None:
    weights = promote(1)
    ship(2)
    with contextlib.closing(sqlite3.connect("mlflow.db")) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        error = refused(RegistryError, "promote")
    assert "cannot be reached: database is locked" in error.problem
    assert error.remedy
    assert champion() == (1, weights)


def trace(*arguments: str) -> Any:
    return json.loads(done("trace", "--json", *arguments))["matches"]


def test_a_shipped_file_is_traced_wherever_it_lies(project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    weights = promote(1)
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "renamed.bin"
    shutil.copy("models/export/model.safetensors", elsewhere)
    promote(2)
    (old,) = trace(str(elsewhere))
    assert (old["bundle"], old["name"], old["champion"]["now"]) == ("models:/lal/1", "model.safetensors", False)
    assert old["champion"]["turns"][0]["action"] == "promote"
    assert old["measured"]["gate"]["sentence"] == "Gate passed."
    assert old["stages"]["sft"]["params"] == {"sft": {"epochs": 4.0}}
    assert old["sources"]["microgpt"]["sha256"] == "48" * 32
    assert [match["bundle"] for match in trace("models/export")] == ["models:/lal/2", "models/export"]
    text = done("trace", str(elsewhere))
    assert "it is          model.safetensors of models:/lal/1" in text
    assert "champion       was once; promote on" in text

    elsewhere.write_bytes(elsewhere.read_bytes()[:-1] + b"x")
    error = refused(ModelError, "trace", str(elsewhere))
    assert "no known bundle has such a file" in error.problem
    assert f"model.safetensors has sha256 {weights} in models:/lal/1" in error.problem


def test_without_a_registry_a_file_is_known_by_the_manifest_beside_it(project: Path) -> None:
    ship(1)
    shutil.copytree("models/export", "sent")
    shutil.rmtree("models")
    (match,) = trace("sent/config.json")
    assert (match["bundle"], match["registered"]) == ("sent", None)
    assert "not known: no registered version" in done("trace", "sent/config.json")
    changed = Path("sent/tokenizer.json")
    changed.write_text(changed.read_text().replace("e", "f", 1))
    assert "tokenizer.json has sha256" in refused(ModelError, "trace", str(changed)).problem
    assert "tokenizer.json: sha256 is" in refused(ModelError, "trace", "sent").problem
    assert "nothing is registered or exported" in refused(ModelError, "trace", "params.yaml").problem
    assert not Path("mlflow.db").exists()
    assert lal("trace", "--json", str(changed)).exit_code == 1
    assert CHAMPION == "champion"
