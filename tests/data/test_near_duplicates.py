"""MinHash against the likeness it estimates, and against a search through all pairs."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lal.data.near_duplicates import MIN_WORDS, WordSets, find_near_duplicates, likeness

VOCABULARY = [f"word{number}" for number in range(60)]


def drawn(draw: random.Random, count: int) -> list[frozenset[str]]:
    return [frozenset(draw.sample(VOCABULARY, draw.randint(3, 12))) for _ in range(count)]


def test_the_pairs_found_are_those_a_search_through_all_pairs_finds() -> None:
    draw = random.Random(1)  # noqa: S311 - a draw, not a secret
    wanted = drawn(draw, 60)
    texts = drawn(draw, 300)
    for words in wanted:  # Near copies: one word in, one word out.
        texts.append(frozenset([*sorted(words)[1:], draw.choice(VOCABULARY)]))
    pairs = [(one, other) for one in range(len(wanted)) for other in range(len(texts))]
    alike = {
        (one, other)
        for one, other in pairs
        if min(len(wanted[one]), len(texts[other])) >= MIN_WORDS and likeness(wanted[one], texts[other]) >= 0.7
    }
    found = {(one, other) for one, other, _ in find_near_duplicates(wanted, texts, least=0.7)}
    assert found == alike
    assert len(alike) >= 30


@pytest.mark.parametrize("shared", [6, 7, 8])
def test_candidates_are_missed_as_seldom_as_the_bands_promise(shared: int) -> None:
    """Sets of 10 words that share 6, 7, 8: likeness 0.43, 0.54, 0.67; promised are 0.67, 0.94 and 0.999."""
    draw = random.Random(2)  # noqa: S311 - a draw, not a secret
    wanted, texts = [], []
    for number in range(400):
        words = [f"{number}-{draw.random()}" for _ in range(20 - shared)]
        wanted.append(frozenset(words[:10]))
        texts.append(frozenset(words[10 - shared :]))
    found = {one for one, other, _ in find_near_duplicates(wanted, texts, least=0.4) if one == other}
    promised = 1 - (1 - (shared / (20 - shared)) ** 4) ** 32
    assert len(found) / 400 == pytest.approx(promised, abs=0.08)


@given(st.sets(st.text(min_size=1, max_size=5), min_size=MIN_WORDS, max_size=12), st.randoms())
def test_the_order_of_words_changes_nothing(words: set[str], shuffle: random.Random) -> None:
    order = sorted(words)
    shuffle.shuffle(order)
    ((one, other, share),) = find_near_duplicates([frozenset(words)], [frozenset(order)], least=0.9)
    assert (one, other, share) == (0, 0, 1.0)


def test_few_words_are_alike_by_accident_and_never_found() -> None:
    few = frozenset(VOCABULARY[: MIN_WORDS - 1])
    assert list(find_near_duplicates([few], [few], least=0.5)) == []
    assert list(find_near_duplicates([], [few], least=0.5)) == []
    assert list(find_near_duplicates([frozenset(VOCABULARY)], [], least=0.5)) == []


def test_many_texts_are_searched_in_pieces_with_their_own_numbers() -> None:
    texts = [frozenset(f"{number} {place}" for place in range(30)) for number in range(5000)]
    assert [(a, b) for a, b, _ in find_near_duplicates([texts[4321]], texts, least=0.9)] == [(0, 4321)]


def test_words_are_folded_and_apostrophes_belong_to_them() -> None:
    words_of = WordSets(str.casefold)
    assert words_of("I'll to-day, SIR! i\N{RIGHT SINGLE QUOTATION MARK}ll") == {
        "i'll", "to", "day", "sir", "i\N{RIGHT SINGLE QUOTATION MARK}ll",
    }  # fmt: skip
    assert WordSets(lambda _: "")("nothing is left") == frozenset()
