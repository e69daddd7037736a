"""The n-gram model against an implementation that is slow and obvious, and against published figures."""

import hashlib
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lal.data.corpus import TINYSHAKESPEARE_SHA256
from lal.model.ngram import END, NO_ESTIMATE, NUM_SYMBOLS, NGram, estimate_discounts, to_symbols
from lal.records import Document, read_records

CORPUS = Path(__file__).parents[2] / "data" / "corpus"
SMALL = 4

texts = st.lists(st.integers(0, SMALL - 1), max_size=60)
orders = st.integers(1, 5)


class Obvious:
    """Kneser-Ney as the paper has it: dictionaries of tuples, one probability at a time."""

    def __init__(self, text: list[int], order: int, num_symbols: int) -> None:
        self.num_symbols, self.order = num_symbols, order
        grams = [tuple(text[at : at + order]) for at in range(len(text) - order + 1)]
        self.counts = {order: Counter(grams)}
        for length in range(order - 1, 0, -1):
            self.counts[length] = Counter(gram[1:] for gram in set(self.counts[length + 1]))
        self.discounts = {length: self.estimate(counts) for length, counts in self.counts.items()}

    @staticmethod
    def estimate(counts: Counter[tuple[int, ...]]) -> list[float]:
        n = [sum(count == times for count in counts.values()) for times in range(5)]
        if 0 in n[1:4]:
            return list(NO_ESTIMATE)
        y = n[1] / (n[1] + 2 * n[2])
        found = [0.0] + [times - (times + 1) * y * n[times + 1] / n[times] for times in (1, 2, 3)]
        return found if min(found[1:]) > 0 else list(NO_ESTIMATE)

    def probability(self, symbol: int, context: tuple[int, ...]) -> float:
        length = len(context) + 1
        shorter = self.probability(symbol, context[1:]) if context else 1 / self.num_symbols
        after = [count for gram, count in self.counts[length].items() if gram[:-1] == context]
        if not after:
            return shorter
        discounts = self.discounts[length]
        count = self.counts[length][(*context, symbol)]
        given_up = sum(discounts[min(one, 3)] for one in after)
        return (count - discounts[min(count, 3)] + given_up * shorter) / sum(after)


@settings(max_examples=40)
@given(texts, texts, orders)
def test_it_agrees_with_the_obvious_implementation(text: list[int], other: list[int], order: int) -> None:
    model = NGram.train(np.array(text, dtype=np.int64), order, SMALL)
    obvious = Obvious(text, order, SMALL)
    found = model.probabilities(np.array(other, dtype=np.int64))
    assert found.shape == (len(other),)
    for at, symbol in enumerate(other):
        context = tuple(other[max(0, at - order + 1) : at])
        assert math.isclose(found[at], obvious.probability(symbol, context), rel_tol=1e-12)


@settings(max_examples=30)
@given(st.text(max_size=80), st.lists(st.integers(0, END), max_size=9), st.integers(1, 7))
def test_what_can_follow_adds_up_to_one_and_nothing_is_impossible(text: str, context: list[int], order: int) -> None:
    following = NGram.train(to_symbols([text]), order).distribution(context)
    assert following.shape == (NUM_SYMBOLS,)
    assert math.isclose(following.sum(), 1.0, rel_tol=1e-12)
    assert following.min() > 0


def test_a_word_that_follows_one_word_only_is_unlikely_elsewhere() -> None:
    """San Francisco: frequent, but no use after a context that was never seen."""
    text = to_symbols(["ab" * 30 + "cd ed fd gd hd id jd kd ld"])
    unseen = [ord("z")]
    bigram = NGram.train(text, 2).distribution(unseen)
    unigram = NGram.train(text, 1).distribution(unseen)
    assert unigram[ord("b")] > unigram[ord("d")]
    assert bigram[ord("b")] < bigram[ord("d")]


def test_the_unigram_model_is_the_share_of_each_symbol_where_there_is_plenty() -> None:
    text = np.repeat(np.arange(SMALL), [4000, 3000, 2000, 1000])
    assert NGram.train(text, 1, SMALL).distribution([]) == pytest.approx([0.4, 0.3, 0.2, 0.1], abs=1e-3)


def test_rows_do_not_look_at_each_other() -> None:
    model = NGram.train(to_symbols(["to be, or not to be"]), 4)
    rows = np.array([[ord(letter) for letter in row] for row in ("to be", "or no")])
    assert model.nats(rows).tolist() == [model.nats(row).tolist() for row in rows]


def test_discounts_are_those_of_chen_and_goodman() -> None:
    counts = np.repeat([1, 2, 3, 4, 9], [8, 4, 2, 1, 5])
    assert estimate_discounts(counts).tolist() == [0.0, 0.5, 1.25, 2.0]
    assert estimate_discounts(np.array([1, 1, 2])).tolist() == list(NO_ESTIMATE)


def test_a_model_of_order_seven_speaks_in_the_words_it_counted() -> None:
    verse = "Now is the winter of our discontent made glorious summer. "
    model = NGram.train(to_symbols([verse * 20]), 7)
    prompt = to_symbols(["Now is"])[:-1].tolist()
    drawn = model.sample(prompt, 60, seed=1)
    assert drawn[:9] == model.sample(prompt, 9, seed=1)
    said = bytes(symbol for symbol in drawn if symbol != END).decode("ascii", errors="replace")
    assert "winter of our discontent" in said


def test_texts_are_set_apart_by_an_end() -> None:
    assert to_symbols([]).tolist() == [END]
    assert to_symbols(["é", ""]).tolist() == [END, 0xC3, 0xA9, END, END]


def test_more_symbols_than_64_bits_hold_are_refused() -> None:
    with pytest.raises(AssertionError, match="64 bits"):
        NGram.train(to_symbols(["a"]), 8)


@pytest.mark.slow
def test_on_tinyshakespeare_it_is_as_good_as_it_should_be() -> None:
    """Figures of other implementations, nats a character: 1.517 with its whole context, 1.535 in windows of 256."""
    if not (CORPUS / "train.jsonl").is_file():
        pytest.skip("needs data/corpus: run `dvc repro data`")
    train, held_out = (
        "".join(row.text for row in read_records(CORPUS / f"{part}.jsonl", Document))
        for part in ("train", "validation")
    )
    if hashlib.sha256((train + held_out).encode()).hexdigest() != TINYSHAKESPEARE_SHA256:
        pytest.skip("data/corpus holds another text")
    text = to_symbols([held_out])[1:-1]
    model = NGram.train(to_symbols([train]), 7)
    windows = text[: len(text) // 256 * 256].reshape(-1, 256)
    assert model.nats(text).mean() == pytest.approx(1.517, abs=0.001)
    assert model.nats(windows).mean() == pytest.approx(1.535, abs=0.005)
    for order, expected in enumerate((3.347, 2.484, 2.038, 1.719), start=1):
        assert NGram.train(to_symbols([train]), order).nats(text).mean() == pytest.approx(expected, abs=0.001)
