"""Which part of one sequence answers to which part of another: the edit distance and the alignment behind it.

Source: R. A. Wagner and M. J. Fischer, "The String-to-String Correction Problem", JACM 21(1), 1974.
"""

import re
from collections.abc import Callable, Sequence

WORD = re.compile(r"[^\W_]+(?:['-][^\W_]+)*'?")
"""A word: letters and digits, joined by inner hyphens and apostrophes, with a closing one (`o'er-tooke`, `th'`)."""


UNPAIRED = 0.6
"""What `align_words` counts for a word without a partner; a pair of words that share no letter counts 1."""


def words(text: str) -> list[str]:
    """The words of a text as written, without the punctuation between them.

    Example:
        >>> words("Doe you, i'th' Castle?")
        ['Doe', 'you', "i'th'", 'Castle']
    """
    return WORD.findall(text)


def edit_distance(first: Sequence[str], second: Sequence[str]) -> int:
    """Fewest insertions, deletions and substitutions that turn one sequence into the other (Levenshtein).

    Example:
        >>> edit_distance("haue", "have"), edit_distance("", "have")
        (1, 4)
    """
    start = _common_prefix(first, second)
    first, second = first[start:], second[start:]
    row = list(range(len(second) + 1))
    for i, left in enumerate(first, 1):
        diagonal, row[0] = row[0], i
        for j, right in enumerate(second, 1):
            change = diagonal + (left != right)
            diagonal = row[j]
            row[j] = min(change, diagonal + 1, row[j - 1] + 1)
    return row[-1]


def align(first: Sequence[str], second: Sequence[str]) -> list[int | None]:
    """For each element of `first` the position in `second` it is paired with, or None where it has no partner.

    The pairing costs the fewest edits; among those, the one with the most equal pairs; among those, the one that pairs
    from the right, so that a word skipped or doubled shifts the rest instead of spoiling it.

    Example:
        >>> align(["I", "haue", "no", "horse"], ["I", "no", "horse"])
        [0, None, 1, 2]
    """
    # An edit costs more than all matches together give back: the distance decides, matches break ties.
    edit = min(len(first), len(second)) + 1
    return _cheapest_pairs(first, second, lambda left, right: -1 if left == right else edit, edit)


def align_words(first: Sequence[str], second: Sequence[str]) -> list[int | None]:
    """As `align`, for words that are spelled differently: a pair costs the share of its letters that differ.

    In `align` a skipped word may be paired with its neighbour, since any two unequal words cost the same. On lines of
    the development plays with one word skipped or doubled that spoiled 93 to 104 of 4,080 lines, this 3 to 9.

    Example:
        >>> align_words(["the", "deer", "love", "then"], ["the", "dear", "love", "love", "then"])
        [0, 1, 3, 4]
    """
    return _cheapest_pairs(first, second, _unlikeness, UNPAIRED)


def _cheapest_pairs(
    first: Sequence[str], second: Sequence[str], cost: Callable[[str, str], float], unpaired: float
) -> list[int | None]:
    """The partners that cost least in all, paired from the right among equals; a word left alone costs `unpaired`."""
    table: list[list[float]] = [[j * unpaired for j in range(len(second) + 1)]]
    costs = [[cost(left, right) for right in second] for left in first]
    for i in range(1, len(first) + 1):
        row, above = [i * unpaired], table[-1]
        for j, pair in enumerate(costs[i - 1], 1):
            row.append(min(above[j - 1] + pair, above[j] + unpaired, row[j - 1] + unpaired))
        table.append(row)

    partners: list[int | None] = [None] * len(first)
    i, j = len(first), len(second)
    while i and j:
        if table[i][j] == table[i - 1][j - 1] + costs[i - 1][j - 1]:
            i, j = i - 1, j - 1
            partners[i] = j
        elif table[i][j] == table[i - 1][j] + unpaired:
            i -= 1
        else:
            j -= 1
    return partners


def _unlikeness(left: str, right: str) -> float:
    return 0.0 if left == right else edit_distance(left, right) / max(len(left), len(right))


def _common_prefix(first: Sequence[str], second: Sequence[str]) -> int:
    length = 0
    for left, right in zip(first, second, strict=False):
        if left != right:
            break
        length += 1
    return length
