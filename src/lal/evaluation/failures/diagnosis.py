"""What went wrong in one answer: for a line, word by word, by the edit that it wanted and did not get."""

from dataclasses import dataclass

from lal.evaluation.failures.records import (
    ADDED,
    CUT_OFF,
    EMPTY,
    FORBIDDEN,
    LEFT,
    MARKS,
    MISFORMED,
    MISREAD,
    OVERDONE,
    SKIPPED,
    STRAYED,
    UNSAID,
    WRONG,
)
from lal.evaluation.failures.spelling import change_name, missed_changes, one_name
from lal.evaluation.failures.word_pairs import WordPairs
from lal.evaluation.scores.alignment import align, edit_distance, words
from lal.evaluation.scores.results import Result
from lal.evaluation.scores.scorers import word_accuracy
from lal.records import line_to_modernise

STRAYED_BELOW = 0.5
"""Word accuracy under which an answer counts as another text, and not as a heap of wrong words."""


@dataclass(frozen=True)
class Error:
    """One thing wrong with an answer.

    Attributes:
        kind: One of the kinds in `lal.evaluation.failures.records`.
        pattern: The spelling change that was needed, or the reading, or the check that failed; empty if there is none.
        pair: The word as it was and as it should have become, in small letters; None where no word is at fault.
    """

    kind: str
    pattern: str = ""
    pair: tuple[str, str] | None = None


def diagnose(result: Result, training: WordPairs) -> list[Error]:
    """What is wrong with an answer, each thing once; nothing if it is right or was not scored.

    Args:
        result: The answer with its item.
        training: Readings that training shows, by which one word misread is told from one misspelled.
    """
    if result.passed is not False:
        return []
    if not result.text.strip():
        return [Error(EMPTY)]
    if result.finish_reason == "length":
        return [Error(CUT_OFF)]
    if result.scorer == "checks":
        return _failed_checks(result.explanation)
    source = line_to_modernise(result.prompt)
    if source is None:
        return [Error(WRONG)]
    return list(dict.fromkeys(_line_errors(source, nearest_wording(result), result.text, training)))


def nearest_wording(result: Result) -> str:
    """Of the right wordings, the one that the answer comes nearest to."""
    return min((result.expected, *result.alternatives), key=lambda wording: edit_distance(result.text, wording))


def _failed_checks(explanation: str) -> list[Error]:
    """What an answer lacks names its group; what it should not have said differs from item to item, and does not."""
    lacking = [part.removeprefix("lacks ") for part in explanation.split("; ") if part.startswith("lacks ")]
    said = [Error(FORBIDDEN)] if any(part.startswith("says ") for part in explanation.split("; ")) else []
    return [*(Error(UNSAID, wanted) for wanted in lacking), *said] or [Error(WRONG)]


def _line_errors(source: str, expected: str, answer: str, training: WordPairs) -> list[Error]:
    old, right, given = words(source), words(expected), words(answer)
    if len(right) > 2 and (word_accuracy(expected, answer) or 0.0) < STRAYED_BELOW:
        return [Error(STRAYED)]
    before = list(range(len(right))) if len(old) == len(right) else align(right, old)
    partners = align(right, given)
    errors = []
    for place, word in enumerate(right):
        origin, partner = before[place], partners[place]
        was = word if origin is None else old[origin]
        got = None if partner is None else given[partner]
        if got != word:
            errors.append(_word_error(was, word, got, training))
    if len(given) > sum(partner is not None for partner in partners):
        errors.append(Error(ADDED))
    return errors or [Error(MARKS)]


def _word_error(old: str, modern: str, got: str | None, training: WordPairs) -> Error:
    pair = (old.lower(), modern.lower())
    if got is None:
        return Error(SKIPPED, pair=pair)
    if got.lower() == modern.lower():
        return Error(MARKS)
    kind = LEFT if got == old else OVERDONE if old == modern else MISFORMED
    forms = training.forms.get(pair[0], ())
    if pair[1] in forms and got.lower() in forms:
        # Training knows both: no matter of letters, but of which word the sentence means.
        return Error(MISREAD, _reading(pair[0], got.lower(), pair[1]), pair)
    if kind == OVERDONE:
        return Error(kind, change_name(old, got), pair)
    missed = missed_changes(old, modern, got)
    return Error(kind, one_name(missed) if missed else "a letter that was right", pair)


def _reading(old: str, one: str, other: str) -> str:
    """What there was to choose from, whichever was right."""
    if _without_apostrophe(one) == _without_apostrophe(other):
        return "plural or possessive" if one.rstrip("'").endswith("s") else "with or without apostrophe"
    first, second = sorted([one, other])
    return f"{old}: {first} or {second}"


def _without_apostrophe(word: str) -> str:
    """`ladies`, `lady's` and `ladies'` are one."""
    return word.replace("y's", "ies").replace("'", "")
