"""Cutting and remembering change no id, and a large corpus takes no more memory than a small one."""

import itertools
import sys
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lal.text import pieces
from lal.text.pieces import cut, draw_evenly, encode
from lal.text.tokenizer import Tokenizer

TEXTS = ["Haue you had quiet Guard? Not a Mouse stirring.\n\n", "Well, good  night.\t'Tis I'll 12 ,, the the "] * 3
TOKENIZER = Tokenizer.train(TEXTS, 300)

BLANKS = [chr(code) for code in range(sys.maxunicode + 1) if chr(code).isspace()]
FRAGMENTS = [*BLANKS, " ", "\n", "a", "'s", "'", "12", "é", "日本", "\u200b", "\ufeff", "\u180e", "..", "😀"]
texts = st.lists(
    st.one_of(st.sampled_from(FRAGMENTS), st.text(st.characters(exclude_categories=["Cs"]), max_size=5)), max_size=40
)


@pytest.fixture
def tiny_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cuts at every place, forgets words all the time."""
    for name in ("PIECE_CHARACTERS", "BATCH_CHARACTERS", "CACHED_CHARACTERS"):
        monkeypatch.setattr(pieces, name, 3)


@pytest.mark.usefixtures("tiny_pieces")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(st.lists(texts.map("".join), max_size=4))
def test_the_ids_of_the_pieces_are_those_of_the_whole_text(whole: list[str]) -> None:
    together: list[list[int]] = [[] for _ in whole]
    for piece, ids in encode(TOKENIZER, whole):
        together[piece.number - 1] += ids.tolist()
    assert together == TOKENIZER.encode_batch(whole)


@pytest.mark.usefixtures("tiny_pieces")
@pytest.mark.parametrize("blank", BLANKS, ids=lambda blank: f"U+{ord(blank):04X}")
def test_around_any_blank_character_the_ids_are_those_of_the_whole_text(blank: str) -> None:
    for text in (f"night,{blank}the", f"!{blank}{blank}the", f"!{blank} 12", f"a \n{blank}s", f"the{blank}"):
        assert [i for _, ids in encode(TOKENIZER, [text]) for i in ids.tolist()] == TOKENIZER.encode(text), repr(text)


@pytest.mark.usefixtures("tiny_pieces")
def test_a_text_ends_once_and_comes_back_from_its_pieces() -> None:
    parts = list(cut(["to be or not", "", "tobeornot"]))
    assert [part.text for part in parts] == ["to be", " or", " not", "", "tobeornot"]
    assert [(part.number, part.is_last) for part in parts] == [(1, False), (1, False), (1, True), (2, True), (3, True)]


def test_a_long_text_becomes_pieces_of_about_the_same_length() -> None:
    lengths = [len(piece.text) for piece in cut(["to be or not to be\n" * 50_000])]
    assert len(lengths) == 15
    assert max(lengths) <= pieces.PIECE_CHARACTERS + 20


@pytest.mark.usefixtures("tiny_pieces")
def test_an_even_draw_takes_its_share_from_everywhere() -> None:
    words = [f" word{place:04}" for place in range(1000)]
    drawn = list(draw_evenly(["".join(words)], 0.1))
    assert len(drawn) == 100
    places = [words.index(word) for word in drawn]
    assert all(8 <= later - earlier <= 12 for earlier, later in itertools.pairwise(places))
    assert "".join(draw_evenly(words, 1.0)) == "".join(words)


def test_texts_are_taken_as_they_are_needed() -> None:
    taken = 0

    def endless() -> Iterator[str]:
        nonlocal taken
        while True:
            taken += 1
            yield "to be or not to be " * 1000

    stream = encode(TOKENIZER, endless())
    for _ in range(100):
        next(stream)
    assert taken <= 100 + 2 * pieces.BATCH_CHARACTERS // 19_000
