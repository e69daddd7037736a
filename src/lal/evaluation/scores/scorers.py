"""Scorers: pure functions from what was expected and what was answered to a number.

The names are those of historical text normalisation (M. Bollmann, "A Large-Scale Comparison of Historical Text
Normalization Systems", NAACL 2019): word accuracy and character error rate over whole texts. Accuracy on the words
that had to change is the part of word accuracy that copying the source does not get for free. Where editors disagree,
an item has several right wordings, and the best score that any of them gives counts.
"""

from collections.abc import Callable, Sequence

from lal.evaluation.scores.alignment import align, edit_distance, words
from lal.gold_items import Answer, GoldItem, Score
from lal.records import line_to_modernise

DIGITS = 6
"""Scores are rounded once, here, so that a report and a file that was read back agree to the last digit."""


def exact(wordings: Sequence[str], answer: str) -> float:
    """1.0 if the answer is one of the right wordings, white space around it aside, else 0.0.

    Example:
        >>> exact(["Have you?"], " Have you?"), exact(["Have you?"], "have you?")
        (1.0, 0.0)
    """
    return float(answer.strip() in {wording.strip() for wording in wordings})


def word_accuracy(expected: str, answer: str) -> float | None:
    """Share of the expected words that the answer reproduces, letter for letter, 0 to 1.

    The words are aligned by edit distance first, so a word skipped or doubled costs one word and not all that follow.
    Punctuation is not looked at, nor are superfluous words: exact match and character error rate see those.

    Returns:
        The share, or None if no word is expected.

    Example:
        >>> word_accuracy("I have no horse", "I no horse")
        0.75
    """
    kept = _reproduced(words(expected), words(answer))
    return sum(kept) / len(kept) if kept else None


def changed_word_accuracy(source: str, expected: str, answer: str) -> float | None:
    """Word accuracy on the words that are spelled otherwise in the source: the ones that had to change.

    Returns:
        The share, 0 to 1, or None if no word had to change: copying would be right, and there is nothing to score.

    Example:
        >>> changed_word_accuracy("I haue no horsse", "I have no horse", "I have no horses")
        0.5
    """
    right = words(expected)
    unchanged = _reproduced(right, words(source))
    kept = [good for good, same in zip(_reproduced(right, words(answer)), unchanged, strict=True) if not same]
    return sum(kept) / len(kept) if kept else None


def character_error_rate(expected: str, answer: str) -> float | None:
    """Edits that turn the answer into what was expected, for each expected character; 0 is perfect, above 1 possible.

    Example:
        >>> character_error_rate("have", "haue")
        0.25
    """
    expected, answer = expected.strip(), answer.strip()
    return edit_distance(expected, answer) / len(expected) if expected else None


def failed_checks(must_contain: Sequence[str], must_not_contain: Sequence[str], answer: str) -> list[str]:
    """What an answer lacks or should not have said, case ignored; empty if it passes.

    Args:
        must_contain: Each entry is one or several wordings separated by `|`, one of which must occur.
        must_not_contain: Likewise, none of which may occur.
        answer: The text to look through.

    Example:
        >>> failed_checks(["Lal|my name"], ["ChatGPT"], "I am lal.")
        []
        >>> failed_checks(["Lal|my name"], ["ChatGPT"], "I am ChatGPT.")
        ["lacks 'Lal|my name'", "says 'ChatGPT'"]
    """
    text = answer.casefold()
    lacks = [
        f"lacks {entry!r}" for entry in must_contain if not any(option.casefold() in text for option in _options(entry))
    ]
    unwanted = [option for entry in must_not_contain for option in _options(entry)]
    return lacks + [f"says {option!r}" for option in unwanted if option.casefold() in text]


def score(item: GoldItem, answer: Answer) -> list[Score]:
    """All scores of one answer; the first is the one that decides whether it is right.

    An answer that ended in an error is not scored: each value is None, and is counted apart.
    """
    assert answer.item_id == item.id
    if item.scorer == "checks":
        failed = failed_checks(item.must_contain, item.must_not_contain, answer.text)
        values: dict[str, float | None] = {"checks": float(not failed)}
        explanation = "; ".join(failed)
    else:
        values, explanation = _compare_texts(item, answer.text), ""
    if answer.finish_reason == "error":
        values, explanation = dict.fromkeys(values), "no answer"
    return [
        Score(
            item_id=item.id,
            solver=answer.solver,
            scorer=scorer,
            value=None if value is None else round(value, DIGITS),
            explanation=explanation,
        )
        for scorer, value in values.items()
    ]


def _compare_texts(item: GoldItem, answer: str) -> dict[str, float | None]:
    wordings = (item.expected, *item.alternatives)
    source = line_to_modernise(item.prompt)

    def best(choose: Callable[[list[float]], float], values: Sequence[float | None]) -> float | None:
        scored = [value for value in values if value is not None]
        return choose(scored) if scored else None

    changed = [] if source is None else [changed_word_accuracy(source, wording, answer) for wording in wordings]
    return {
        "exact": exact(wordings, answer),
        "word_accuracy": best(max, [word_accuracy(wording, answer) for wording in wordings]),
        "changed_words": best(max, changed),
        "character_error_rate": best(min, [character_error_rate(wording, answer) for wording in wordings]),
    }


def _reproduced(expected: list[str], answer: list[str]) -> list[bool]:
    """For each expected word whether the answer has it in its place."""
    partners = align(expected, answer)
    return [partner is not None and answer[partner] == word for word, partner in zip(expected, partners, strict=True)]


def _options(entry: str) -> list[str]:
    """The wordings of an entry; one that is empty would stand in every text, and is none."""
    return [option.strip() for option in entry.split("|") if option.strip()]
