"""What a word is, and how its modern form stands in its place."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lal.data.clean import WORD, modern_words, put_in_place, words_of


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("'Tis th' Ambassador, Iohn!", ["'Tis", "th'", "Ambassador", "Iohn"]),
        ("'Gainst my Captiuitie: 'beseech you", ["'Gainst", "my", "Captiuitie", "beseech", "you"]),
        ("Gray-Malkin, o're-tooke; do't", ["Gray-Malkin", "o're-tooke", "do't"]),
        ("whiles- 'emperor' --no", ["whiles", "emperor'", "no"]),
        ("...", []),
    ],
)
def test_words_hold_their_own_apostrophes_and_hyphens(line: str, words: list[str]) -> None:
    assert words_of(line) == words


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["Cry 'holla' to thy tongue"], ["Cry", "holla", "to", "thy", "tongue"]),
        (["the lords' men", "i' the sun"], ["the", "lords'", "men", "i'", "the", "sun"]),
        (["The word is 'friends' now, lovers' lane"], ["The", "word", "is", "friends", "now", "lovers'", "lane"]),
        (["'God save him!' all cried"], ["God", "save", "him", "all", "cried"]),
        (
            ["a cheque to the exchequer, cheque'd, chequed"],
            ["a", "check", "to", "the", "exchequer", "check'd", "checked"],
        ),
        (["the enamell'ed stones"], ["the", "enamell'd", "stones"]),
    ],
)
def test_quotation_marks_and_blunders_of_the_modern_edition_are_taken_off(lines: list[str], words: list[str]) -> None:
    assert modern_words(lines) == words


@pytest.mark.parametrize(
    ("modern", "source", "expected"),
    [
        ("have", "HAUE", "HAVE"),
        ("have", "Haue", "Have"),
        ("Have", "haue", "have"),
        ("Ay", "I", "Ay"),
        ("I'll", "ile", "I'll"),
        ("'twill", "Twill", "'Twill"),
        ("Hydra-headed", "Hidra-Headed", "Hydra-Headed"),
        ("Almshouses", "Almes-houses", "Almshouses"),
        ("smoked", "smoak'd", "smok'd"),
        ("damn'd", "damned", "damned"),
        ("agree'd", "agreed", "agreed"),
        ("supplied", "supply'd", "supplied"),
        ("comest", "com'st", "com'st"),
        ("say'st", "sayest", "sayest"),
        ("liest", "ly'st", "liest"),
        ("pass'd", "past", "pass'd"),
        ("a'", "A", "A"),
        ("a", "a'", "a'"),
        ("the", "th'", "the"),
    ],
)
def test_the_modern_form_takes_casing_and_metre_from_the_source(modern: str, source: str, expected: str) -> None:
    assert put_in_place(modern, source) == expected


@given(st.text(alphabet="abcdeIOT'-, .!", max_size=40))
def test_putting_every_word_in_its_own_place_changes_nothing(line: str) -> None:
    own = WORD.sub(lambda match: put_in_place(match[0], match[0]), line)
    assert own.lower() == line.lower()


@given(st.from_regex(r"[a-z]{1,8}('[a-z]{1,3})?", fullmatch=True), st.from_regex(r"[A-Za-z]{1,8}", fullmatch=True))
def test_the_form_is_one_word_that_begins_in_the_source_s_case(modern: str, source: str) -> None:
    form = put_in_place(modern, source)
    assert words_of(form) == [form]
    assert form[0].isupper() == source[0].isupper()
