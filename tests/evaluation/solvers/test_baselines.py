import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lal.evaluation.solvers import baselines
from lal.evaluation.solvers.baselines import Lexicon, apply_rules, in_casing_of


def test_the_examples_hold() -> None:
    assert doctest.testmod(baselines).failed == 0


@pytest.mark.parametrize(
    ("old", "modern"),
    [
        ("Haue you had quiet Guard?", "Have you had quiet Guard?"),
        ("vnder, vpon; vnto", "under, upon; unto"),
        ("Goodnesse and loue", "Goodness and love"),
        ("Ile speake, hee lookes", "I'll speak, he looks"),
        ("Wee'l goe", "We'll go"),
        ("ioy IOY Ioy", "joy JOY Joy"),
        ("maiestie", "majesty"),
        ("lou'd", "lov'd"),
        ("warre, dogges, heere", "war, dogs, here"),
    ],
)
def test_rules_modernise_what_is_regular(old: str, modern: str) -> None:
    assert apply_rules(old) == modern


@pytest.mark.parametrize("line", ["I see the eyes of all true, cruel queens.", "You're due; the horse is here - here!"])
def test_rules_leave_modern_spelling_alone(line: str) -> None:
    assert apply_rules(line) == line


@given(st.text(max_size=40))
def test_rules_take_any_text_and_keep_what_is_between_words(text: str) -> None:
    spaces = [character for character in text if character.isspace()]
    assert [character for character in apply_rules(text) if character.isspace()] == spaces


def test_the_lexicon_takes_the_most_frequent_form() -> None:
    lexicon = Lexicon.learn([("then", "than"), ("then", "then"), ("then", "than")])
    assert lexicon.modernise("more then, that") == "more than, that"


def test_of_two_equally_frequent_forms_the_unchanged_wins_and_then_the_alphabet() -> None:
    assert Lexicon.learn([("then", "than"), ("then", "then")]).modernise("then") == "then"
    assert Lexicon.learn([("deere", "deer"), ("deere", "dear")]).modernise("deere") == "dear"


def test_a_word_is_looked_up_as_written_first_and_then_in_small_letters() -> None:
    lexicon = Lexicon.learn([("Kings", "King's"), ("kings", "kings"), ("kings", "kings"), ("haue", "have")])
    assert lexicon.modernise("Kings kings Haue HAUE") == "King's kings Have HAVE"


def test_unseen_words_stay_or_go_through_the_rules() -> None:
    lexicon = Lexicon.learn([("haue", "have")])
    assert lexicon.modernise("haue loue") == "have loue"
    assert lexicon.modernise("haue loue", unseen=apply_rules) == "have love"


def test_a_pair_with_unequal_numbers_of_words_teaches_nothing() -> None:
    assert Lexicon.learn([("to morrow", "tomorrow")]).as_written == {}


def test_casing_is_taken_from_the_word_it_stands_for() -> None:
    assert [in_casing_of(source, "i'll") for source in ("ile", "Ile", "ILE", "I")] == ["i'll", "I'll", "I'LL", "I'll"]
