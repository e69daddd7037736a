"""What kind of change turns an old spelling into the modern one: `u > v`, `-ie > -y`, a final e dropped.

The patterns are found letter by letter, not looked up in a list of words, so that a word nobody has seen falls under
the same name as the words that change alike.
"""

import difflib
from dataclasses import dataclass

_WORD_ENDS = frozenset({"", "s", "'s", "s'"})
"""What may stand behind the end of a word's stem."""


@dataclass(frozen=True)
class Change:
    """Letters that had to change.

    Attributes:
        name: The pattern, such as `u > v`.
        start: Place in the modern word of the first letter put in.
        end: Place behind the last one; equal to `start` where letters are only taken out.
    """

    name: str
    start: int
    end: int


def spelling_changes(old: str, modern: str) -> list[Change]:
    """The changes from one spelling to another, from left to right, casing aside; none if they are the same.

    Example:
        >>> [change.name for change in spelling_changes("Maiestie", "Majesty")]
        ['i > j', '-ie > -y']
        >>> [change.name for change in spelling_changes("dogges", "dog's")]
        ["'s put in, the possessive", 'doubled letter and e dropped']
    """
    old, modern = old.lower(), modern.lower()
    if modern.endswith("'s") and not old.endswith("'s") and old.endswith("s"):
        # The apostrophe is a change of its own: the rest of the word has its changes beside it.
        rest = spelling_changes(old, modern[:-2] + "s")
        return [Change("'s put in, the possessive", len(modern) - 2, len(modern) - 1), *rest]
    if modern.endswith("'ll") and not old.endswith("'ll"):
        return [Change("'ll, the contraction", len(modern) - 3, len(modern))]
    changes = []
    for kind, a, a_end, b, b_end in difflib.SequenceMatcher(None, old, modern, autojunk=False).get_opcodes():
        if kind != "equal":
            changes.append(Change(_name(old, a, a_end, modern[b:b_end], modern[b_end:]), b, b_end))
    return changes


def missed_changes(old: str, modern: str, answer: str) -> list[Change]:
    """The changes that were needed and that an answer did not make, or not rightly.

    Example:
        >>> [change.name for change in missed_changes("ouerthrowne", "overthrown", "ouerthrown")]
        ['u > v']
    """
    matcher = difflib.SequenceMatcher(None, answer.lower(), modern.lower(), autojunk=False)
    wrong = [(b, b_end) for kind, _, _, b, b_end in matcher.get_opcodes() if kind != "equal"]
    return [
        change for change in spelling_changes(old, modern) if any(_touch(change, start, end) for start, end in wrong)
    ]


def change_name(old: str, modern: str) -> str:
    """One name for all changes of a word: its only one, or that there are several; empty if nothing changes."""
    return one_name(spelling_changes(old, modern))


def one_name(changes: list[Change]) -> str:
    """The only name among changes; `several changes in one word` if there are more, empty if there is none."""
    names = dict.fromkeys(change.name for change in changes)
    return next(iter(names), "") if len(names) < 2 else "several changes in one word"


def _touch(change: Change, start: int, end: int) -> bool:
    """Whether a change lies in a stretch of the modern word; a place without letters lies at both its sides."""
    if change.start == change.end or start == end:
        return change.start <= end and start <= change.end
    return max(change.start, start) < min(change.end, end)


def _name(old: str, start: int, end: int, put_in: str, behind: str) -> str:
    """The name of one change.

    Args:
        old: The old word.
        start: Place in it of the first letter that goes.
        end: Place behind the last one.
        put_in: The letters that come instead.
        behind: What follows them in the modern word.
    """
    taken, at_end = old[start:end], old[end:] in _WORD_ENDS
    if taken and put_in:
        return f"-{taken} > -{put_in}" if at_end and not old[end:] and len(taken) > 1 else f"{taken} > {put_in}"
    if taken:
        return _name_of_loss(old, start, taken, at_end)
    before = old[start - 1 : start]
    if put_in == "'":
        return "possessive s'" if not behind and before == "s" else "apostrophe put in"
    if put_in == "e" and not old[start:]:
        return "final e put in"
    if put_in in (before, old[start : start + 1]):
        return "single letter doubled"
    return f"{put_in} put in"


def _name_of_loss(old: str, start: int, taken: str, at_end: bool) -> str:
    before, after = old[start - 1 : start], old[start + len(taken) :]
    if taken == "e" and at_end and before != "e":
        return "final e dropped" if not after else "e before final s dropped"
    if taken in (before, after[:1]):
        return "doubled letter made single"
    if len(taken) == 2 and taken[1] == "e" and taken[0] == before and at_end:
        return "doubled letter and e dropped"
    return "apostrophe dropped" if taken == "'" else f"{taken} dropped"
