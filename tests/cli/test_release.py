"""`lal release` from a model folder to the ledger."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from lal.cli.release import release
from lal.errors import DataError, ModelError, ParamsError
from lal.evaluation.gold.release import read_looks
from lal.export.manifest import write_manifest
from lal.files import write_json, write_jsonl
from tests.tiny_model import write_speaking_model

ROOT = Path(__file__).parents[2]
SECRET = "vnspoken"
HEADLINE = ("known", "unseen", "context", "keep")


def item(identity: str, slice_name: str, split: str) -> dict[str, object]:
    message = {"role": "user", "content": f"Modernise: {SECRET} {identity}"}
    row = {"id": identity, "slice": slice_name, "messages": [message], "scorer": "exact", "expected": f"un{identity}"}
    return row | {"difficulty": "easy", "source": "s", "split": split, "version": 1}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with an exported model and a gold set, and the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    write_speaking_model(Path("models/export"))
    write_manifest(Path("models/export"), {})
    write_json(Path("runs/export.json"), {"run_id": "abc123"})
    Path("params.yaml").write_text((ROOT / "params.yaml").read_text())
    write_jsonl(Path("gold/gold.jsonl"), [item("d1", "known", "dev")])
    write_jsonl(Path("gold/sealed.jsonl"), [item(f"s{n}", name, "sealed") for n, name in enumerate(HEADLINE * 2)])
    return tmp_path


def run(*arguments: str) -> Result:
    app = typer.Typer()
    app.command()(release)
    return CliRunner().invoke(app, list(arguments))


def test_a_look_scores_the_sealed_items_and_goes_on_record(project: Path) -> None:
    done = run("--note", "0.3.0")
    assert done.exit_code == 0, done.output
    (look,) = read_looks(Path("ledger/releases.jsonl"))
    assert (look.note, look.run_id, look.finished, look.gold_version) == ("0.3.0", "abc123", True, 0)
    assert sorted(look.items) == [f"s{n}" for n in range(8)], "dev items are not asked"
    assert look.headline is not None
    assert look.headline.num_scored == 8
    assert set(look.slices) == set(HEADLINE)
    assert "headline" in done.output
    assert "Look 1 on record; 1 of them at these items" in done.output
    files = [path for path in project.rglob("*") if path.is_file() and path.suffix in (".json", ".jsonl", ".html")]
    holders = [path for path in files if SECRET in path.read_text() and path.parent.name != "gold"]
    assert SECRET not in done.output
    assert holders == []


def test_each_call_is_one_look(project: Path) -> None:
    run("--note", "one")
    done = run("--note", "two")
    assert "Look 2 on record" in done.output
    assert "looked at before" in done.output


def test_a_look_needs_a_reason(project: Path) -> None:
    assert run().exit_code == 2
    assert read_looks(Path("ledger/releases.jsonl")) == []


def test_a_look_that_is_interrupted_stays_on_record(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("lal.evaluation.scores.scoring.score", interrupted)
    assert run("--note", "cut short").exit_code != 0
    (look,) = read_looks(Path("ledger/releases.jsonl"))
    assert (look.finished, look.headline) == (False, None)


def test_a_model_that_is_not_its_manifest_is_refused_without_a_look(project: Path) -> None:
    path = Path("models/export/generation_config.json")
    path.write_text(path.read_text().replace("9", "8"))
    assert isinstance(run("--note", "x").exception, ModelError)
    assert read_looks(Path("ledger/releases.jsonl")) == []


def test_without_an_export_there_is_no_look(project: Path) -> None:
    write_speaking_model(Path("models/instruct"))
    error = run("--note", "x", "--model", "models/none").exception
    assert isinstance(error, ModelError)
    assert "lal release --model models/instruct" in error.remedy
    assert run("--note", "x", "--model", "models/instruct").exit_code == 0
    Path("models/export/manifest.json").unlink()
    assert run("--note", "x").exit_code != 0
    assert len(read_looks(Path("ledger/releases.jsonl"))) == 1


def test_without_sealed_items_there_is_no_look(project: Path) -> None:
    Path("gold/sealed.jsonl").unlink()
    error = run("--note", "x").exception
    assert isinstance(error, DataError)
    assert "none of its 1 items is sealed" in error.problem
    write_jsonl(Path("gold/sealed.jsonl"), [item("s1", "known", "sealed")])
    assert isinstance(run("--note", "x").exception, ParamsError), "a headline slice has no sealed item"
    assert not Path("ledger/releases.jsonl").exists()


def test_a_spoilt_ledger_stops_a_look_before_it_is_taken(project: Path) -> None:
    run("--note", "one")
    ledger = Path("ledger/releases.jsonl")
    row = json.loads(ledger.read_text())
    ledger.write_text(json.dumps(row | {"look": 2}) + "\n")
    assert isinstance(run("--note", "two").exception, DataError)
    assert len(ledger.read_text().splitlines()) == 1
