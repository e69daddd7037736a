"""Texts larger than the memory: cut into pieces, drawn from, encoded word by word.

Where white space follows something visible, the pattern that splits a text before the merges ends a word whatever
comes, and it never looks back. Cut at such places, the ids of the parts, put together, are those of the text.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lal.text.tokenizer import Tokenizer

PIECE_CHARACTERS = 2**16
"""A piece ends at the first such place behind this many characters."""

CACHED_CHARACTERS = 2**20
"""Words remembered with their ids, all together; about 40 MB of memory."""

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
        >>> [(piece.text[:7], piece.is_last) for piece in cut(["To be" * 20_000 + " or not to be", ""])]
        [('To beTo', False), (' or not', True), ('', True)]
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
    """Each piece of the texts with its ids.

    A corpus says the same words again and again, so most are looked up instead of merged anew.
    """
    cache = _Cache(tokenizer)
    for piece in cut(texts):
        yield piece, cache.encode(piece.text)


class _Cache:
    """The ids of words, a word being white space with what follows up to the next; emptied when it is full."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._ids: dict[str, bytes] = {}
        self._num_characters = 0

    def encode(self, text: str) -> NDArray[np.uint16]:
        """(N,) ids of a text. Raises: see `Tokenizer.encode_batch`."""
        words = _WORD.findall(text)
        if self._num_characters > CACHED_CHARACTERS:
            self._ids, self._num_characters = {}, 0
        if unknown := list(set(words).difference(self._ids)):
            encoded: list[Any] = self._tokenizer.encode_batch(unknown)
            self._ids.update((word, np.array(ids, np.uint16).tobytes()) for word, ids in zip(unknown, encoded, strict=True))
            self._num_characters += sum(map(len, unknown))
        return np.frombuffer(b"".join([self._ids[word] for word in words]), np.uint16)
