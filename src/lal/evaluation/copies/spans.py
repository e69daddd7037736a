"""The longest verbatim spans that a text shares with a body of texts, found with an index of all windows of it.

Every window of `WINDOW` characters of the body is hashed and the hashes are sorted. A text's own windows are looked up
among them, and each hit is followed character by character as far as it goes, so a collision of hashes is never taken
for a copy. Shorter spans than a window are not found.

Seven million characters take 2 s of one core and 180 MB to index, all answers to 476 questions 0.6 s. A suffix array
would find the shorter spans, too, which say nothing, and costs a sort for each doubling of the length or a dependency.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

WINDOW = 8
"""Shortest span that is found, in characters; a power of two. Shorter ones are the language's own: of lines
that nobody copied, 93 % of the characters lie in spans of 8."""

_APART = 0x110000
"""Stands between the texts of the body: no character has this code, so no span runs over a border."""

_FACTOR = np.uint64(0x9E3779B97F4A7C15)

_PAIRS_AT_ONCE = 4_000_000
"""Hits followed side by side; a phrase that stands a thousand times in both would fill the memory."""


@dataclass(frozen=True)
class Passage:
    """A text of the body.

    Attributes:
        place: Where it stands, e.g. the id of a conversation.
        text: What it says.
    """

    place: str
    text: str


@dataclass(frozen=True)
class Span:
    """Characters of a text that stand in the body, too.

    Attributes:
        start: Its first character in the text, from 0.
        length: Characters.
        passage: Number of the passage that has it.
        offset: Its first character in the passage.
    """

    start: int
    length: int
    passage: int
    offset: int


class SpanIndex:
    """A body of texts, ready to be asked what a text has in common with it.

    Args:
        passages: The body; may be empty.
    """

    def __init__(self, passages: Iterable[Passage]) -> None:
        kept = list(passages)
        self._passages = kept
        lengths = np.array([len(passage.text) + 1 for passage in kept], dtype=np.int64)
        self._starts = np.concatenate([[0], np.cumsum(lengths)])[: len(kept)].astype(np.int64)
        self._codes = _codes([passage.text for passage in kept])
        assert len(self._codes) < 2**31, "positions are 32 bits wide"
        hashes = _window_hashes(self._codes)
        self._order = np.argsort(hashes).astype(np.int32)
        self._hashes = hashes[self._order]

    @property
    def num_characters(self) -> int:
        """Characters of the body."""
        return len(self._codes) - len(self._passages)

    def place(self, span: Span) -> str:
        """Where a span stands in the body: the passage, and its line if the passage has several."""
        passage = self._passages[span.passage]
        line = passage.text.count("\n", 0, span.offset) + 1
        return f"{passage.place}, line {line:,}" if "\n" in passage.text else passage.place

    def spans(self, texts: Sequence[str]) -> list[list[Span]]:
        """For each text, all spans of at least `WINDOW` characters that cannot be made longer on either side.

        A span that stands in several passages is told of once, with the first of them.
        """
        codes = _codes(texts)
        starts = np.concatenate([[0], np.cumsum([len(text) + 1 for text in texts])]).astype(np.int64)
        found: list[list[Span]] = [[] for _ in texts]
        for here, there in self._hits(codes):
            length = self._follow(codes, here, there)
            real = length >= WINDOW
            for start, end, position in zip(*_once(here[real], length[real], there[real]), strict=True):
                text = int(np.searchsorted(starts, start, side="right")) - 1
                passage = int(np.searchsorted(self._starts, position, side="right")) - 1
                offset = int(position - self._starts[passage])
                found[text].append(Span(int(start - starts[text]), int(end - start), passage, offset))
        return found

    def _hits(self, codes: NDArray[np.uint32]) -> Iterable[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Positions in the asked texts and in the body whose windows agree and the characters before them do not."""
        hashes = _window_hashes(codes)
        low, high = (np.searchsorted(self._hashes, hashes, side) for side in ("left", "right"))
        counts = high - low
        ends = np.cumsum(counts)
        first = 0
        while first < len(counts):
            before = int(ends[first - 1]) if first else 0
            last = max(first + 1, int(np.searchsorted(ends, before + _PAIRS_AT_ONCE, side="right")))
            many = counts[first:last]
            here = np.repeat(np.arange(first, last), many)
            steps = np.arange(int(many.sum())) - np.repeat(np.cumsum(many) - many, many)
            there = self._order[np.repeat(low[first:last], many) + steps].astype(np.int64)
            # A pair whose neighbours to the left agree, too, is the inside of a span that began there.
            begins = (here == 0) | (there == 0) | (codes[here - 1] != self._codes[there - 1])
            begins |= (codes[here - 1] == _APART) & (here > 0)
            yield here[begins], there[begins]
            first = last

    def _follow(
        self, codes: NDArray[np.uint32], here: NDArray[np.int64], there: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """How many characters from each pair on are the same; a border ends it."""
        length = np.zeros(len(here), dtype=np.int64)
        going = np.arange(len(here))
        while len(going):
            one, other = here[going] + length[going], there[going] + length[going]
            inside = (one < len(codes)) & (other < len(self._codes))
            going, one, other = going[inside], one[inside], other[inside]
            same = (codes[one] == self._codes[other]) & (codes[one] != _APART)
            going = going[same]
            length[going] += 1
        return length


def covered(spans: Iterable[Span], least: int) -> int:
    """Characters of a text that lie within a span of at least `least` characters, each counted once."""
    total = reached = 0
    for span in sorted(spans, key=lambda span: span.start):
        if span.length >= least:
            end = span.start + span.length
            total += max(0, end - max(reached, span.start))
            reached = max(reached, end)
    return total


def _once(
    here: NDArray[np.int64], length: NDArray[np.int64], there: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """(start, end, position) of each different span, with the first position that has it, in the texts' order."""
    order = np.lexsort((there, length, here))
    here, length, there = here[order], length[order], there[order]
    new = np.ones(len(here), dtype=bool)
    new[1:] = (here[1:] != here[:-1]) | (length[1:] != length[:-1])
    return here[new], (here + length)[new], there[new]


def _codes(texts: Sequence[str]) -> NDArray[np.uint32]:
    """The characters' code points, each text followed by a border."""
    parts = []
    for text in texts:
        parts += [np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4"), _BORDER]
    return np.concatenate([*parts, _NOTHING]).astype(np.uint32)


def _window_hashes(codes: NDArray[np.uint32]) -> NDArray[np.uint64]:
    """The hash of the window that begins at each position, as long as there is one: doubled from 1 to `WINDOW`."""
    hashes = codes.astype(np.uint64)
    width, factor = 1, _FACTOR
    with np.errstate(over="ignore"):
        while width < WINDOW:
            hashes = hashes[: max(0, len(hashes) - width)] * factor + hashes[width:]
            width, factor = 2 * width, factor * factor
    return hashes


_BORDER = np.array([_APART], dtype=np.uint32)
_NOTHING = np.zeros(0, dtype=np.uint32)
