import json
import shutil
from pathlib import Path

import pytest

from lal.errors import ModelError
from lal.evaluation.solvers.baselines import Lexicon
from lal.evaluation.solvers.hybrid import write_sure_words
from lal.model.sampling import Sampling
from lal.records import Message
from lal.runtime import MAX_PIECE_CHARACTERS, Runtime, Settings, split_line
from tests.tiny_model import write_speaking_model

GREEDY = Settings(Sampling(), max_new_tokens=12)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    write_speaking_model(folder)
    return folder


@pytest.fixture(scope="module")
def runtime(folder: Path) -> Runtime:
    return Runtime.load(folder)


def test_the_folders_own_settings_hold_until_others_are_given(runtime: Runtime) -> None:
    assert runtime.settings() == Settings(Sampling(temperature=0.0), 9)
    assert runtime.settings(0.5, 3, 0.9, 4) == Settings(Sampling(0.5, 3, 0.9), 4)


def test_a_chat_streams_and_greedy_says_the_same_each_time(runtime: Runtime) -> None:
    question = [Message(role="user", content="Modernise: giue")]
    first = list(runtime.chat(question, GREEDY))
    assert len(first) > 1
    assert "".join(first) == "".join(runtime.chat(question, GREEDY))


def test_the_same_seed_draws_the_same_text_and_another_one_another(runtime: Runtime) -> None:
    hot = Settings(Sampling(temperature=1.5), 20)
    texts = ["".join(runtime.complete("giue", hot, seed)) for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]


def test_a_long_text_is_continued_from_its_end_and_a_long_question_is_refused(runtime: Runtime) -> None:
    assert "".join(runtime.complete("giue vs loue. " * 100, GREEDY))
    with pytest.raises(ModelError, match="the model reads 96"):
        list(runtime.chat([Message(role="user", content="giue vs loue. " * 100)], GREEDY))


def test_the_next_tokens_come_likeliest_first_and_add_up_to_at_most_one(runtime: Runtime) -> None:
    rows = runtime.next_tokens("To be or not to", most=300)
    odds = [row.probability for row in rows]
    assert odds == sorted(odds, reverse=True)
    assert sum(odds) == pytest.approx(1.0)
    assert "<|end|>" in {row.text for row in rows}


def test_modernise_keeps_blank_lines_indents_and_the_number_of_lines(runtime: Runtime) -> None:
    lines = ["giue vs", "", "   loue", "\thaue no horsse " * 9]
    written = [line.text for line in runtime.modernise(lines)]
    assert len(written) == 4
    assert written[1] == ""
    assert written[2].startswith("   ")
    assert written[3].startswith("\t")


def test_a_line_is_modernised_the_same_whatever_stands_beside_it(runtime: Runtime) -> None:
    (alone,) = runtime.modernise(["giue vs loue"])
    first, *others = runtime.modernise(["giue vs loue", "日本" * 40, "x" * 500])
    assert first == alone
    assert [line.text for line in others] == ["日本" * 40, "x" * 500]
    assert all(line.given_back for line in others)


def test_a_hybrid_takes_the_folders_table_where_it_has_the_word_and_keeps_the_rest_of_the_line(
    folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(folder, tmp_path / "model")
    write_sure_words(tmp_path / "model" / "lexicon.json", Lexicon({}, {"giue": "give", "vs": "us"}))
    hybrid = Runtime.load(tmp_path / "model")
    lines = ["  Giue vs -- vs!", "", "1623", "giue " * 30 + "vs", "giue " + "\N{CJK UNIFIED IDEOGRAPH-65E5}" * 90]
    written = list(hybrid.modernise(lines, hybrid=True))
    assert [line.text for line in written[:4]] == ["  Give us -- us!", "", "1623", "give " * 30 + "us"]
    assert written[4].text.startswith("give ")
    assert written[4].given_back  # Too long for the model: the table alone.
    assert list(hybrid.modernise(lines)) == list(Runtime.load(folder).modernise(lines))


def test_a_folder_without_a_table_has_no_hybrid(runtime: Runtime) -> None:
    with pytest.raises(ModelError, match=r"no lexicon\.json, which --hybrid needs"):
        list(runtime.modernise(["giue"], hybrid=True))


def test_what_has_no_letter_is_left_alone(runtime: Runtime) -> None:
    lines = ["-----", "1623", "* * *"]
    assert [line.text for line in runtime.modernise(lines)] == lines
    assert not any(line.given_back for line in runtime.modernise(lines))


@pytest.mark.parametrize(
    "settings",
    ["[]", '{"do_sample": true, "temperature": "hot"}', '{"max_new_tokens": "many"}', '{"max_new_tokens": -5}'],
)
def test_damaged_generation_settings_are_refused_by_name(folder: Path, tmp_path: Path, settings: str) -> None:
    shutil.copytree(folder, tmp_path / "model")
    (tmp_path / "model" / "generation_config.json").write_text(settings)
    with pytest.raises(ModelError, match=r"generation_config\.json"):
        Runtime.load(tmp_path / "model")


def test_a_loaded_model_works_on_when_its_folder_is_gone(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "model")
    runtime = Runtime.load(tmp_path / "model")
    shutil.rmtree(tmp_path / "model")
    assert runtime.settings().max_new_tokens == 9
    assert [line.text for line in runtime.modernise(["giue"])]


def test_a_long_line_is_cut_between_words_only() -> None:
    line = "the quick brown fox " * 20
    pieces = split_line(line, MAX_PIECE_CHARACTERS)
    assert " ".join(pieces) == line.strip()
    assert max(map(len, pieces)) <= MAX_PIECE_CHARACTERS
    assert split_line("two  spaces stay", MAX_PIECE_CHARACTERS) == ["two  spaces stay"]


def test_what_is_not_a_model_folder_is_refused_by_name(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(ModelError, match="no such model folder"):
        Runtime.load(tmp_path / "nothing")
    (tmp_path / "manifest.json").write_text(json.dumps({"format": 1, "files": {"model.safetensors": {"sha256": ""}}}))
    with pytest.raises(ModelError, match=r"model\.safetensors: missing"):
        Runtime.load(tmp_path)
