"""Which word of one edition is which word of another: whole word sequences, matched by how the words would sound.

Source: D. Gusfield, Algorithms on Strings, Trees and Sequences, 1997, ch. 11 (alignment); the anchors are B. Cohen's
patience diff, https://bramcohen.livejournal.com/73318.html.
"""

import bisect
import difflib
import re
from collections import Counter
from collections.abc import Sequence
from functools import cache

ANCHOR_WORDS = 4
"""Runs of this many words that occur once in both editions are matched first; they cut the play into small pieces."""

MAX_REPLACED_WORDS = 6
"""Longer stretches without a common word are another text, not another spelling."""

MIN_SIMILARITY = 0.6
"""Least likeness of two words' sound keys to count as one word."""


@cache
def sound_key(word: str) -> str:
    """What stays of a word when spelling is taken off it; equal for spellings of one word, nearly always.

    Example:
        >>> sound_key("Vnckle") == sound_key("uncle"), sound_key("ioyes") == sound_key("joys")
        (True, True)
    """
    key = re.sub(r"[^a-z]", "", word.lower())
    for old, new in (("vv", "w"), ("v", "u"), ("j", "i"), ("y", "i"), ("ck", "k"), ("c", "k"), ("ph", "f")):
        key = key.replace(old, new)
    key = re.sub(r"ie(?=[sd]?$)", "i", key)
    key = re.sub(r"ea|ee|ie|ei", "e", key)
    key = re.sub(r"(.)\1+", r"\1", key)
    return re.sub(r"(?<=.)e(?=[sd]?$)", "", key)


def align(source: Sequence[str], target: Sequence[str]) -> list[int | None]:
    """For each source word the index of the target word it is, or None."""
    source_keys, target_keys = [sound_key(word) for word in source], [sound_key(word) for word in target]
    partners: list[int | None] = [None] * len(source)
    start_a = start_b = 0
    for a, b in [*_anchors(source_keys, target_keys), (len(source), len(target))]:
        _align_piece(source_keys, target_keys, (start_a, a), (start_b, b), partners)
        if a < len(source):
            partners[a] = b
        start_a, start_b = a + 1, b + 1
    return partners


def _anchors(source: Sequence[str], target: Sequence[str]) -> list[tuple[int, int]]:
    places_a, places_b = _unique_runs(source), _unique_runs(target)
    common = sorted((place, places_b[run]) for run, place in places_a.items() if run in places_b)
    return _longest_increasing(common)


def _unique_runs(keys: Sequence[str]) -> dict[tuple[str, ...], int]:
    runs = [tuple(keys[start : start + ANCHOR_WORDS]) for start in range(len(keys) - ANCHOR_WORDS + 1)]
    counts = Counter(runs)
    return {run: start for start, run in enumerate(runs) if counts[run] == 1}


def _longest_increasing(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The longest subsequence with rising second members (patience sorting); first members rise already."""
    tops: list[int] = []
    piles: list[int] = []
    before: list[int] = []
    for index, (_, b) in enumerate(pairs):
        pile = bisect.bisect_left(tops, b)
        before.append(piles[pile - 1] if pile else -1)
        tops[pile : pile + 1], piles[pile : pile + 1] = [b], [index]
    chain = []
    index = piles[-1] if piles else -1
    while index >= 0:
        chain.append(pairs[index])
        index = before[index]
    return chain[::-1]


def _align_piece(
    source: Sequence[str],
    target: Sequence[str],
    span_a: tuple[int, int],
    span_b: tuple[int, int],
    partners: list[int | None],
) -> None:
    if span_a[0] >= span_a[1] or span_b[0] >= span_b[1]:
        return
    matcher = difflib.SequenceMatcher(None, source[slice(*span_a)], target[slice(*span_b)], autojunk=False)
    for kind, a, a_end, b, b_end in matcher.get_opcodes():
        size = a_end - a
        if kind == "equal" or (kind == "replace" and size == b_end - b <= MAX_REPLACED_WORDS):
            for offset in range(size):
                i, j = span_a[0] + a + offset, span_b[0] + b + offset
                if kind == "equal" or similarity(source[i], target[j]) >= MIN_SIMILARITY:
                    partners[i] = j


@cache
def similarity(one: str, other: str) -> float:
    """Likeness of two sound keys: twice the letters they share, in order, over the letters of both; 0 to 1."""
    return difflib.SequenceMatcher(None, one, other, autojunk=False).ratio()
