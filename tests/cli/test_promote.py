"""`lal promote` in a project whose files are made by the stages' own functions."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from lal.cli import app
from lal.errors import DataError, GateError, LalError, ModelError
from lal.evaluation.scores.results import Result as GoldResult
from lal.evaluation.scores.results import write_results
from lal.evaluation.verdict.champion import read_champion
from lal.evaluation.verdict.judgement import GateVerdict, Judgement, gate_json
from lal.export.manifest import write_manifest
from lal.files import sha256, write_json, write_jsonl

ITEM: dict[str, Any] = {
    "id": "g1",
    "slice": "known",
    "messages": [{"role": "user", "content": "Modernise: haue"}],
    "scorer": "exact",
    "expected": "have",
    "difficulty": "easy",
    "source": "macbeth",
    "split": "dev",
    "version": 2,
}


def answer(solver: str, text: str = "have") -> GoldResult:
    return GoldResult(
        item_id="g1",
        solver=solver,
        slice="known",
        subslice="",
        source="macbeth",
        scorer="exact",
        prompt="Modernise: haue",
        expected="have",
        alternatives=(),
        text=text,
        finish_reason="stop",
        num_tokens=1,
        scores={"exact": float(text == "have")},
        explanation="",
    )


def judge(passed: bool) -> None:
    """What the stage `gate` leaves, and after it `export`."""
    judgement = Judgement(
        metric="exact",
        slice="keep",
        against="champion",
        margin=0.0,
        required="not_refuted",
        outcome="met" if passed else "unmet",
        sentence="exact on keep against champion: worse",
        is_floor=False,
    )
    digests = {"answers": sha256(Path("reports/gold.jsonl"))}
    if Path("champion/champion.json").exists():
        digests["champion"] = sha256(Path("champion/champion.json"))
    write_json(Path("metrics/gate.json"), gate_json(GateVerdict((judgement,)), digests))
    inputs = {"gold_answers": sha256(Path("reports/gold.jsonl")), "gate": sha256(Path("metrics/gate.json"))}
    write_manifest(Path("models/export"), {"inputs": inputs})


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project after `dvc repro`, its model let through by the gate."""
    monkeypatch.chdir(tmp_path)
    write_results(Path("reports/gold.jsonl"), [answer("copy", "haue"), answer("lal")])
    write_jsonl(Path("gold/gold.jsonl"), [ITEM, ITEM | {"id": "g2", "version": 1}])
    Path("models/export").mkdir(parents=True)
    Path("models/export/model.safetensors").write_bytes(b"weights")
    Path("champion").mkdir()
    write_json(Path("runs/evaluate.json"), {"run_id": "1f2e"})
    judge(passed=True)
    return tmp_path


def promote(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["promote", *arguments])


def refused(kind: type[LalError], *arguments: str) -> LalError:
    error = promote(*arguments).exception
    assert isinstance(error, kind), error
    return error


def test_a_model_that_passed_becomes_the_champion(project: Path) -> None:
    done = promote()
    assert done.exit_code == 0, done.output
    held = read_champion(Path("champion"))
    assert held is not None
    assert held.results == [answer("lal")]
    assert held.facts.run_id == "1f2e"
    assert held.facts.model_sha256 == sha256(Path("models/export/model.safetensors"))
    assert held.facts.gold_versions == {"2": 1}
    assert held.facts.gate.startswith("Gate passed")
    assert "as the first champion" in done.output
    assert "git add champion && git commit" in done.output


def test_a_model_that_the_gate_refused_is_promoted_only_for_a_reason(project: Path) -> None:
    judge(passed=False)
    error = refused(GateError)
    assert "Gate NOT passed" in error.problem
    assert "exact on keep against champion: worse" in error.problem
    assert "--reason" in error.remedy
    assert read_champion(Path("champion")) is None
    refused(GateError, "--reason", "  ")
    done = promote("--reason", "new gold set")
    assert "The gate had refused it" in done.output
    held = read_champion(Path("champion"))
    assert held is not None
    assert held.facts.reason == "new gold set"
    assert held.facts.gate.startswith("Gate NOT passed")


@pytest.mark.parametrize("arguments", [(), ("--reason", "I want it")])
def test_a_verdict_on_other_answers_promotes_nothing_whatever_the_reason(
    project: Path, arguments: tuple[str, ...]
) -> None:
    write_results(Path("reports/gold.jsonl"), [answer("lal", "hath")])
    assert "not about reports/gold.jsonl as it is now" in refused(GateError, *arguments).problem
    assert read_champion(Path("champion")) is None


def test_a_model_exported_before_the_verdict_is_not_promoted(project: Path) -> None:
    before = Path("models/export/manifest.json").read_bytes()
    judge(passed=False)
    Path("models/export/manifest.json").write_bytes(before)
    assert "made with another metrics/gate.json" in refused(GateError, "--reason", "x").problem


def test_other_weights_than_the_exported_ones_are_not_promoted(project: Path) -> None:
    Path("models/export/model.safetensors").write_bytes(b"others")
    assert "sha256 is" in refused(ModelError).problem


def test_what_was_not_made_yet_is_asked_for(project: Path) -> None:
    shutil.rmtree("models")
    assert "no exported model" in refused(GateError).problem
    Path("metrics/gate.json").unlink()
    assert "dvc repro" in refused(DataError).remedy


def test_the_champion_itself_is_not_promoted_twice_and_a_stale_verdict_is_noticed(project: Path) -> None:
    promote()
    before = Path("champion/champion.json").read_bytes()
    assert "another champion than the one in champion" in refused(GateError).problem
    judge(passed=True)
    assert "is the champion already" in promote().output
    assert Path("champion/champion.json").read_bytes() == before


def test_a_new_model_takes_the_place_of_the_old_one(project: Path) -> None:
    promote()
    old = sha256(Path("models/export/model.safetensors"))
    Path("models/export/model.safetensors").write_bytes(b"better weights")
    judge(passed=True)
    assert f"in place of {old[:12]}" in promote().output


def test_without_tracking_the_run_is_not_known_and_that_is_all(project: Path) -> None:
    Path("runs/evaluate.json").unlink()
    assert promote().exit_code == 0
    held = read_champion(Path("champion"))
    assert held is not None
    assert held.facts.run_id is None


def test_the_summary_ends_with_the_verdict(project: Path) -> None:
    shutil.copy(Path(__file__).parents[2] / "params.yaml", "params.yaml")
    assert CliRunner().invoke(app, ["summary"]).output.rstrip().endswith("`lal promote` makes it the champion.")
    judge(passed=False)
    lines = CliRunner().invoke(app, ["summary"]).output.rstrip().splitlines()
    assert lines[-2:] == [
        "  FAILS  exact on keep against champion: worse",
        "Gate NOT passed: 1 of 1 required conditions fails: exact on keep against champion.",
    ]
    Path("metrics/gate.json").unlink()
    assert "has not judged this model yet" in CliRunner().invoke(app, ["summary"]).output
