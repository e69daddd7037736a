from pathlib import Path
from typing import Any

import pytest

from lal.errors import DataError
from lal.evaluation.statistics.paired import Difference
from lal.evaluation.verdict.gate_file import read_gate
from lal.evaluation.verdict.judgement import GateVerdict, Judgement, gate_json
from lal.files import write_json


def judgement(**changes: Any) -> Judgement:
    values: dict[str, Any] = {
        "metric": "exact",
        "slice": "keep",
        "against": "champion",
        "margin": 0.02,
        "required": "not_refuted",
        "outcome": "cannot tell",
        "sentence": "exact on keep against champion: cannot tell",
        "is_floor": False,
    }
    return Judgement(**(values | changes))


def test_what_is_written_is_read(tmp_path: Path) -> None:
    worse = Difference(-0.2, -0.3, -0.1, 0.001, 57)
    verdict = GateVerdict(
        (
            judgement(),
            judgement(outcome="unmet", sentence="worse", difference=worse, value=0.7, limit=0.9, confidence=0.95),
            judgement(required=False, outcome="unmet", sentence="told"),
        )
    )
    write_json(tmp_path / "gate.json", gate_json(verdict, {"answers": "ab"}))
    gate = read_gate(tmp_path / "gate.json")
    assert not gate.passed
    assert gate.sentence == verdict.sentence
    assert gate.failed == ("worse",)
    assert gate.told == (
        "[cannot tell] exact on keep against champion: cannot tell",
        "[FAILS] worse",
        "[told: unmet] told",
    )
    assert gate.digests == {"answers": "ab"}


def test_numbers_are_where_metrics_tools_look_and_words_where_they_do_not() -> None:
    """DVC and MLflow take numbers and words out of nested mappings, and nothing out of lists."""
    tree = gate_json(GateVerdict((judgement(),)), {"answers": "ab"})

    def leaves(node: Any) -> list[Any]:
        return [leaf for inner in node.values() for leaf in leaves(inner)] if isinstance(node, dict) else [node]

    assert {type(leaf) for leaf in leaves(tree)} == {int, list}


@pytest.mark.parametrize("content", [[], {}, {"passed": 1}, {"passed": 1, "conditions": [3], "marks": ["met"]}])
def test_another_file_behind_the_name_is_an_error(tmp_path: Path, content: Any) -> None:
    write_json(tmp_path / "gate.json", content)
    with pytest.raises(DataError, match="not a verdict of the gate"):
        read_gate(tmp_path / "gate.json")


def test_no_verdict_is_told_where_it_comes_from(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no verdict") as raised:
        read_gate(tmp_path / "gate.json")
    assert "dvc repro" in raised.value.remedy
