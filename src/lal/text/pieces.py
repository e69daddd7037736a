"""Texts larger than the memory: cut into pieces, drawn from, encoded word by word.

Where white space follows something visible, the pattern that splits a text before the merges ends a word whatever
comes, and it never looks back. Cut at such places, the ids of the parts, put together, are those of the text.
"""

import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lal.text.tokenizer import Tokenizer

PIECE_CHARACTERS = 2**16
"""A piece ends at the first such place behind this many characters."""

BATCH_CHARACTERS = 2**18
"""Whose new words are merged at once: calling the library for each text by itself takes longer than its words."""

CACHED_CHARACTERS = 2**20
"""Of the words remembered with their ids, all together: about 40 MB. When they are more, all are forgotten."""

# Python counts U+001C to U+001F among white space, Unicode (and so the pattern) does not.
_BLANK, _VISIBLE = r"[^\S\x1c-\x1f]", r"[\S\x1c-\x1f]"
_PLACE_TO_CUT = re.compile(f"(?<={_VISIBLE}){_BLANK}")
_WORD = re.compile(f"{_BLANK}*{_VISIBLE}+|{_BLANK}+")


@dataclass(frozen=True)
class Piece:
    """A part of a text.

    Attributes:
        text: What it says; empty only if the whole text is.
        number: Of the text, from 1.
        is_last: Whether the text ends with it.
    """

    text: str
    number: int
    is_last: bool


def cut(texts: Iterable[str]) -> Iterator[Piece]:
    """The pieces of texts; a text without a place to cut stays whole, at most a line of JSON long.

    Example:
        >>> [(len(piece.text), piece.is_last) for piece in cut(["To be, or not to be. " * 5_000, ""])]
        [(65536, False), (39464, True), (0, True)]
    """
    for number, text in enumerate(texts, start=1):
        start = 0
        while place := _PLACE_TO_CUT.search(text, start + PIECE_CHARACTERS):
            yield Piece(text[start : place.start()], number, is_last=False)
            start = place.start()
        yield Piece(text[start:], number, is_last=True)


def draw_evenly(texts: Iterable[str], share: float) -> Iterator[str]:
    """Pieces from all over the texts that hold about this share (0 to 1) of their characters; 1 gives all."""
    num_drawn = num_seen = 0
    for piece in cut(texts):
        num_seen += len(piece.text)
        if num_drawn + len(piece.text) <= share * num_seen:
            num_drawn += len(piece.text)
            yield piece.text


def encode(tokenizer: Tokenizer, texts: Iterable[str]) -> Iterator[tuple[Piece, NDArray[np.uint16]]]:
    """Each piece of the texts with its (N,) ids, in order; one batch of them is in memory at a time.

    A corpus says the same words again and again, so most are looked up instead of merged anew.
    """
    known: dict[str, bytes] = {}
    num_characters = 0
    for batch in _batches(cut(texts)):
        words = [_WORD.findall(piece.text) for piece in batch]
        if num_characters > CACHED_CHARACTERS:
            known, num_characters = {}, 0
        new = list(set(itertools.chain.from_iterable(words)).difference(known))
        num_characters += sum(map(len, new))
        for word, ids in zip(new, tokenizer.encode_batch(new), strict=True):
            known[word] = np.array(ids, np.uint16).tobytes()
        for piece, its_words in zip(batch, words, strict=True):
            yield piece, np.frombuffer(b"".join(map(known.__getitem__, its_words)), np.uint16)


def _batches(pieces: Iterable[Piece]) -> Iterator[list[Piece]]:
    batch: list[Piece] = []
    size = 0
    for piece in pieces:
        batch.append(piece)
        size += len(piece.text)
        if size >= BATCH_CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
