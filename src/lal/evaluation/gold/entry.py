"""A new gold item: its id, slice and difficulty, what speaks against it, and its line in the file."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from lal.data.overlap import REVIEW, GoldText, TrainingText, find_overlaps
from lal.data.tables import Line, shorten
from lal.errors import DataError
from lal.evaluation.gold.findings import SEALED_FILE, Finding, find_item_flaws
from lal.evaluation.gold.slices import WordForms
from lal.files import write_bytes
from lal.gold_items import GoldItem
from lal.records import MODERNISE_PREFIX

DEV_FILE = "gold"


@dataclass(frozen=True)
class Draft:
    """What a person says of a new item; the fields are those of `GoldItem`.

    Attributes:
        text: A line in its old spelling; where a slice is named, a question as it is asked.
        slice: Empty for a line, whose slice and difficulty the program finds.
    """

    text: str
    expected: str
    alternatives: tuple[str, ...]
    must_contain: tuple[str, ...]
    must_not_contain: tuple[str, ...]
    source: str
    split: str
    slice: str
    subslice: str
    difficulty: str
    provenance: str
    note: str


def complete(draft: Draft, items: Sequence[GoldItem], forms: WordForms, version: int) -> tuple[GoldItem, str]:
    """The item of a draft, and why it is in its slice, which is empty where the draft named the slice.

    Raises:
        DataError: The draft says too little or too much for an item.
    """
    prompt, slice_name, subslice, difficulty, reason = draft.text, draft.slice, draft.subslice, draft.difficulty, ""
    if not slice_name:
        line = draft.text.removeprefix(MODERNISE_PREFIX)
        choice = forms.choose(line, draft.expected)
        prompt, reason = MODERNISE_PREFIX + line, choice.reason
        slice_name, subslice, difficulty = choice.slice, choice.subslice, difficulty or choice.difficulty
    row = {
        "id": next_id(items, draft.split, slice_name),
        "slice": slice_name,
        "subslice": subslice,
        "messages": [{"role": "user", "content": prompt}],
        "scorer": "checks" if draft.must_contain or draft.must_not_contain else "exact",
        "expected": draft.expected,
        "alternatives": draft.alternatives,
        "must_contain": draft.must_contain,
        "must_not_contain": draft.must_not_contain,
        "difficulty": difficulty or "medium",
        "source": draft.source,
        "split": draft.split,
        "version": version,
        "provenance": draft.provenance,
        "note": draft.note,
    }
    try:
        return GoldItem.model_validate(row), reason
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, each['loc'])) or 'item'}: {each['msg']}" for each in error.errors()]
        raise DataError.of(problems, "see `lal gold add --help` and gold/README.md") from error


def next_id(items: Sequence[GoldItem], split: str, slice_name: str) -> str:
    """The id after the highest of its kind.

    Items of one split and slice share what stands before the number; the first of a new slice is named after it.

    Example:
        >>> next_id([], "dev", "recipes")
        'recipes-001'
    """
    alike = [item.id for item in items if (item.split, item.slice) == (split, slice_name)]
    numbered = [found for found in map(re.compile(r"(.+)-\d+").fullmatch, alike) if found]
    prefix = numbered[-1][1] if numbered else slice_name
    every = [item.id.removeprefix(f"{prefix}-") for item in items if item.id.startswith(f"{prefix}-")]
    digits = [number for number in every if number.isdecimal()]
    width = max((len(number) for number in digits), default=3)
    return f"{prefix}-{max(map(int, digits), default=0) + 1:0{width}}"


def find_entry_flaws(item: GoldItem, place: str, lines: Sequence[Line[GoldItem]]) -> list[Finding]:
    """What speaks against an item: its own flaws, and that it is there already, or nearly."""
    found = find_item_flaws([Line(place, Path(place).stem, item)])
    asked = [TrainingText(line.place, line.record.prompt, is_prompt=True) for line in lines]
    (twin,) = find_overlaps([GoldText(place, item.prompt, ())], asked, REVIEW)
    if twin:
        text = f"{item.id}: {100 * twin.share:.0f} % of it is in {twin.place}: {shorten(twin.training_text)}"
        found.append(Finding(place, "error" if twin.share == 1 else "warning", text))
    return found


def file_of(folder: Path, split: str) -> Path:
    """Where an item of a split goes."""
    return folder / f"{SEALED_FILE if split == 'sealed' else DEV_FILE}.jsonl"


def append_item(path: Path, item: GoldItem) -> int:
    """Writes an item behind the others, whose bytes stay as they are, and returns its line number.

    Raises:
        DataError: The file cannot be read or written; nothing has changed then.
    """
    try:
        before = path.read_bytes() if path.exists() else b""
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    if before and not before.endswith(b"\n"):
        before += b"\n"
    row = json.dumps(item.model_dump(mode="json", exclude_defaults=True), ensure_ascii=False)
    write_bytes(path, before + row.encode() + b"\n")
    return before.count(b"\n") + 1
