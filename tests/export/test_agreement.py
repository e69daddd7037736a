"""What is counted as a difference, and what is said about it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from lal.errors import ExportError
from lal.export.agreement import Agreement, agreement, file_mismatches, problems_of
from lal.export.card import Measured
from lal.export.opened import Question, questions_of
from lal.export.parity_page import render_parity
from lal.model.folder import LoadedModel, load_model
from lal.sections import FORMATS, ParityParams
from tests.export.questions import question
from tests.tiny_model import write_grouped_model

NAMES = ["safetensors", *FORMATS, "http"]
LIMITS = ParityParams.model_validate({"tolerances": dict.fromkeys(NAMES, 0.25), "flipped": dict.fromkeys(NAMES, 0.5)})


class Parrot:
    """Says what it was told to say."""

    def __init__(self, texts: list[str], odds: Mapping[int, float]) -> None:
        self.texts, self.odds = texts, odds

    def next_log_probabilities(self, question: Question) -> Mapping[int, float]:
        return self.odds

    def answers(self, questions: Sequence[Question], max_new_tokens: int) -> list[str]:
        return self.texts


@pytest.fixture
def loaded(tmp_path: Path) -> LoadedModel:
    write_grouped_model(tmp_path)
    return load_model(tmp_path)


def found(loaded: LoadedModel, mismatches: Sequence[str] = ()) -> Agreement:
    asked = [question(loaded, "Haue a Horse", text) for text in ("Have a Horse", "Haue", "Have a Horse", "Haue")]
    said = Parrot(["Have a Horse", "Have a Horse", "Haue <b>", "Giue"], {0: -1.0, 1: -2.0})
    return agreement("gguf-q8_0", said, [{0: -1.0, 1: -2.5}, {0: -1.0}], asked, 9, mismatches)


def test_answers_in_other_words_are_told_by_what_the_scorer_says_of_them(loaded: LoadedModel) -> None:
    counted = found(loaded)
    assert counted.difference == 0.5
    assert [flip.text for flip in counted.flips] == ["Have a Horse", "Haue <b>", "Giue"]
    assert (counted.count(True, False), counted.count(False, True), counted.count(False, False)) == (1, 1, 1)
    assert counted.flipped_share == 0.75


def test_a_problem_names_format_number_limit_and_the_first_items(loaded: LoadedModel) -> None:
    mismatch, odds, flips = problems_of(found(loaded, ["the chat template is not Lal's"]), 0.25, 0.5)
    assert mismatch == "gguf-q8_0: the chat template is not Lal's"
    assert odds == (
        "gguf-q8_0: log-probabilities of the next token are off by up to 0.5, parity.tolerances allows 0.25"
    )
    assert flips.startswith(
        "gguf-q8_0: 3 of 4 gold items are answered in other words (0.75, parity.flipped allows 0.5): "
        'g1 ("Haue" became "Have a Horse"), g1 ("Have a Horse" became "Haue <b>")'
    )
    assert problems_of(found(loaded), 0.5, 0.75) == []


@pytest.mark.parametrize("odds", [{}, {7: -1.0}, {0: float("nan"), 1: -2.5}])
def test_odds_that_cannot_be_compared_are_a_problem(loaded: LoadedModel, odds: dict[int, float]) -> None:
    asked = [question(loaded, "Haue", "Have")]
    bad = agreement("http", Parrot(["Have"], odds), [{0: -1.0, 1: -2.5, 2: -9.0, 3: -9.0, 4: -9.0}], asked, 9)
    (problem,) = problems_of(bad, 99.0, 1.0)
    assert problem.startswith("http: log-probabilities of the next token cannot be compared")


def test_the_files_of_a_bundle_are_read_as_others_read_them(tmp_path: Path) -> None:
    write_grouped_model(tmp_path)
    tokenizer = load_model(tmp_path).tokenizer
    assert file_mismatches(tmp_path, tokenizer) == []
    settings = json.loads((tmp_path / "tokenizer_config.json").read_text())
    for template in (settings["chat_template"] + " ", None):
        (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings | {"chat_template": template}))
        assert file_mismatches(tmp_path, tokenizer) == ["the chat template is not Lal's"]


def test_another_tokenizer_file_is_found_out(tmp_path: Path) -> None:
    write_grouped_model(tmp_path)
    tokenizer = load_model(tmp_path).tokenizer
    tree = json.loads((tmp_path / "tokenizer.json").read_text())
    tree["model"]["merges"] = tree["model"]["merges"][1:]
    (tmp_path / "tokenizer.json").write_text(json.dumps(tree))
    assert file_mismatches(tmp_path, tokenizer)


def test_an_item_at_the_end_of_the_context_is_left_out_and_none_is_an_error(loaded: LoadedModel) -> None:
    asked = [question(loaded, text, "Have") for text in ("Haue", "Haue " * 40)]
    measured = [Measured(each.item, each.measured) for each in asked]
    assert questions_of(measured, loaded.tokenizer, 96) == asked[:1]
    with pytest.raises(ExportError, match="no answers of 'lal'"):
        questions_of(measured[1:], loaded.tokenizer, 96)


def test_the_page_shows_each_format_with_its_limits_and_each_flip_and_loads_nothing(loaded: LoadedModel) -> None:
    html = render_parity([found(loaded, ["<odd>"])], LIMITS)
    for name in NAMES:
        assert f"<th>{name}</th>" in html
    assert html.count("not there") == len(NAMES) - 1
    assert "Some formats are beyond their limits" in html
    assert "1 right to wrong, 1 wrong to right" in html
    assert "&lt;odd&gt;" in html
    assert "<odd>" not in html
    assert '<b>"' not in html
    assert "http://" not in html
    assert "<script" not in html
    assert "default-src 'none'" in html
    looser = ParityParams.model_validate(
        {"tolerances": dict.fromkeys(NAMES, 0.5), "flipped": dict.fromkeys(NAMES, 0.75)}
    )
    assert "Every format is within its limits" in render_parity([found(loaded)], looser)
