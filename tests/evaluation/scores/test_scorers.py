import doctest
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lal.evaluation.scores import scorers
from lal.evaluation.scores.scorers import (
    changed_word_accuracy,
    character_error_rate,
    exact,
    failed_checks,
    score,
    word_accuracy,
)
from lal.gold_items import Answer, GoldItem
from lal.records import Message

Items = Callable[..., GoldItem]
Answers = Callable[..., Answer]


def test_the_examples_hold() -> None:
    assert doctest.testmod(scorers).failed == 0


def test_exact_looks_at_capitals_and_punctuation_but_not_at_space_around() -> None:
    assert exact(["Have you?"], "\n Have you? ") == 1.0
    assert exact(["Have you?"], "Have you.") == 0.0
    assert exact(["Have you?"], "Have  you?") == 0.0


def test_any_of_the_wordings_is_right() -> None:
    assert exact(["Katherine", "Katharine"], "Katharine") == 1.0


@given(st.text(max_size=30))
def test_the_right_answer_is_perfect_by_every_scorer(text: str) -> None:
    assert exact([text], text) == 1.0
    assert word_accuracy(text, text) in (1.0, None)
    assert character_error_rate(text, text) in (0.0, None)


def test_a_skipped_word_costs_one_word_and_a_doubled_one_none() -> None:
    assert word_accuracy("a horse, my kingdom for a horse", "a horse, kingdom for a horse") == pytest.approx(6 / 7)
    assert word_accuracy("my kingdom", "my my kingdom") == 1.0


def test_nothing_is_reproduced_by_nothing() -> None:
    assert word_accuracy("my kingdom", "") == 0.0
    assert character_error_rate("my kingdom", "") == 1.0


def test_where_no_word_is_expected_word_accuracy_is_not_scored() -> None:
    assert word_accuracy("...", "...") is None


def test_only_words_that_had_to_change_count_as_changed() -> None:
    source, expected = "I haue no loue for thee", "I have no love for thee"
    assert changed_word_accuracy(source, expected, source) == 0.0
    assert changed_word_accuracy(source, expected, "I have no loue for thee") == 0.5
    assert changed_word_accuracy(source, expected, "He have a love at three") == 1.0


def test_where_nothing_had_to_change_changed_words_are_not_scored() -> None:
    assert changed_word_accuracy("A good soft Pillow", "A good soft Pillow", "A bad one") is None


def test_a_rambling_answer_has_an_error_rate_above_one() -> None:
    assert character_error_rate("ab", "abcdef") == 2.0


@pytest.mark.parametrize(
    ("answer", "failed"),
    [
        ("I am LAL.", []),
        ("My name is a secret.", []),
        ("I am a model.", ["lacks 'lal|my name'"]),
        ("I am Lal, made by openai.", ["says 'OpenAI'"]),
        ("", ["lacks 'lal|my name'"]),
    ],
)
def test_checks_take_any_wording_and_ignore_case(answer: str, failed: list[str]) -> None:
    assert failed_checks(["lal|my name"], ["OpenAI|Google"], answer) == failed


def test_an_empty_wording_is_no_wording() -> None:
    assert failed_checks(["|Lal"], ["|"], "I am a model.") == ["lacks '|Lal'"]


def test_the_best_alternative_counts_for_every_scorer(line: Items, said: Answers) -> None:
    item = line("a", "Musick, shew", "Music, show", alternatives=("Music, shew",))
    values = {each.scorer: each.value for each in score(item, said(item, "Music, shew"))}
    assert values == {"exact": 1.0, "word_accuracy": 1.0, "changed_words": 1.0, "character_error_rate": 0.0}


def test_the_first_score_is_the_one_that_decides(line: Items, question: Items, said: Answers) -> None:
    exact_item, checked = line("a", "haue", "have"), question("b", "Who are you?", "Lal")
    assert score(exact_item, said(exact_item, "haue"))[0].scorer == "exact"
    (only,) = score(checked, said(checked, "Nobody."))
    assert (only.scorer, only.value, only.explanation) == ("checks", 0.0, "lacks 'Lal'")


def test_an_answer_that_failed_is_not_scored_rather_than_zero(line: Items, said: Answers) -> None:
    item = line("a", "haue", "have")
    scores = score(item, said(item, "", finish_reason="error"))
    assert {each.value for each in scores} == {None}
    assert scores[0].explanation == "no answer"


def test_a_question_that_is_no_line_has_no_changed_words(line: Items, said: Answers) -> None:
    item = line("a", "", "Paris", messages=(Message(role="user", content="Capital of France?"),))
    values = {each.scorer: each.value for each in score(item, said(item, "Paris"))}
    assert values["exact"] == 1.0
    assert values["changed_words"] is None
