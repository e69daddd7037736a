"""The stage `gate`: verdict and report out of a result file, with and without a champion."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from lal.errors import DataError, GateError
from lal.evaluation.scores.results import Result, write_results
from lal.evaluation.verdict.champion import ChampionFacts, write_champion
from lal.files import sha256
from lal.params import GateParams, Params, load_params
from lal.stages.gate import demand_passed, gate
from tests.gate_inputs import write_gate_inputs

ROOT = Path(__file__).parents[2]


class Listener:
    """Keeps what a stage says."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.attached: list[Path] = []

    def numbers(self, values: Mapping[str, float], step: int) -> None:
        raise AssertionError("a gate has no curve")

    def attach(self, path: Path) -> None:
        self.attached.append(path)

    def table(self, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        raise AssertionError("the answers are the evaluation's to table")

    def say(self, message: str) -> None:
        self.said.append(message)


def answers(signs: str, solver: str = "lal", place: str = "known") -> list[Result]:
    """`+` right, `-` wrong, one an item."""
    return [
        Result(
            item_id=f"{place}-{number}",
            solver=solver,
            slice=place,
            subslice="",
            source="macbeth",
            scorer="exact",
            prompt=f"Modernise: haue {number} <b>",
            expected=f"have {number} <b>",
            alternatives=(),
            text=f"have {number} <b>" if sign == "+" else f"hath {number}",
            finish_reason="stop",
            num_tokens=2,
            scores={"exact": float(sign == "+"), "character_error_rate": 0.0 if sign == "+" else 0.25},
            explanation="",
        )
        for number, sign in enumerate(signs)
    ]


FACTS = ChampionFacts(
    promoted_on="2026-11-20",
    reason="the first <one>",
    gate="Gate passed.",
    run_id=None,
    commit=None,
    uncommitted=(),
    model_sha256="ab" * 32,
    gold_versions={"1": 20},
    results_sha256="",
)


def params(*conditions: dict[str, Any], stop: bool = False) -> Params:
    whole = load_params(ROOT / "params.yaml")
    chosen = GateParams.model_validate({"stop": stop, "conditions": list(conditions)})
    return whole.model_copy(update={"gate": chosen, "gold": whole.gold.model_copy(update={"headline": ("known",)})})


def condition(against: Any, required: Any = "not_refuted", place: str = "known") -> dict[str, Any]:
    return {"metric": "exact", "slice": place, "against": against, "margin": 0.0, "required": required}


@pytest.fixture
def project(tmp_path: Path) -> dict[str, Any]:
    """12 of 20 right where a table gets 10, no champion, no noise measured."""
    write_results(tmp_path / "gold.jsonl", answers("+" * 12 + "-" * 8) + answers("+" * 10 + "-" * 10, "rules"))
    (tmp_path / "champion").mkdir()
    return {
        "answers": tmp_path / "gold.jsonl",
        **write_gate_inputs(tmp_path, answers("+" * 12 + "-" * 8)),
        "champion": tmp_path / "champion",
        "report": tmp_path / "reports" / "gold.html",
    }


def test_the_verdict_is_told_written_and_shown(project: dict[str, Any]) -> None:
    listener = Listener()
    metrics = gate(params=params(condition("rules", "shown")), reporter=listener, **project)
    assert metrics["passed"] == 0
    assert metrics["digests"] == [{"answers": sha256(project["answers"])}]
    table, sentence, judged = listener.said
    assert table.splitlines()[1].split()[:2] == ["headline", "20"]
    assert "These items cannot tell whether Lal adds anything over rules (0.60 against 0.50" in table
    assert sentence == metrics["verdict"][0]
    assert "cannot tell whether it is worse" in judged
    assert listener.attached == [project["report"]]
    page = project["report"].read_text()
    assert '<section id="verdict">' in page
    for section in ("ladder", "verdict", "shares", "groups", "overlap", "training", "all"):
        assert f'<a href="#{section}">' in page
        assert f'<section id="{section}"' in page
    assert "`lal noise` does" in page
    assert "Next to try: &lt;pretrain.learning_rate&gt;" in page
    assert page.count('<svg class="curve"') == 2
    assert "nats a token: training 3 to 2, validation 3.1 to 2.5" in page
    assert "Gate NOT passed: 1 of 1 required conditions fails" in page
    assert "not shown: cannot tell" in page
    assert "None yet: <code>lal promote</code>" in page


def test_a_champion_is_compared_item_by_item(project: dict[str, Any]) -> None:
    write_champion(project["champion"], answers("-" * 4 + "+" * 16), FACTS)
    listener = Listener()
    metrics = gate(params=params(condition("champion")), reporter=listener, **project)
    assert (metrics["passed"], metrics["num_cannot_tell"]) == (1, 1)
    assert metrics["digests"][0]["champion"] == sha256(project["champion"] / "champion.json")
    page = project["report"].read_text()
    assert "4 items fixed, 8 broken" in page
    assert "because: the first &lt;one&gt;" in page
    assert page.index("<h3>Broken <small>8 items") < page.index("<h3>Fixed <small>4 items")
    assert "2 more broken" in page


def test_a_worse_model_is_a_result_and_stops_the_pipeline_only_if_asked_to(project: dict[str, Any]) -> None:
    write_champion(project["champion"], answers("+" * 20), FACTS)
    for stop in (False, True):
        chosen = params(condition("champion"), stop=stop)
        metrics = gate(params=chosen, reporter=Listener(), **project)
        assert metrics["passed"] == 0
        assert "\N{DOWNWARDS ARROW} worse" in project["report"].read_text()
        if not stop:
            demand_passed(metrics, chosen)
            continue
        with pytest.raises(GateError, match="exact on known against champion") as raised:
            demand_passed(metrics, chosen)
        assert "0.600 (12 of 20) against 1.000" in str(raised.value)
        assert "gate.stop" in raised.value.remedy


def test_a_second_run_writes_the_same_bytes(project: dict[str, Any]) -> None:
    write_champion(project["champion"], answers("-" * 4 + "+" * 16), FACTS)
    chosen = params(condition("champion"), condition("rules", False), condition(0.5, "observed"))
    first = gate(params=chosen, reporter=Listener(), **project)
    page = project["report"].read_bytes()
    assert gate(params=chosen, reporter=Listener(), **project) == first
    assert project["report"].read_bytes() == page


def test_a_champion_of_other_items_is_no_crash(project: dict[str, Any]) -> None:
    write_champion(project["champion"], answers("+" * 9, place="elsewhere"), FACTS)
    metrics = gate(params=params(condition("champion")), reporter=Listener(), **project)
    assert metrics["passed"] == 0
    assert "new gold set" in metrics["conditions"][0]["sentence"]
    assert "It answered none of these items" in project["report"].read_text()


def test_half_a_champion_is_an_error_before_anything_is_written(project: dict[str, Any]) -> None:
    write_champion(project["champion"], answers("+"), FACTS)
    (project["champion"] / "champion.json").unlink()
    with pytest.raises(DataError, match=r"champion\.json: missing"):
        gate(params=params(), reporter=Listener(), **project)
    assert not project["report"].exists()
