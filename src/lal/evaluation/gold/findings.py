"""What is wrong with a gold set, item by item: flaws of the items themselves, of the slices, and of what they rest on.

An item is only worth its place if its right answers pass and wrong ones fail, so each is answered rightly and wrongly
here: its own wordings must pass its scorer; a copy of a line that must change, an answer that lost a word, silence and
the stock refusal must not. What a sealed item says is not shown.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lal.data.characters import letters_only
from lal.data.overlap import REVIEW, GoldText, TrainingText, find_overlaps
from lal.data.tables import Line, gold_table, overlap_table, versions_table
from lal.evaluation.gold.slices import WordForms, choose_slice
from lal.evaluation.scores.results import SHIPPED, Result, of_solver
from lal.evaluation.scores.scorers import exact, failed_checks
from lal.gold_items import GoldItem
from lal.records import Conversation, Document, line_to_modernise

REFUSAL = "I am Lal and I cannot help with that; I only modernise First Folio spelling."
"""What Lal was taught to say where it cannot help; right in the slice or subslice `DECLINES` and nowhere else."""

DECLINES = "declines"

ENOUGH = 30
"""Items of a slice; with fewer, the 95 % interval of a share of 0.7 is wider than 16 points either way."""

SEALED_FILE = "sealed"
"""Name, without its ending, of the one file that holds the items of split sealed."""


@dataclass(frozen=True)
class Finding:
    """Something to look at.

    Attributes:
        place: `file:line`, or the folder for what is wrong with the set as a whole.
        severity: error: the set must not be used like this. warning: somebody should look.
        text: What is wrong, with the item's id and the value.
    """

    place: str
    severity: Literal["error", "warning"]
    text: str


def find_item_flaws(lines: Sequence[Line[GoldItem]]) -> list[Finding]:
    """Items that cannot be right, whatever a model answers, or that let a wrong answer pass."""
    table = gold_table(Path(), lines, headline=())
    found = []
    for line, row in zip(lines, table.rows, strict=True):
        columns = ("unreachable", "control_character", "needless_alternative")
        flaws = [(column.replace("_", " "), row[column]) for column in columns if row[column]]
        if not row["unreachable"]:
            flaws += [("a right answer fails", text) for text in _right_answers(line.record) if not _passes(line, text)]
            flaws += [(f"{what} passes", text) for what, text in planted(line.record) if _passes(line, text)]
        found += [Finding(line.place, "error", _say(line, *flaw)) for flaw in flaws]
        if not line.record.provenance:
            found.append(Finding(line.place, "warning", f"{line.record.id}: no provenance"))
    return found


def planted(item: GoldItem) -> Iterator[tuple[str, str]]:
    """Wrong answers to an item: what each is, and its text."""
    line = line_to_modernise(item.prompt)
    if item.scorer == "exact":
        if line is not None and line != item.expected:
            yield "copying the line", line
        words = item.expected.split()
        for position in range(len(words)):
            if len(words) > 1:
                yield "leaving out a word", " ".join(words[:position] + words[position + 1 :])
    yield "an empty answer", ""
    if DECLINES not in (item.slice, item.subslice):
        yield "the stock refusal", REFUSAL


def find_set_flaws(lines: Sequence[Line[GoldItem]], headline: Iterable[str]) -> list[Finding]:
    """Ids and questions that stand twice, items in the wrong file, slices with too few items, readings to come."""
    found = _repeated(lines, {line.place: line.record.id for line in lines}, "id")
    found += _repeated(lines, {line.place: letters_only(line.record.prompt) for line in lines}, "question")
    for line in lines:
        if (line.record.split == "sealed") != (line.file == SEALED_FILE):
            text = f"{line.record.id}: split {line.record.split!r} in {line.file}.jsonl"
            remedy = f"keep the sealed items, and no other, in {SEALED_FILE}.jsonl, where nobody reads them by accident"
            found.append(Finding(line.place, "warning", f"{text}: {remedy}"))
    folder = _folder(lines)
    counts = Counter(line.record.slice for line in lines if line.record.split == "dev")
    for name in dict.fromkeys([*headline, *counts]):
        if counts[name] < ENOUGH:
            severity: Literal["error", "warning"] = "warning" if counts[name] else "error"
            text = f"slice {name!r} has {counts[name]} dev items, fewer than {ENOUGH}: its share says little"
            found.append(Finding(folder, severity, text))
    if unread := [line for line in lines if line.record.second_reading is None]:
        text = f"{len(unread)} of {len(lines)} items have no second reading, first {unread[0].record.id}"
        found.append(Finding(unread[0].place, "warning", text))
    if disputed := [line for line in lines if _outcome(line) == "disputed"]:
        text = f"{len(disputed)} items are disputed, first {disputed[0].record.id}: settle them, or take them out"
        found.append(Finding(disputed[0].place, "warning", text))
    return found


def find_broken_versions(folder: Path, lines: Sequence[Line[GoldItem]]) -> list[Finding]:
    """Items that are not as they were locked, and say no new version."""
    table = versions_table(folder, lines)
    return [
        Finding(place, "error", row["broken"])
        for place, row in zip(table.places, table.rows, strict=True)
        if row["broken"]
    ]


def find_near_twins(lines: Sequence[Line[GoldItem]], least: float = REVIEW) -> list[Finding]:
    """Sealed items that are nearly a dev item: whoever looks at the dev items has then seen them."""
    sealed = [line for line in lines if line.record.split == "sealed"]
    others = [line for line in lines if line.record.split != "sealed"]
    dev = [TrainingText(line.place, line.record.prompt, is_prompt=True) for line in others]
    texts = [GoldText(line.place, line.record.prompt, ()) for line in sealed]
    return [
        Finding(
            line.place,
            "warning",
            f"{line.record.id}: {100 * twin.share:.0f} % of it stands in the dev item of {twin.place}",
        )
        for line, twin in zip(sealed, find_overlaps(texts, dev, least), strict=True)
        if twin
    ]


def find_misplaced(lines: Sequence[Line[GoldItem]], forms: WordForms) -> list[Finding]:
    """Lines that the program would put into another slice."""
    found = []
    for line in lines:
        item, choice = line.record, choose_slice(line.record, forms)
        if choice and choice.name != (item.subslice or item.slice):
            what = f"slice {item.subslice or item.slice!r}, by program {choice.name!r}"
            found.append(Finding(line.place, "warning", _say(line, what, choice.reason)))
    return found


def find_leaks(
    lines: Sequence[Line[GoldItem]],
    corpus: Iterable[Line[Document]],
    conversations: Iterable[Line[Conversation]],
    max_overlap: float,
) -> list[Finding]:
    """Items that stand in what is trained on: from `max_overlap` an error, from `REVIEW` a warning."""
    table = overlap_table(Path(), lines, corpus, conversations, max_overlap)
    return [
        Finding(place, "error" if row["share"] >= max_overlap else "warning", f"in the training data: {row['overlap']}")
        for place, row in zip(table.places, table.rows, strict=True)
        if row["share"] >= min(REVIEW, max_overlap)
    ]


def find_settled_slices(lines: Sequence[Line[GoldItem]], results: Iterable[Result]) -> list[Finding]:
    """Slices that were all right or all wrong in the last evaluation: they cannot tell one model from a better one."""
    names = {line.record.id: line.record.subslice or line.record.slice for line in lines}
    passed: dict[str, list[bool]] = {}
    for result in of_solver(results, SHIPPED):
        if result.item_id in names and result.passed is not None:
            passed.setdefault(names[result.item_id], []).append(result.passed)
    return [
        Finding(_folder(lines), "warning", f"slice {name!r}: all {len(each)} items {'right' if each[0] else 'wrong'}")
        for name, each in passed.items()
        if len(each) > 1 and len(set(each)) == 1
    ]


def _right_answers(item: GoldItem) -> list[str]:
    """The wordings of an exact item; for checks one answer that says what must be said."""
    if item.scorer == "exact":
        return [item.expected, *item.alternatives]
    unwanted = [option.strip().casefold() for entry in item.must_not_contain for option in entry.split("|")]
    options = [[option.strip() for option in entry.split("|")] for entry in item.must_contain]
    said = [
        next(option for option in each if not any(bad in option.casefold() for bad in unwanted)) for each in options
    ]
    return ["; ".join(said)] if said else []


def _passes(line: Line[GoldItem], text: str) -> bool:
    """Whether the item's own scorer takes an answer for right; the graded scores beside it are not needed."""
    item = line.record
    if item.scorer == "exact":
        return exact((item.expected, *item.alternatives), text) == 1.0
    return not failed_checks(item.must_contain, item.must_not_contain, text)


def _repeated(lines: Sequence[Line[GoldItem]], keys: Mapping[str, str], what: str) -> list[Finding]:
    first: dict[str, Line[GoldItem]] = {}
    found = []
    for line in lines:
        other = first.setdefault(keys[line.place], line)
        if other is not line:
            text = f"{line.record.id}: its {what} stands in {other.place}, {other.record.id}, too"
            found.append(Finding(line.place, "error", text))
    return found


def _say(line: Line[GoldItem], what: str, text: str) -> str:
    """A flaw with the text that has it, which is kept back where looking at it would spoil the item."""
    return f"{line.record.id}: {what}" if line.record.split == "sealed" else f"{line.record.id}: {what}: {text}"


def _outcome(line: Line[GoldItem]) -> str:
    return line.record.second_reading.outcome if line.record.second_reading else ""


def _folder(lines: Sequence[Line[GoldItem]]) -> str:
    return lines[0].place.rpartition(":")[0].rpartition("/")[0] if lines else ""
