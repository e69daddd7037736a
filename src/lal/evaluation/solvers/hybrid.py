"""The hybrid: a table for the words that training leaves no doubt about, the model for the rest of the line.

A table of words is nearly always right about a word it has often seen in one form only, and a network now and then
skips, doubles or mistakes such a word. What depends on the sentence, and what training never had, is the network's.
One function combines the two, here, for the evaluation and for `lal modernise --hybrid` alike; the table is a file of
the exported folder, so that what is shipped is what was measured.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeGuard

from lal.errors import DataError, ModelError
from lal.evaluation.scores.alignment import WORD, align_words, words
from lal.evaluation.scores.results import HYBRID
from lal.evaluation.solvers.baselines import Lexicon, modernise_by_rules
from lal.files import read_json, write_json
from lal.gold_items import Answer, GoldItem
from lal.records import Conversation, line_to_modernise

NAME = "lexicon.json"
"""The table's file in an exported model folder."""

MIN_COUNT, MIN_SHARE = 1, 0.98
"""Of a word's occurrences in training: at least so many, and at least so large a share of them in one modern form; what
is best on the development plays."""

_FORMAT = 1
_REMEDY = "export the model again"


def learn_sure_words(training: Sequence[Conversation]) -> Lexicon | None:
    """The words of the training lines that have one modern form; None where no line teaches such a word.

    Args:
        training: Conversations; those that do not modernise a line are passed over.
    """
    lines = [(line, row.answer) for row in training if (line := line_to_modernise(row.prompt)) is not None]
    sure = Lexicon.learn(lines, MIN_COUNT, MIN_SHARE)
    return sure if sure.size else None


def combine(line: str, answer: str | None, sure: Lexicon) -> str:
    """A line in modern spelling, word by word: the table's form if the table has the word, else the model's.

    Spacing and punctuation are the line's own, and so is the number of words. The model's answer is aligned with what
    table and rules alone would write, so a word that it skipped or doubled does not shift the others. A word that is
    neither in the table nor paired with one of the answer is modernised by rules.

    Args:
        line: As it was written.
        answer: What the model wrote for it; None if that is no line.
        sure: The words that need no model.

    Example:
        >>> sure = Lexicon({}, {"haue": "have", "you": "you", "seene": "seen"})
        >>> combine("Haue you seene the deere, Deere?", "Have you the dear, Deer?", sure)
        'Have you seen the dear, Deer?'
    """
    written, said = words(line), words(answer or "")
    known = [sure.look_up(word) for word in written]
    alone = [form or modernise_by_rules(word) for word, form in zip(written, known, strict=True)]
    partners = align_words([form.lower() for form in alone], [word.lower() for word in said])
    chosen = iter(
        form if sure_form or partner is None else said[partner]
        for form, sure_form, partner in zip(alone, known, partners, strict=True)
    )
    return WORD.sub(lambda _: next(chosen), line)


def usable_line(text: str, finish_reason: str) -> str | None:
    """A model's answer as a line; None if it did not end, is empty, or is more than a line."""
    text = text.strip()
    return text if finish_reason == "stop" and text and "\n" not in text else None


def hybrid_answers(items: Sequence[GoldItem], answers: Sequence[Answer], sure: Lexicon) -> list[Answer]:
    """A model's answers combined with a table, for the items that ask for a line in modern spelling.

    Args:
        items: What was asked.
        answers: The model's, one an item, in any order.
        sure: The table.
    """
    by_item = {answer.item_id: answer for answer in answers}
    found = []
    for item in items:
        if (line := line_to_modernise(item.prompt)) is not None:
            said = by_item[item.id]
            text = combine(line, usable_line(said.text, said.finish_reason), sure)
            found.append(said.model_copy(update={"solver": HYBRID, "text": text, "finish_reason": "stop"}))
    return found


def write_sure_words(path: Path, sure: Lexicon) -> None:
    """Writes lexicon.json, the words in the order of the alphabet."""
    tables = {"as_written": sure.as_written, "lower_cased": sure.lower_cased}
    write_json(path, {"format": _FORMAT} | {name: dict(sorted(table.items())) for name, table in tables.items()})


def read_sure_words(folder: Path) -> Lexicon:
    """The table of an exported model folder.

    Raises:
        ModelError: The folder has none, or its lexicon.json is something else.
    """
    path = folder / NAME
    if not path.is_file():
        raise ModelError(
            f"{folder}: has no {NAME}, which --hybrid needs",
            "`dvc repro export` writes it to models/export if the model was trained to modernise lines; without "
            "--hybrid the model answers alone",
        )
    try:
        tree = read_json(path)
    except DataError as error:
        raise ModelError(error.problem, _REMEDY) from error
    if not _is_table(tree):
        raise ModelError(f"{path}: not a table of words of format {_FORMAT}", _REMEDY)
    return Lexicon(tree["as_written"], tree["lower_cased"])


def _is_table(tree: Any) -> TypeGuard[dict[str, Mapping[str, str]]]:
    return (
        isinstance(tree, dict)
        and tree.keys() == {"format", "as_written", "lower_cased"}
        and tree["format"] == _FORMAT
        and all(_is_words(tree[name]) for name in ("as_written", "lower_cased"))
    )


def _is_words(table: Any) -> bool:
    return isinstance(table, dict) and all(isinstance(form, str) for form in table.values())
