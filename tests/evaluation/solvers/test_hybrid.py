import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lal.errors import ModelError
from lal.evaluation.scores.alignment import WORD, words
from lal.evaluation.scores.results import HYBRID
from lal.evaluation.solvers.baselines import Lexicon, modernise_by_rules
from lal.evaluation.solvers.hybrid import (
    MIN_COUNT,
    NAME,
    combine,
    hybrid_answers,
    learn_sure_words,
    read_sure_words,
    usable_line,
    write_sure_words,
)
from lal.gold_items import Answer, GoldItem
from lal.records import Conversation, Message

Items = Callable[..., GoldItem]

SURE = Lexicon({"Kings": "King's"}, {"haue": "have", "loue": "love", "vp": "up", "the": "the"})

WORDS = st.sampled_from(["Haue", "loue", "vp", "the", "deere", "then", "Kings", "o'er-tooke", "zounds", "haue"])
MARKS = st.sampled_from([" ", ", ", "; ", "  ", " (", ") ", "! ", " - ", ". '"])
LINES = st.lists(st.tuples(WORDS, MARKS), min_size=1, max_size=9).map(
    lambda pairs: "".join(word + mark for word, mark in pairs).rstrip()
)


def conversation(number: int, line: str, answer: str, prefix: str = "Modernise: ") -> Conversation:
    messages = (Message(role="user", content=prefix + line), Message(role="assistant", content=answer))
    return Conversation(id=f"t{number}", messages=messages, task="any", source="x", licence="CC0", split="train")


def said(identity: str, text: str, finish_reason: str = "stop") -> Answer:
    values = {"item_id": identity, "solver": "lal", "text": text, "finish_reason": finish_reason}
    return Answer.model_validate(values | {"num_tokens": 3, "seconds": 0.5})


@given(LINES, st.one_of(st.none(), LINES, st.text(max_size=30)))
def test_spacing_punctuation_and_the_number_of_words_are_the_lines_own_whatever_the_model_says(
    line: str, answer: str | None
) -> None:
    combined = combine(line, answer, SURE)
    assert WORD.sub("_", combined) == WORD.sub("_", line)
    for word, form in zip(words(line), words(combined), strict=True):
        if (sure := SURE.look_up(word)) is not None:
            assert form == sure
        else:
            assert form in {modernise_by_rules(word), *words(answer or "")}


@given(st.lists(st.tuples(WORDS, st.sampled_from(["", "e", "s"])), min_size=1, max_size=9))
def test_what_the_table_does_not_have_is_the_models_word_in_its_place(pairs: list[tuple[str, str]]) -> None:
    line = " ".join(word for word, _ in pairs)
    answer = " ".join(word + ending for word, ending in pairs)
    assert combine(line, answer, Lexicon({}, {})) == answer


@given(LINES)
def test_without_an_answer_table_and_rules_write_the_line_alone(line: str) -> None:
    alone = " ".join(SURE.look_up(word) or modernise_by_rules(word) for word in words(line))
    assert words(combine(line, None, SURE)) == words(alone)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("I have the dear love then", "I have the dear love then"),
        ("I have dear love then", "I have the dear love then"),  # a word skipped that the table has
        ("I have the love then", "I have the deer love then"),  # one skipped that it does not have: by rules
        ("I have the the dear love love then", "I have the dear love then"),  # two doubled
        ("I haue ye dear loves than", "I have the dear love than"),  # sure words mended, the others believed
        ("", "I have the deer love then"),
    ],
)
def test_a_word_skipped_doubled_or_mistaken_does_not_spoil_the_others(answer: str, expected: str) -> None:
    assert combine("I haue the deere loue then", answer, SURE) == expected


def test_a_word_keeps_its_casing_and_one_known_as_written_goes_before_one_in_small_letters() -> None:
    assert combine("HAUE Kings Vp", "have kings up", SURE) == "HAVE King's Up"


def test_a_word_is_sure_if_it_was_seen_often_enough_in_one_form_only() -> None:
    rows = [conversation(number, "haue deere", "have deer") for number in range(MIN_COUNT)]
    rows += [conversation(10 + number, "deere", "dear") for number in range(MIN_COUNT)]
    sure = learn_sure_words(rows)
    assert sure is not None
    assert (dict(sure.as_written), dict(sure.lower_cased)) == ({"haue": "have"}, {"haue": "have"})


def test_conversations_of_ones_own_teach_no_table() -> None:
    assert learn_sure_words([conversation(n, "haue", "have", prefix="What is ") for n in range(9)]) is None
    assert learn_sure_words([conversation(1, "deere", "deer"), conversation(2, "deere", "dear")]) is None
    assert learn_sure_words([]) is None


def test_lines_have_a_hybrid_answer_each_and_other_questions_none(line: Items, question: Items) -> None:
    items = [line("a", "Haue loue", "?"), question("b", "Who are you?", "Lal"), line("c", "Vp then", "?")]
    answers = [said("c", "Up than"), said("b", "Lal."), said("a", "", "error")]
    found = hybrid_answers(items, answers, SURE)
    assert [(answer.item_id, answer.text) for answer in found] == [("a", "Have love"), ("c", "Up than")]
    assert {(answer.solver, answer.finish_reason) for answer in found} == {(HYBRID, "stop")}


def test_an_answer_that_did_not_end_is_no_line_nor_is_a_page() -> None:
    assert usable_line(" Up then ", "stop") == "Up then"
    assert [usable_line(*each) for each in (("Up", "length"), ("Up\nthen", "stop"), ("  ", "stop"))] == [None] * 3


def test_the_file_gives_back_what_was_written_and_the_same_bytes_whatever_the_order(tmp_path: Path) -> None:
    write_sure_words(tmp_path / NAME, SURE)
    assert read_sure_words(tmp_path) == SURE
    first = (tmp_path / NAME).read_bytes()
    turned = Lexicon(SURE.as_written, dict(reversed(list(SURE.lower_cased.items()))))
    write_sure_words(tmp_path / NAME, turned)
    assert (tmp_path / NAME).read_bytes() == first


def test_a_folder_without_a_table_says_what_needs_it_and_a_damaged_one_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"has no lexicon\.json, which --hybrid needs") as raised:
        read_sure_words(tmp_path)
    assert "dvc repro export" in raised.value.remedy
    good = {"format": 1, "as_written": {}, "lower_cased": {"haue": "have"}}
    for wrong in (
        "{",
        "[]",
        *(json.dumps(good | part) for part in ({"format": 2}, {"as_written": {"a": 1}}, {"x": 0})),
    ):
        (tmp_path / NAME).write_text(wrong)
        with pytest.raises(ModelError, match=r"lexicon\.json"):
            read_sure_words(tmp_path)
