"""What the validation rules look at: one row a line of a file, with a column for each thing a rule can be broken by.

A column such as `control_character` holds what is wrong in words (`hamlet: U+0000 at character 17: ...`), or None.
"""

import re
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic

from lal.data.characters import CONTROL_CHARACTER, letters_only
from lal.data.overlap import REVIEW, GoldText, Overlap, TrainingText, find_overlaps
from lal.data.overlap_list import ListedOverlap
from lal.data.versions import find_changes, read_lock
from lal.errors import DataError
from lal.gold_items import GoldItem
from lal.records import Conversation, Document, RecordType, Split, read_numbered

MISREAD_CHARACTER = re.compile("[\ufffd\ufeff]")
"""What wrong decoding leaves behind: the replacement character, and a byte-order mark inside a text."""

CONTROL_TOKEN = re.compile(r"<\|[^|<>\n]{1,40}\|>")

REMEDY = "`dvc repro` makes data/, `git checkout` restores gold/"

Row = dict[str, Any]


@dataclass(frozen=True)
class Line(Generic[RecordType]):
    """A record and where it stands."""

    place: str
    """`file:line`."""
    file: str
    """The name of the file without its ending."""
    record: RecordType


@dataclass(frozen=True)
class Table:
    """Rows of one kind, the `file:line` each belongs to, and what was counted in them."""

    name: str
    folder: str
    places: tuple[str, ...]
    rows: tuple[Row, ...]
    counts: Mapping[str, Any]


def read_lines(folder: Path, kind: type[RecordType]) -> list[Line[RecordType]]:
    """Reads the records of all `.jsonl` files of a folder, in name order.

    Raises:
        DataError: The folder holds no such file, or no record, or naming every bad line of all files.
    """
    paths = sorted(folder.glob("*.jsonl"))
    if not paths:
        raise DataError(f"{folder}: no .jsonl files", REMEDY)
    lines: list[Line[RecordType]] = []
    problems: list[DataError] = []
    for path in paths:
        try:
            lines += [
                Line(f"{path.as_posix()}:{number}", path.stem, record) for number, record in read_numbered(path, kind)
            ]
        except DataError as error:
            problems.append(error)
    if problems:
        raise DataError("\n".join(error.problem for error in problems), problems[0].remedy)
    if not lines:
        raise DataError(f"{folder}: its .jsonl files are empty", REMEDY)
    return lines


def corpus_table(folder: Path, lines: Sequence[Line[Document]]) -> Table:
    """One row a document."""
    keys = [letters_only(line.record.text) for line in lines]
    first = _keep_first(zip(keys, lines, strict=True))
    trained = _keep_first((key, line) for key, line in zip(keys, lines, strict=True) if line.record.split == "train")
    rows: list[Row] = []
    for key, line in zip(keys, lines, strict=True):
        document = line.record
        rows.append(
            {
                "id": document.id,
                "text": document.text,
                "split": document.split,
                "train_bytes": len(document.text.encode()) if document.split == "train" else 0,
                "strayed": _strayed(line, document.split),
                "control_character": _first_match(CONTROL_CHARACTER, document.id, document.text),
                "misread_character": _first_match(MISREAD_CHARACTER, document.id, document.text),
                "also_trained_on": _also(trained.get(key), line) if document.split != "train" else None,
                "repeats": _also(first[key], line),
            }
        )
    counts = {"documents": _count(rows, "split"), "train_bytes": sum(row["train_bytes"] for row in rows)}
    return _table("corpus", folder, lines, rows, counts)


def conversation_table(folder: Path, lines: Sequence[Line[Conversation]]) -> Table:
    """One row a conversation."""
    keys = [letters_only(" ".join(message.content for message in line.record.messages)) for line in lines]
    trained, validated = (
        _keep_first((key, line) for key, line in zip(keys, lines, strict=True) if line.record.split == split)
        for split in ("train", "validation")
    )
    answered = _keep_first((line.record.messages[:-1], line) for line in lines)
    rows: list[Row] = []
    for key, line in zip(keys, lines, strict=True):
        conversation, split = line.record, line.record.split
        text = "\n".join(message.content for message in conversation.messages)
        rows.append(
            {
                "id": conversation.id,
                "answer": conversation.answer,
                "split": split,
                "strayed": _strayed(line, split),
                "blank": _blank(conversation),
                "control_character": _first_match(CONTROL_CHARACTER, conversation.id, text),
                "misread_character": _first_match(MISREAD_CHARACTER, conversation.id, text),
                "control_token": _first_match(CONTROL_TOKEN, conversation.id, text),
                "other_answer": _other_answer(answered[conversation.messages[:-1]], line),
                "also_trained_on": _also(trained.get(key), line) if split != "train" else None,
                "also_validated_on": _also(validated.get(key), line) if split == "test" else None,
            }
        )
    return _table("conversations", folder, lines, rows, _count(rows, "split"))


def gold_table(folder: Path, lines: Sequence[Line[GoldItem]], headline: Sequence[str]) -> Table:
    """One row a gold item."""
    rows: list[Row] = []
    for line in lines:
        item = line.record
        not_exact = item.slice in headline and item.scorer != "exact"
        rows.append(
            {
                "id": item.id,
                "slice": item.slice,
                "split": item.split,
                "dev_slice": item.slice if item.split == "dev" else None,
                "question": " ".join("\n".join(message.content for message in item.messages).casefold().split()),
                "not_exact": f"{item.slice!r} is scored by {item.scorer!r}" if not_exact else None,
                "control_character": _first_match(CONTROL_CHARACTER, item.id, f"{item.prompt}\n{item.expected}"),
                "needless_alternative": _needless_alternative(item),
                "unreachable": _unreachable(item),
            }
        )
    counts = {"items": len(rows), "splits": _count(rows, "split"), "slices": _count(rows, "slice")}
    return _table("gold", folder, lines, rows, counts)


def versions_table(folder: Path, lines: Sequence[Line[GoldItem]]) -> Table:
    """One row for each item, and for each that is locked and gone; what breaks the lock stands under `broken`.

    Raises:
        DataError: The lock is not what it should be.
    """
    lock = read_lock(folder)
    changes = find_changes(lock, [line.record for line in lines])
    broken = {change.item_id: change.what for change in changes if change.is_broken}
    places = [line.place for line in lines]
    rows: list[Row] = [{"broken": broken.get(line.record.id)} for line in lines]
    for change in changes:
        if change.kind == "removed":
            places.append(f"{lock.path.as_posix()}:{change.line}")
            rows.append({"broken": change.what})
    counts = {"last_locked": lock.last_version, "new_or_changed": len(changes)}
    return Table("versions", folder.as_posix(), tuple(places), tuple(rows), counts)


def overlap_table(
    folder: Path,
    gold: Sequence[Line[GoldItem]],
    corpus: Iterable[Line[Document]],
    conversations: Iterable[Line[Conversation]],
    max_overlap: float,
) -> Table:
    """One row a gold item: the share of it that stands in the training text most like it, 0 if none is like it.

    Column `listed` has the overlap itself. The texts of sealed items are named by their places and never shown.
    """
    items = [
        GoldText(item.place, item.record.prompt, tuple(filter(None, (item.record.expected, *item.record.alternatives))))
        for item in gold
    ]
    training = [
        TrainingText(line.place, message.content, is_prompt=message.role == "user")
        for line in conversations
        if line.record.split == "train"
        for message in line.record.messages
    ]
    training += [TrainingText(line.place, line.record.text) for line in corpus if line.record.split == "train"]
    overlaps = find_overlaps(items, training, least=min(REVIEW, max_overlap))
    shares = [overlap.share if overlap else 0.0 for overlap in overlaps]
    rows: list[Row] = [
        {
            "share": share,
            "review_share": share if share < max_overlap else 0.0,
            "overlap": _say(line, overlap),
            "listed": _listed(line, overlap),
        }
        for line, share, overlap in zip(gold, shares, overlaps, strict=True)
    ]
    return _table("overlap", folder, gold, rows, {"largest_share": max(shares, default=0.0)})


def _table(name: str, folder: Path, lines: Sequence[Line[Any]], rows: list[Row], counts: Mapping[str, Any]) -> Table:
    return Table(name, folder.as_posix(), tuple(line.place for line in lines), tuple(rows), counts)


def _count(rows: Iterable[Row], column: str) -> dict[str, int]:
    return dict(sorted(Counter(row[column] for row in rows).items()))


def _keep_first(keyed: Iterable[tuple[Hashable, Line[RecordType]]]) -> Mapping[Hashable, Line[RecordType]]:
    first: dict[Hashable, Line[RecordType]] = {}
    for key, line in keyed:
        first.setdefault(key, line)
    return first


def _also(other: Line[Any] | None, line: Line[Any]) -> str | None:
    """What a row repeats, for rows that repeat another than themselves."""
    return None if other is None or other is line else f"{line.record.id} repeats {other.place}, {other.record.id}"


def _strayed(line: Line[Any], split: Split) -> str | None:
    return None if line.file == split else f"split is {split!r}"


def _blank(conversation: Conversation) -> str | None:
    for number, message in enumerate(conversation.messages, start=1):
        if not message.content.strip():
            return f"message {number} ({message.role}) is {shorten(message.content)}"
    return None


def _other_answer(first: Line[Conversation], line: Line[Conversation]) -> str | None:
    mine, other = line.record, first.record
    if mine.answer == other.answer:
        return None
    return f"{shorten(mine.prompt)} -> {shorten(mine.answer)}, but {shorten(other.answer)} in {first.place}"


def _needless_alternative(item: GoldItem) -> str | None:
    right = [wording.strip() for wording in (item.expected, *item.alternatives)]
    for number, wording in enumerate(right[1:], start=1):
        if not wording or wording in right[:number]:
            return shorten(wording)
    return None


def _unreachable(item: GoldItem) -> str | None:
    """Why no answer can pass an item, if none can."""
    if item.scorer == "exact":
        return "expected answer is blank" if not item.expected.strip() else None
    forbidden = [wording for entry in item.must_not_contain for wording in _wordings(entry)]
    if "" in forbidden:
        return "must_not_contain has a blank wording"
    for entry in item.must_contain:
        wordings = _wordings(entry)
        if "" in wordings:
            return f"must_contain {entry!r} has a blank wording"
        if all(any(bad in wording for bad in forbidden) for wording in wordings):
            return f"must_contain {entry!r} asks for what must_not_contain forbids"
    return None


def _wordings(entry: str) -> list[str]:
    return [wording.strip().casefold() for wording in entry.split("|")]


def _say(line: Line[GoldItem], overlap: Overlap | None) -> str | None:
    if overlap is None:
        return None
    others = f"; {overlap.num_places - 1} more lines are like it" if overlap.num_places > 1 else ""
    texts = f"{shorten(overlap.gold_text)} is in {overlap.place}: {shorten(overlap.training_text, 240)}"
    if line.record.split == "sealed":
        texts = f"a sealed text, not shown here, is in {overlap.place}"
    return f"{line.record.id}: {100 * overlap.share:.0f} % of {texts} (found as {overlap.method}){others}"


def _listed(line: Line[GoldItem], overlap: Overlap | None) -> ListedOverlap | None:
    if overlap is None:
        return None
    shown = line.record.split != "sealed"
    return ListedOverlap(
        item_id=line.record.id,
        split=line.record.split,
        share=round(overlap.share, 4),
        method=overlap.method,
        gold_place=line.place,
        gold_text=overlap.gold_text if shown else "",
        place=overlap.place,
        training_text=overlap.training_text if shown else "",
        num_places=overlap.num_places,
    )


def _first_match(pattern: re.Pattern[str], identity: str, text: str) -> str | None:
    found = pattern.search(text)
    if found is None:
        return None
    what = f"U+{ord(found[0]):04X}" if len(found[0]) == 1 else repr(found[0])
    around = text[max(0, found.start() - 20) : found.end() + 20]
    return f"{identity}: {what} at character {found.start() + 1}: {around!r}"


def shorten(text: str, most: int = 100) -> str:
    """A text in quotes; a long one loses its middle and gains its length."""
    half = most // 2
    return repr(text) if len(text) <= most else f"{text[:half]!r} ... {text[-half:]!r} ({len(text):,} characters)"
