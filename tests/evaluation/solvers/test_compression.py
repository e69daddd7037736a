import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lal.evaluation.solvers import compression
from lal.evaluation.solvers.compression import compress, first_bytes
from lal.model.folder import LoadedModel
from lal.model.transformer import Config, Transformer
from lal.records import Document
from lal.text.tokenizer import Tokenizer

VERSE = "Now is the winter of our discontent made glorious summer by this sun of York. "


@pytest.fixture(scope="module")
def loaded() -> LoadedModel:
    """A network that nobody trained: every token is as likely as any other."""
    tokenizer = Tokenizer.train([VERSE], 270)
    return LoadedModel(Transformer(Config(270, 1, 1, 1, 8, 16, 32, True, False)).eval(), tokenizer, {})


def documents(texts: list[str]) -> list[Document]:
    return [
        Document(id=f"own-{number}", text=text, source="own", licence="mine", split="train")
        for number, text in enumerate(texts)
    ]


def test_counting_beats_equal_odds_and_a_longer_memory_beats_letter_frequencies(loaded: LoadedModel) -> None:
    found = compress(documents([VERSE * 20]), documents([VERSE, "winter"]), {"base": loaded})
    assert list(found.bits_per_byte) == ["unigram", "ngram", "base"]
    assert found.bits_per_byte["ngram"] < 1 < found.bits_per_byte["unigram"] < 5
    tokens = len(loaded.tokenizer.encode(VERSE)) + len(loaded.tokenizer.encode("winter")) + 2
    assert found.bits_per_byte["base"] == pytest.approx(tokens * math.log2(270) / (len(VERSE) + 6), rel=1e-5)
    assert (found.num_training_bytes, found.num_validation_bytes) == (20 * len(VERSE), len(VERSE) + 6)
    assert found.num_entries["unigram"] == len(set(VERSE)) + 1


def test_letter_frequencies_cost_what_their_entropy_says() -> None:
    text = "abacabad" * 500
    found = compress(documents([text]), documents([text]), {})
    entropy = -sum(count / 8 * math.log2(count / 8) for count in Counter("abacabad").values())
    assert found.bits_per_byte["unigram"] == pytest.approx(entropy, abs=0.01)


@pytest.mark.parametrize("train", [[], [""], ["x"], ["Ein kurzer Text.\n", "ü"]])
def test_a_tiny_corpus_works(loaded: LoadedModel, train: list[str]) -> None:
    found = compress(documents(train), documents(["é"]), {"base": loaded})
    assert all(math.isfinite(value) and value > 0 for value in found.bits_per_byte.values())
    assert found.num_validation_bytes == 2


def test_without_held_out_text_there_are_no_numbers(loaded: LoadedModel) -> None:
    assert compress(documents([VERSE]), documents([]), {"base": loaded}).bits_per_byte == {}


def test_of_large_splits_the_beginning_counts(loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compression, "MAX_TRAINING_BYTES", 100)
    monkeypatch.setattr(compression, "MAX_VALIDATION_BYTES", 10)
    large = compress(documents([VERSE * 9]), documents([VERSE, VERSE]), {"base": loaded})
    small = compress(documents([(VERSE * 2)[:100]]), documents([VERSE[:10]]), {"base": loaded})
    assert large == small
    assert (large.num_training_bytes, large.num_validation_bytes) == (100, 10)


@given(st.lists(st.text(max_size=5), max_size=5), st.integers(0, 20))
def test_the_first_bytes_are_a_beginning_and_fit(texts: list[str], most: int) -> None:
    kept = first_bytes(texts, most)
    whole = "".join(texts).encode()
    content = "".join(kept).encode()
    assert whole.startswith(content)
    assert len(content) <= most
    assert len(content) == len(whole) or len(content) > most - 4
