"""Does the gold set stand in the training data? Finds it in any casing, spacing, punctuation and spelling.

Texts are compared by their skeletons: letters and digits, with the spelling taken out. The sequences of 6 skeleton
letters of each gold text are looked up in the training texts; the share that stands close together is the overlap. A
text cut in two by the end of a row is looked for in both rows together. Words in another order leave few sequences;
`lal.data.near_duplicates` finds those. `bench/leaks.py` plants each disguise and counts what is found.

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
from lal.data.near_duplicates import WordSets, find_near_duplicates
from lal.data.overlap_list import Method
from lal.records import line_to_modernise

GRAM = 6
"""Skeleton letters that are compared at a time."""

SHORT = 16
"""Skeleton letters; a shorter text is common property, and a leak only where the whole prompt was trained on.

Of the gold plays' lines, 25 % of those with 10 letters, 4 % with 14, 1 % with 16 and 0.1 % of longer ones stand as a
whole in other plays."""

REVIEW = 0.5
"""Share from which an overlap is worth a look."""

NEAR = 0.6
"""Likeness of word sets from which a near-duplicate is worth a look. Of 7,296 lines of the gold plays, against 76,887
conversations and a corpus of other plays, 48 have one with 0.6 and 13 with 0.7, but 265 with 0.5."""

BOTH = 0.1
"""Share that two rows together must have over either alone to be named together."""

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
    """`file:line`, or both where the text is cut by the end of a row."""
    training_text: str
    num_places: int
    """Training lines that are like the item, this one included."""
    method: Method


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
    hardly with the number of items: 100,000 rows and 1,000 items take 14 seconds of one core.

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
    for number, match in _near_matches(wanted, training, max(least, NEAR)):
        matches[number].append(match)
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
    method: Method = "letter sequences"


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
                matches[number].append(_Match(1.0, gold[number].prompt, row.place, row.text, "exact"))
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
    enough, span = least * len(grams), wanted.num_letters * 3 // 2
    alone: dict[int, float] = {}
    for number, count in sorted(counts.items()):
        if count >= enough:
            alone[number], stretch = _closest(grams, pieces[number].text, span)
            if alone[number] >= least:
                same = letters_only(pieces[number].text) == letters_only(wanted.text)
                method: Method = "exact" if same else "letter sequences"
                yield _Match(alone[number], wanted.text, pieces[number].place, stretch, method)
    for number, after in _neighbours(counts, pieces, enough):
        share, stretch = _closest(grams, f"{pieces[number].text} {pieces[after].text}", span)
        if share >= least and share >= max(alone.get(number, 0), alone.get(after, 0)) + BOTH:
            yield _Match(share, wanted.text, f"{pieces[number].place} and {pieces[after].place}", stretch)


def _neighbours(counts: Mapping[int, int], pieces: Sequence[TrainingText], enough: float) -> Iterator[tuple[int, int]]:
    """Pieces in rows one after the other that hold enough together."""
    for number, count in sorted(counts.items()):
        # Of conversations, prompt follows on prompt and answer on answer.
        for after in (number + 1, number + 2):
            both = count + counts.get(after, 0)
            if after in counts and both >= enough and pieces[number].place != pieces[after].place:
                yield number, after


def _near_matches(
    wanted: Sequence[_Wanted], training: Sequence[TrainingText], least: float
) -> Iterator[tuple[int, _Match]]:
    """Yields (item, match) for training texts, and lines of them, with nearly the same words in any order."""
    words_of = WordSets(skeleton)
    texts: list[TrainingText] = []
    sets: list[frozenset[str]] = []
    for row in training:
        for text in _units(_content(row.text)):
            words = words_of(text)
            if not (sets and words == sets[-1] and texts[-1].place == row.place):
                texts.append(replace(row, text=text))
                sets.append(words)
    held = Counter(word for words in sets for word in words)
    common = max(COMMON_TEXTS, COMMON * len(sets))
    sought = [words_of(text.text) for text in wanted]
    for number, place, share in find_near_duplicates(sought, sets, least):
        # Two questions in one form share the words of the form; what they ask about must be shared as well.
        rare = {word for word in sought[number] if held[word] <= common}
        if len(rare & sets[place]) >= least * len(rare) and (rare or share == 1):
            like, row = wanted[number], texts[place]
            yield like.item, _Match(share, like.text, row.place, row.text, "near-duplicate")


def _units(text: str) -> Iterator[str]:
    """What a text is compared as: the whole, unless it is a long document, and each of its lines."""
    lines = text.split("\n")
    if len(text) <= PIECE:
        yield text
    if len(lines) > 1:
        yield from lines


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
    best = max(matches, key=lambda match: (match.share, match.method == "exact"))
    num_places = len({match.place for match in matches})
    return Overlap(best.share, best.gold_text, best.place, best.training_text, num_places, best.method)


def _fold(text: str) -> str:
    letters = "".join(filter(str.isalnum, unicodedata.normalize("NFKD", text))).casefold()
    return letters.translate(_SPELLINGS)


def _grams(letters: str) -> frozenset[str]:
    return frozenset(letters[start : start + GRAM] for start in range(len(letters) - GRAM + 1))


def _content(prompt: str) -> str:
    return line_to_modernise(prompt) or prompt
