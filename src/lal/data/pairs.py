"""Lines of the First Folio with the same lines in modern spelling."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lal.data.align import align
from lal.data.clean import WORD, modern_words, put_in_place, words_of
from lal.data.folio import spoken_lines
from lal.data.plays import parse_play
from lal.data.readings import find_other_words
from lal.data.split import split_of_play


@dataclass(frozen=True)
class Pair:
    """A line as it was printed in 1623 and with modern spelling; words, punctuation and capitals are the same."""

    play: str
    number: int
    """Of the line among the spoken lines of its play, from 1."""
    source: str
    target: str


@dataclass(frozen=True)
class Pairs:
    """What became of all lines: pairs in order, and how many lines were left out for which reason."""

    kept: tuple[Pair, ...]
    dropped: Mapping[str, int]


@dataclass(frozen=True)
class _Line:
    play: str
    number: int
    text: str
    words: tuple[str, ...]
    partners: tuple[str | None, ...]

    @property
    def readings(self) -> list[tuple[str, str]]:
        """(old, modern) in lower case for each word that has a partner."""
        return [
            (word.lower(), partner.lower()) for word, partner in zip(self.words, self.partners, strict=True) if partner
        ]


def build_pairs(folio: Mapping[str, str], modern: Mapping[str, str]) -> Pairs:
    """Pairs of all plays that both editions hold.

    A line is kept if each of its words has a partner that is the same word, if it stands in no play that is held out
    more strictly than its own, and once.

    Args:
        folio: Folio text of each play, by slug.
        modern: Markdown of each play, by slug.
    """
    lines: list[_Line] = []
    vocabulary: Counter[str] = Counter()
    for slug in sorted(set(folio) & set(modern)):
        target = [word for speech in parse_play(modern[slug]) for word in modern_words(speech.lines)]
        vocabulary.update(word.lower() for word in target)
        lines += _aligned(slug, spoken_lines(folio[slug]), target)
    dropped: Counter[str] = Counter()
    pairs = _without_repeats(_matched(lines, vocabulary, dropped), dropped)
    return Pairs(tuple(pairs), dict(sorted(dropped.items())))


def _aligned(slug: str, texts: Sequence[str], target: Sequence[str]) -> list[_Line]:
    """The lines of one play, each word with its partner."""
    spoken = [tuple(words_of(text)) for text in texts]
    indices = iter(align([word for words in spoken for word in words], target))
    lines = []
    for number, (text, words) in enumerate(zip(texts, spoken, strict=True), start=1):
        found = [next(indices) for _ in words]
        partners = tuple(None if index is None else target[index] for index in found)
        lines.append(_Line(slug, number, text, words, partners))
    return lines


def _matched(lines: Sequence[_Line], vocabulary: Mapping[str, int], dropped: Counter[str]) -> list[Pair]:
    """Pairs of the lines whose words all have a partner that is the same word."""
    others = find_other_words(Counter(reading for line in lines for reading in line.readings), vocabulary)
    pairs = []
    for line in lines:
        if not line.words:
            dropped["no_words"] += 1
        elif None in line.partners:
            dropped["word_without_partner"] += 1
        elif not others.isdisjoint(line.readings):
            dropped["another_word"] += 1
        else:
            pairs.append(Pair(line.play, line.number, line.text, _modernised(line)))
    return pairs


def _modernised(line: _Line) -> str:
    forms = (put_in_place(partner, word) for word, partner in zip(line.words, line.partners, strict=True) if partner)
    return WORD.sub(lambda _: next(forms), line.text)


def _without_repeats(pairs: Sequence[Pair], dropped: Counter[str]) -> list[Pair]:
    """Leaves out lines that also stand in a play held out more strictly, and exact duplicates within a split."""
    tested = {_normal(pair.source) for pair in pairs if split_of_play(pair.play) == "test"}
    validated = {_normal(pair.source) for pair in pairs if split_of_play(pair.play) == "validation"}
    kept: dict[tuple[str, str, str], Pair] = {}
    for pair in pairs:
        split, line = split_of_play(pair.play), _normal(pair.source)
        if split != "test" and line in tested:
            dropped["in_test_play"] += 1
        elif split == "train" and line in validated:
            dropped["in_validation_play"] += 1
        elif (split, pair.source, pair.target) in kept:
            dropped["duplicate"] += 1
        else:
            kept[split, pair.source, pair.target] = pair
    return list(kept.values())


def _normal(line: str) -> str:
    """A line without case, punctuation and spacing, which hide a leak but do not undo it."""
    return " ".join(words_of(line.lower()))
