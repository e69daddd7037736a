import doctest
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lal.evaluation.scores import alignment
from lal.evaluation.scores.alignment import align, align_words, edit_distance, words

texts = st.text("ab ", max_size=7)


def slow_distance(one: str, other: str) -> int:
    """The definition, written as a recursion."""

    @cache
    def between(i: int, j: int) -> int:
        if not i or not j:
            return i + j
        change = between(i - 1, j - 1) + (one[i - 1] != other[j - 1])
        return min(change, between(i - 1, j) + 1, between(i, j - 1) + 1)

    return between(len(one), len(other))


def test_the_examples_hold() -> None:
    assert doctest.testmod(alignment).failed == 0


@given(texts, texts)
def test_the_distance_is_the_one_of_the_definition(one: str, other: str) -> None:
    assert edit_distance(one, other) == slow_distance(one, other)


@given(texts, texts)
def test_an_alignment_keeps_the_order_and_costs_the_distance(one: str, other: str) -> None:
    partners = align(list(one), list(other))
    paired = [partner for partner in partners if partner is not None]
    assert paired == sorted(set(paired))
    substituted = sum(partner is not None and one[i] != other[partner] for i, partner in enumerate(partners))
    left_alone = (len(one) - len(paired)) + (len(other) - len(paired))
    assert substituted + left_alone == edit_distance(one, other)


@pytest.mark.parametrize(
    ("one", "other", "partners"),
    [
        ("a b c", "a b c", [0, 1, 2]),
        ("a b c d", "b c d", [None, 0, 1, 2]),
        ("a b c", "a x b c", [0, 2, 3]),
        ("a b c", "x y z", [0, 1, 2]),
        ("a", "", [None]),
    ],
)
def test_a_skipped_or_doubled_word_shifts_the_rest_instead_of_spoiling_it(
    one: str, other: str, partners: list[int | None]
) -> None:
    assert align(one.split(), other.split()) == partners


@pytest.mark.parametrize(
    ("one", "other", "partners"),
    [
        ("have the deer love then", "have the love then", [0, 1, None, 2, 3]),
        ("have the deer love", "have the dear love love", [0, 1, 2, 4]),
        ("gentle deer walk", "gentle walk wak", [0, None, 1]),
        ("a b", "c d", [0, 1]),
        ("a", "", [None]),
    ],
)
def test_words_that_look_alike_are_paired_and_a_skipped_one_stays_alone(
    one: str, other: str, partners: list[int | None]
) -> None:
    assert align_words(one.split(), other.split()) == partners


@given(st.lists(texts.filter(bool), max_size=5), st.lists(texts.filter(bool), max_size=5))
def test_an_alignment_of_words_keeps_the_order_and_uses_each_word_once(one: list[str], other: list[str]) -> None:
    paired = [partner for partner in align_words(one, other) if partner is not None]
    assert paired == sorted(set(paired))
    assert all(0 <= partner < len(other) for partner in paired)


def test_words_keep_their_apostrophes_and_hyphens_and_lose_punctuation() -> None:
    assert words("I'th' Castle, o're-tooke: 'Tis 3 Années") == ["I'th'", "Castle", "o're-tooke", "Tis", "3", "Années"]
