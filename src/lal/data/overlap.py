"""Does the gold set stand in the training data? Finds it in any casing, spacing, punctuation and spelling.

Texts are compared by their skeletons: letters and digits, with the spelling taken out. The sequences of 6 skeleton
letters of each gold text are looked up in the training texts; the share that stands close together is the overlap.

Why 6 and not the customary 13: a gold line has about 30 letters; a changed word in its middle leaves no 13 in a row.
Measured with 240 gold lines: their copies with one word replaced are seen (share >= 0.5) in 93 % of all cases, and come
to 0.7 in 60 %; with 13 it was 43 % and 20 %. Of the 7,386 lines of the gold plays, against 78,270 lines of other plays,
22 come to 0.7 without being there as a whole, 21 of them shorter than 25 letters, and 139 lie between.
Source: containment of shingles, A. Broder, "On the resemblance and containment of documents", 1997.
"""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from lal.data.characters import letters_only
from lal.records import line_to_modernise

GRAM = 6
"""Skeleton letters that are compared at a time."""

SHORT = 16
"""Skeleton letters; a shorter text is common property, and a leak only where the whole prompt was trained on.

Of the gold plays' lines, 25 % of those with 10 letters, 4 % with 14, 1 % with 16 and 0.1 % of longer ones stand as a
whole in other plays."""

REVIEW = 0.5
"""Share from which an overlap is worth a look."""

COMMON = 0.01
"""Sequences in more than this share of the training texts, and in more than `COMMON_TEXTS` of them, are the form of a
task and not the content of an item: `Classify this review:` is no leak. Of a question that is common throughout, a
whole copy is."""

COMMON_TEXTS = 20

PIECE = 2000
"""Characters; longer texts are cut into overlapping pieces of this size, or of 8 times the longest gold text."""

LINE = 200
"""Characters; of a longer training text only the stretch that overlaps is shown."""

_SPELLINGS = str.maketrans({"v": "u", "w": "u", "j": "i", "y": "i", "e": None})
_DOUBLED = re.compile(r"([^\W\d_])\1+")


@dataclass(frozen=True)
class GoldText:
    """What must not be learned from: the question and all right answers of one gold item."""

    place: str
    prompt: str
    answers: tuple[str, ...]


@dataclass(frozen=True)
class TrainingText:
    """Something that is learned from, and the `file:line` it stands in."""

    place: str
    text: str
    is_prompt: bool = False


@dataclass(frozen=True)
class Overlap:
    """The training text most like a gold item."""

    share: float
    """Above 0 and up to 1, of the item's letter sequences."""
    gold_text: str
    place: str
    training_text: str
    num_places: int
    """Training lines that are like the item, this one included."""


def skeleton(text: str) -> str:
    """A text without casing, spacing, punctuation, accents and spelling: `Haue you seene?` and `have you seen` are one.

    v and w become u, j and y become i, every e goes, doubled letters count once. A function of each letter and its
    neighbour alone, so a part of a text has a part of its skeleton wherever it is embedded.

    Example:
        >>> skeleton("They marryed, and haue a dogge!") == skeleton("they married and have a dog")
        True
    """
    return _DOUBLED.sub(r"\1", _fold(text))


def find_overlaps(
    gold: Sequence[GoldText], training: Sequence[TrainingText], least: float = REVIEW
) -> list[Overlap | None]:
    """Looks for each gold item in the training texts.

    A share of 1 means that all of a prompt or an answer stands there. Time grows with the length of the training texts,
    hardly with the number of items: 11 million characters and 960 items take about 5 seconds.

    Returns:
        For each item the training text most like it, or None where none has a share of `least`.
    """
    wanted = [text for number, item in enumerate(gold) for text in _wanted_texts(number, item)]
    pieces = _pieces(training, size=max([PIECE, *(8 * len(text.text) for text in wanted)]))
    holders = _find_holders(pieces, frozenset().union(*(text.grams for text in wanted)))
    common = max(COMMON_TEXTS, COMMON * len(pieces))
    rare = frozenset(gram for gram, held in holders.items() if len(held) <= common)
    matches = _same_prompts(gold, training)
    for text in wanted:
        matches[text.item] += _matches(text, pieces, holders, rare, least)
    return [_best(matches[number]) for number in range(len(gold))]


@dataclass(frozen=True)
class _Wanted:
    """One text of a gold item that is long enough to be looked for, and its letter sequences."""

    item: int
    text: str
    is_prompt: bool
    num_letters: int
    grams: frozenset[str]


@dataclass(frozen=True)
class _Match:
    share: float
    gold_text: str
    place: str
    training_text: str


def _wanted_texts(number: int, item: GoldText) -> Iterator[_Wanted]:
    seen = set()
    for place, text in enumerate((_content(item.prompt), *item.answers)):
        letters = skeleton(text)
        if len(letters) >= SHORT and letters not in seen:
            seen.add(letters)
            yield _Wanted(number, text, place == 0, len(letters), _grams(letters))


def _pieces(training: Sequence[TrainingText], size: int) -> list[TrainingText]:
    """The texts, long ones cut; each half of a piece is also half of its neighbour, so nothing is cut on both sides."""
    pieces = []
    for row in training:
        text = _content(row.text)
        if len(text) <= size:
            pieces.append(replace(row, text=text) if len(text) < len(row.text) else row)
        else:
            starts = range(0, len(text) - size // 2, size // 2)
            pieces += [replace(row, text=text[start : start + size]) for start in starts]
    return pieces


def _find_holders(pieces: Sequence[TrainingText], sought: frozenset[str]) -> dict[str, list[int]]:
    """For each of the sequences sought, the numbers of the pieces that hold it."""
    holders: dict[str, list[int]] = {gram: [] for gram in sought}
    previous = ("", "")
    for number, piece in enumerate(pieces):
        letters = skeleton(piece.text)
        # A prompt in old spelling and its answer in modern spelling mostly have one skeleton: once a row is enough.
        if (piece.place, letters) != previous:
            for gram in sought & _grams(letters):
                holders[gram].append(number)
        previous = (piece.place, letters)
    return holders


def _same_prompts(gold: Sequence[GoldText], training: Sequence[TrainingText]) -> dict[int, list[_Match]]:
    """Whole prompts that were trained on, however short.

    Spelling counts here, as nine in ten short texts would find another of their skeleton (`heere` and `her`), and so do
    prefixes, since they tell one task from another.
    """
    asked: dict[str, list[int]] = defaultdict(list)
    for number, item in enumerate(gold):
        asked[letters_only(item.prompt)].append(number)
    matches: dict[int, list[_Match]] = defaultdict(list)
    for row in training:
        if row.is_prompt:
            for number in asked.get(letters_only(row.text), ()):
                matches[number].append(_Match(1.0, gold[number].prompt, row.place, row.text))
    return matches


def _matches(
    wanted: _Wanted,
    pieces: Sequence[TrainingText],
    holders: Mapping[str, list[int]],
    rare: frozenset[str],
    least: float,
) -> Iterator[_Match]:
    """The pieces in which a share of `least` or more of a text's sequences stand close together."""
    grams = wanted.grams & rare
    if len(grams) < min(SHORT - GRAM + 1, len(wanted.grams) / 2):
        # What is left is less than a short text: a form, or a leak into very many rows. An answer so common is the
        # name of a class; of a question, the whole of it tells.
        if not wanted.is_prompt:
            return
        grams, least = wanted.grams, 1.0
    counts = Counter(number for gram in grams for number in holders[gram])
    for number, count in sorted(counts.items()):
        if count >= least * len(grams):
            share, stretch = _closest(grams, pieces[number].text, span=wanted.num_letters * 3 // 2)
            if share >= least:
                yield _Match(share, wanted.text, pieces[number].place, stretch)


def _closest(grams: frozenset[str], text: str, span: int) -> tuple[float, str]:
    """The largest share of the sequences within `span` letters of a text, and that stretch of the text."""
    offsets, letters = _letters_with_offsets(text)
    hits = [start for start in range(len(letters) - GRAM + 1) if letters[start : start + GRAM] in grams]
    most, stretch = 0, text
    first = 0
    for last, end in enumerate(hits):
        while hits[first] < end - span:
            first += 1
        inside = {letters[start : start + GRAM] for start in hits[first : last + 1]}
        if len(inside) > most:
            most, stretch = len(inside), text[offsets[hits[first]] : offsets[end + GRAM - 1] + 1]
    return most / len(grams), text if len(text) <= LINE else f"... {stretch} ..."


def _letters_with_offsets(text: str) -> tuple[list[int], str]:
    """The skeleton, and for each of its letters the place in the text that it comes from."""
    offsets: list[int] = []
    letters = ""
    for offset, character in enumerate(text):
        for letter in _fold(character):
            if not (letters.endswith(letter) and letter.isalpha()):
                offsets.append(offset)
                letters += letter
    return offsets, letters


def _best(matches: Sequence[_Match]) -> Overlap | None:
    if not matches:
        return None
    best = max(matches, key=lambda match: match.share)
    num_places = len({match.place for match in matches})
    return Overlap(best.share, best.gold_text, best.place, best.training_text, num_places)


def _fold(text: str) -> str:
    letters = "".join(filter(str.isalnum, unicodedata.normalize("NFKD", text))).casefold()
    return letters.translate(_SPELLINGS)


def _grams(letters: str) -> frozenset[str]:
    return frozenset(letters[start : start + GRAM] for start in range(len(letters) - GRAM + 1))


def _content(prompt: str) -> str:
    return line_to_modernise(prompt) or prompt
