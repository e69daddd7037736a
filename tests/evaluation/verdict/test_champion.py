from pathlib import Path

import pytest

from lal.errors import DataError
from lal.evaluation.scores.results import Result
from lal.evaluation.verdict.champion import Champion, ChampionFacts, champion_digest, read_champion, write_champion
from lal.files import read_json, write_json


def answer(item: str, text: str = "have", solver: str = "lal") -> Result:
    return Result(
        item_id=item,
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


FACTS = ChampionFacts(
    promoted_on="2026-11-24",
    reason="the first one",
    gate="Gate passed.",
    run_id="1f",
    commit=None,
    uncommitted=("params.yaml",),
    model_sha256="ab" * 32,
    gold_versions={"1": 2},
    results_sha256="",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a champion of two answers."""
    write_champion(tmp_path / "champion", [answer("g1"), answer("g2", "hath")], FACTS)
    return tmp_path / "champion"


def test_what_was_promoted_is_read_back(folder: Path) -> None:
    held = read_champion(folder)
    assert isinstance(held, Champion)
    assert held.results == [answer("g1"), answer("g2", "hath")]
    assert held.facts.model_copy(update={"results_sha256": ""}) == FACTS


def test_without_a_promotion_there_is_none(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("The champion")
    assert read_champion(tmp_path) is None
    assert champion_digest(tmp_path) is None


@pytest.mark.parametrize("name", ["champion.json", "results.jsonl"])
def test_half_a_champion_is_no_champion(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(DataError, match=f"{name}: missing, but the other file") as raised:
        read_champion(folder)
    assert "git checkout champion" in raised.value.remedy


def test_answers_of_another_model_behind_its_name_are_noticed(folder: Path) -> None:
    """As a crash between the two files, or an edit by hand, leaves them."""
    text = (folder / "results.jsonl").read_text()
    (folder / "results.jsonl").write_text(text.replace("hath", "have"))
    with pytest.raises(DataError, match=r"results\.jsonl: not the answers that champion\.json belongs to"):
        read_champion(folder)


def test_a_fact_that_is_missing_is_named(folder: Path) -> None:
    facts = read_json(folder / "champion.json")
    del facts["model_sha256"]
    write_json(folder / "champion.json", facts)
    with pytest.raises(DataError, match=r"champion\.json: not what `lal promote` writes: model_sha256"):
        read_champion(folder)


def test_answers_of_others_do_not_belong_there(tmp_path: Path) -> None:
    write_champion(tmp_path, [answer("g1"), answer("g1", solver="copy")], FACTS)
    with pytest.raises(DataError, match="answers of copy beside 'lal'"):
        read_champion(tmp_path)


def test_another_champion_has_another_digest(folder: Path) -> None:
    before = champion_digest(folder)
    write_champion(folder, [answer("g1")], FACTS)
    assert champion_digest(folder) not in (None, before)
