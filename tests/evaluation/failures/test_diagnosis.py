from collections import Counter
from collections.abc import Callable

import pytest

from lal.evaluation.failures.diagnosis import Error, diagnose
from lal.evaluation.failures.word_pairs import WordPairs
from lal.evaluation.scores.results import Result
from lal.evaluation.scores.scoring import score_answers
from lal.gold_items import Answer, GoldItem

TRAINING = WordPairs(
    {"then": Counter(then=9, than=2), "kings": Counter({"kings": 5, "king's": 4}), "haue": Counter(have=99)}
)


@pytest.fixture
def scored(line: Callable[..., GoldItem], said: Callable[..., Answer]) -> Callable[..., Result]:
    """Makes the scored answer to a line."""

    def make(old: str, expected: str, text: str, **changes: str) -> Result:
        item = line("g1", old, expected)
        return score_answers([item], [said(item, text, **changes)])[0]

    return make


LINES = [
    ("I haue it", "I have it", "I haue it", Error("left as it was", "u > v", ("haue", "have"))),
    ("I haue it", "I have it", "I heve it", Error("wrong modern form", "a letter that was right", ("haue", "have"))),
    ("my warre ended", "my war ended", "my warr ended",
     Error("wrong modern form", "doubled letter and e dropped", ("warre", "war"))),
    ("the tyke goes", "the tyke goes", "the tike goes", Error("changed what was right", "y > i", ("tyke", "tyke"))),
    ("more then he", "more than he", "more then he",
     Error("took one word for another", "then: than or then", ("then", "than"))),
    ("Now then go", "Now then go", "Now than go",
     Error("took one word for another", "then: than or then", ("then", "then"))),
    ("the Kings men", "the King's men", "the Kings men",
     Error("took one word for another", "plural or possessive", ("kings", "king's"))),
    ("I will not go", "I will not go", "I will go", Error("word skipped", "", ("not", "not"))),
    ("I will go", "I will go", "I will will go", Error("word doubled or added")),
    ("I will go,", "I will go,", "I will go", Error("punctuation or capitals")),
    ("I will go", "I will go", "I Will go", Error("punctuation or capitals")),
    ("I will go now", "I will go now", "to be or not", Error("another text")),
]  # fmt: skip


@pytest.mark.parametrize(("old", "expected", "answer", "error"), LINES)
def test_a_line_is_diagnosed_by_the_edit_it_wanted(
    scored: Callable[..., Result], old: str, expected: str, answer: str, error: Error
) -> None:
    assert diagnose(scored(old, expected, answer), TRAINING) == [error]


def test_a_line_with_two_things_wrong_has_two_errors(scored: Callable[..., Result]) -> None:
    errors = diagnose(scored("I haue more then he", "I have more than he", "I haue more then he"), TRAINING)
    assert [error.pattern for error in errors] == ["u > v", "then: than or then"]


def test_right_and_unscored_answers_have_no_errors(scored: Callable[..., Result]) -> None:
    assert diagnose(scored("haue", "have", "have"), TRAINING) == []
    assert diagnose(scored("haue", "have", "", finish_reason="error"), TRAINING) == []


def test_an_empty_and_a_cut_off_answer_are_told_from_a_wrong_one(scored: Callable[..., Result]) -> None:
    assert diagnose(scored("haue", "have", " "), TRAINING) == [Error("empty answer")]
    cut_off = scored("haue", "have", "have have", finish_reason="length")
    assert diagnose(cut_off, TRAINING) == [Error("ran into the length limit")]


def test_of_several_right_wordings_the_nearest_is_what_was_missed(
    line: Callable[..., GoldItem], said: Callable[..., Answer]
) -> None:
    item = line("g1", "his sonne's warre", "his son's war", alternatives=("his sons' war",))
    result = score_answers([item], [said(item, "his sons' warre")])[0]
    assert [error.pair for error in diagnose(result, TRAINING)] == [("warre", "war")]


def test_failed_checks_are_grouped_by_what_is_lacking(
    question: Callable[..., GoldItem], said: Callable[..., Answer]
) -> None:
    item = question("p1", "Who are you?", "Lal|my name", must_not_contain=("ChatGPT",))
    result = score_answers([item], [said(item, "I am ChatGPT")])[0]
    lacking = Error("does not say what it must", "'Lal|my name'")
    assert diagnose(result, TRAINING) == [lacking, Error("says what it must not")]


def test_a_wrong_answer_that_is_no_line_is_just_wrong(
    question: Callable[..., GoldItem], said: Callable[..., Answer]
) -> None:
    item = question("q1", "2 + 2?", must_contain=(), scorer="exact", expected="4", slice="sums")
    assert diagnose(score_answers([item], [said(item, "5")])[0], TRAINING) == [Error("wrong answer")]
