"""Telling another spelling of a word from another word.

The modern edition is not the Folio respelled: where its editors trusted a quarto more, it prints other words (`this`
for `the`, `legions` for `regions`). They would teach a model to change words, so lines that hold one are left out.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping

from lal.data.align import similarity, sound_key
from lal.data.clean import put_in_place

MIN_SHARE = 0.1
"""A reading that a smaller share of a word's occurrences has is another word; it counts from `MANY` occurrences."""

MIN_SHARE_FEW = 1 / 3
"""The same for words that occur less often."""

MANY = 10

MIN_SIMILARITY_ONCE = 0.72
"""Likeness demanded of a reading that occurs once: of those between 0.60 and 0.70 about half were other words."""

# fmt: off
RARE_READINGS = frozenset({
    ("an", "anne"), ("and", "an"), ("bid", "bade"), ("borne", "bourn"), ("but", "butt"), ("counsaile", "council"),
    ("counsell", "council"), ("faine", "feign"), ("hard", "heard"), ("heard", "herd"), ("heare", "here"),
    ("heire", "hair"), ("here", "hear"), ("hie", "high"), ("high", "hie"), ("i", "ay"), ("ile", "isle"),
    ("it", "its"), ("liues", "life's"), ("nere", "near"), ("of", "off"), ("on", "one"), ("one", "on"),
    ("past", "passed"), ("pray", "prey"), ("raine", "rein"), ("right", "rite"), ("sea", "see"), ("sonne", "sun"),
    ("the", "thee"), ("their", "there"), ("there", "their"), ("to", "too"), ("to", "two"), ("too", "two"),
    ("vaine", "vein"), ("were", "wear"), ("whose", "who's"), ("wilt", "will't"),
})
# fmt: on
"""(old, modern) that are rare and right: words that sound alike, of which only the sentence tells which is meant."""

MISREADINGS = frozenset({("broome", "brook"), ("cornelius", "comelius"), ("sterne", "stem")})
"""(old, modern) that look right and are not: the modern edition renames Master Broome, and twice reads rn as m."""


def find_other_words(
    readings: Mapping[tuple[str, str], int], vocabulary: Mapping[str, int]
) -> frozenset[tuple[str, str]]:
    """The (old, modern) readings that are not two spellings of one word.

    Args:
        readings: How often each old word was aligned with each modern word; all lower case.
        vocabulary: How often each word occurs in the modern edition.
    """
    of_word: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for (old, modern), count in readings.items():
        of_word[old][_letters(modern)] += count
    return frozenset(reading for reading in readings if not _is_same_word(*reading, of_word[reading[0]], vocabulary))


def _is_same_word(old: str, modern: str, readings: Counter[str], vocabulary: Mapping[str, int]) -> bool:
    is_modern = vocabulary.get(old, 0) >= 5
    if _letters(put_in_place(modern, old)) == _letters(old):
        return True
    if old.endswith("ies") and modern == old[:-3] + "y's":
        return True
    if (old, modern) in RARE_READINGS or (sound_key(old) == sound_key(modern) and not is_modern):
        return True
    # Counted without apostrophes: `souldiers` is `soldiers'` too seldom to stand by itself.
    count, total = readings[_letters(modern)], readings.total()
    if (old, modern) in MISREADINGS or count / total < (MIN_SHARE if total >= MANY else MIN_SHARE_FEW):
        return False
    if count < 3 and is_modern:
        return False
    return count > 1 or similarity(sound_key(old), sound_key(modern)) >= MIN_SIMILARITY_ONCE


def _letters(word: str) -> str:
    return "".join(character for character in word if character.isalpha())
