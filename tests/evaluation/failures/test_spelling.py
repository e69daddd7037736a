import pytest
from hypothesis import given
from hypothesis import strategies as st

from lal.evaluation.failures.spelling import change_name, missed_changes, one_name, spelling_changes

CHANGES = [
    ("haue", "have", "u > v"),
    ("vnto", "unto", "v > u"),
    ("Maiestie", "Majestie", "i > j"),
    ("beautie", "beauty", "-ie > -y"),
    ("speake", "speak", "final e dropped"),
    ("armes", "arms", "e before final s dropped"),
    ("warre", "war", "doubled letter and e dropped"),
    ("dogges", "dogs", "doubled letter and e dropped"),
    ("heere", "here", "doubled letter made single"),
    ("royall", "royal", "doubled letter made single"),
    ("kil", "kill", "single letter doubled"),
    ("Kings", "King's", "'s put in, the possessive"),
    ("kings", "kings'", "possessive s'"),
    ("Ile", "I'll", "'ll, the contraction"),
    ("kist", "kiss'd", "t > s'd"),
    ("murther", "murder", "th > d"),
    ("then", "than", "e > a"),
]


@pytest.mark.parametrize(("old", "modern", "name"), CHANGES)
def test_a_change_is_named_after_its_letters(old: str, modern: str, name: str) -> None:
    assert change_name(old, modern) == name


def test_a_word_with_several_changes_says_so() -> None:
    assert [change.name for change in spelling_changes("Maiestie", "Majesty")] == ["i > j", "-ie > -y"]
    assert change_name("Maiestie", "Majesty") == "several changes in one word"
    assert one_name([]) == ""


@pytest.mark.parametrize(
    ("answer", "missed"), [("Maiesty", ["i > j"]), ("Majestie", ["-ie > -y"]), ("Maiestie", ["i > j", "-ie > -y"])]
)
def test_only_the_changes_that_were_not_made_are_missed(answer: str, missed: list[str]) -> None:
    assert [change.name for change in missed_changes("Maiestie", "Majesty", answer)] == missed


def test_a_letter_spoiled_elsewhere_misses_no_change() -> None:
    assert missed_changes("haue", "have", "have") == []
    assert missed_changes("vnderneath", "underneath", "undernaeth") == []


@given(st.text("aehitsuv'", max_size=8), st.text("aehitsuv'", max_size=8))
def test_there_is_a_change_exactly_where_two_spellings_differ(old: str, modern: str) -> None:
    changes = spelling_changes(old, modern)
    assert bool(changes) == (old != modern)
    assert all(0 <= change.start <= change.end <= len(modern) and change.name for change in changes)
