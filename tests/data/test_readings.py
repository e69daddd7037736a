"""Another spelling is told from another word."""

import pytest

from lal.data.readings import MISREADINGS, RARE_READINGS, find_other_words

VOCABULARY = {"this": 500, "regions": 9, "froward": 20, "then": 3000, "waste": 30, "touch'd": 40, "enemies": 30}


def is_same(old: str, modern: str, count: int, otherwise: dict[str, int] | None = None) -> bool:
    """Whether a reading that was seen `count` times, beside others of the same word, counts as the same word."""
    readings = {(old, modern): count} | {(old, other): times for other, times in (otherwise or {}).items()}
    return (old, modern) not in find_other_words(readings, VOCABULARY)


@pytest.mark.parametrize(
    ("old", "modern", "count", "otherwise"),
    [
        ("haue", "have", 1, {}),  # sounds alike
        ("souldiers", "soldiers'", 4, {"soldiers": 54}),  # the apostrophe alone
        ("enemies", "enemy's", 1, {"enemies": 50}),
        ("touch'd", "touched", 1, {"touch'd": 30}),  # metre alone
        ("then", "than", 1356, {"then": 1583}),  # another word, but a third of all
        ("waste", "waist", 10, {"waste": 23}),
        ("strooke", "struck", 26, {}),  # frequent
        ("i", "ay", 500, {"i": 15000}),  # rare and right
        ("allegater", "alligator", 1, {}),  # once, and alike enough
    ],
)
def test_another_spelling_is_the_same_word(old: str, modern: str, count: int, otherwise: dict[str, int]) -> None:
    assert is_same(old, modern, count, otherwise)


@pytest.mark.parametrize(
    ("old", "modern", "count", "otherwise"),
    [
        ("this", "the", 16, {"this": 4959}),  # a quarto's word
        ("regions", "legions", 1, {"regions": 6}),
        ("froward", "forward", 2, {"froward": 10}),
        ("natiuitie", "festivity", 1, {"nativity": 7}),
        ("vnpruin'd", "upturn'd", 1, {}),  # once, and hardly alike
        ("broome", "brook", 41, {}),  # a name
    ],
)
def test_what_editors_took_from_elsewhere_is_another_word(
    old: str, modern: str, count: int, otherwise: dict[str, int]
) -> None:
    assert not is_same(old, modern, count, otherwise)


def test_a_word_that_stays_as_it_is_is_itself() -> None:
    assert find_other_words({("rome", "rome"): 1}, {"rome": 100}) == frozenset()


def test_the_lists_are_lower_case_and_do_not_contradict_each_other() -> None:
    assert not RARE_READINGS & MISREADINGS
    assert all(word == word.lower() for pair in RARE_READINGS | MISREADINGS for word in pair)
