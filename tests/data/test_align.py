"""Words of two editions find each other."""

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lal.data.align import align, similarity, sound_key

SPELLINGS = """
haue-have vpon-upon ioyes-joys deere-dear heere-here Souldier's-souldiers vvell-well ne're-ne'er phantasie-fantasy
kisse-kiss musicke-musik victorie-victory lye-lie dy'de-died
"""


@pytest.mark.parametrize("pair", SPELLINGS.split())
def test_spellings_of_one_word_have_one_sound_key(pair: str) -> None:
    old, modern = pair.split("-")
    assert sound_key(old) == sound_key(modern)


@pytest.mark.parametrize(
    ("one", "other"), [("man", "men"), ("come", "came"), ("this", "the"), ("make", "makes"), ("I", "you")]
)
def test_different_words_keep_different_sound_keys(one: str, other: str) -> None:
    assert sound_key(one) != sound_key(other)


def test_what_one_edition_lacks_has_no_partner() -> None:
    assert align(["Enter", "Haue", "you", "had", "quiet", "Guard"], ["have", "you", "had", "a", "quiet", "guard"]) == [
        None,
        0,
        1,
        2,
        4,
        5,
    ]


def test_words_that_are_not_alike_are_not_partners() -> None:
    assert align(["we", "shall", "meete", "againe"], ["we", "shall", "depart", "again"]) == [0, 1, None, 3]


def test_a_long_stretch_of_another_text_has_no_partners() -> None:
    left, right = [f"left{n}" for n in range(9)], [f"right{n}" for n in range(9)]
    assert align(["so", *left, "ends"], ["so", *right, "ends"]) == [0, *[None] * 9, 10]


@pytest.mark.parametrize(("source", "target"), [([], []), (["a"], []), ([], ["a"])])
def test_nothing_aligns_with_nothing(source: list[str], target: list[str]) -> None:
    assert align(source, target) == [None] * len(source)


@given(st.lists(st.sampled_from(["the", "lord", "is", "come", "and", "gone", "to", "rome"]), max_size=60))
def test_a_text_aligns_with_itself_word_by_word(words: list[str]) -> None:
    assert align(words, words) == list(range(len(words)))


@given(st.lists(st.sampled_from("abcdefg"), max_size=40), st.lists(st.sampled_from("abcdefg"), max_size=40))
def test_partners_rise_and_are_alike(source: list[str], target: list[str]) -> None:
    partners = align(source, target)
    found = [index for index in partners if index is not None]
    assert len(partners) == len(source)
    assert found == sorted(set(found))
    assert all(source[i] == target[j] for i, j in enumerate(partners) if j is not None)


def test_one_percent_of_changes_leaves_99_percent_aligned() -> None:
    draw = random.Random(7)  # noqa: S311 - a draw, not a secret
    words = ["".join(letters) for letters in itertools.product("bdfgklmnprst", "aou", "bdfgklmnprst")]
    target = [draw.choice(words) for _ in range(20000)]
    source = [word for word in target if draw.random() > 0.01]
    partners = align(source, target)
    found = [index is not None and target[index] == word for word, index in zip(source, partners, strict=True)]
    assert sum(found) > 0.99 * len(source)


def test_similarity_runs_from_nothing_to_equality() -> None:
    assert (similarity("abc", "xyz"), similarity("abcd", "abxd"), similarity("abc", "abc")) == (0.0, 0.75, 1.0)
