"""The gold set: hand-verified questions that no model ever trains on; gold/README.md has the rules."""

from pathlib import Path
from typing import Literal

from lal.errors import DataError
from lal.gold_items import GoldItem
from lal.records import read_records

GoldSplit = Literal["dev", "sealed"]


def load_gold(folder: Path, split: GoldSplit = "dev") -> list[GoldItem]:
    """Reads one split of a gold folder: its *.jsonl files in the order of their names, each in its own order.

    An item's own field says which split it is in, not the name of its file. Whatever is answered or shown is `dev`;
    `lal release` alone reads `sealed`.

    Raises:
        DataError: As `load_all`, or no item is in the split.
    """
    items = load_all(folder)
    chosen = [item for item in items if item.split == split]
    if not chosen:
        remedy = f'write items with "split": "{split}"; gold/README.md says what the splits are for'
        raise DataError(f"{folder}: none of its {len(items)} items is {split}", remedy)
    return chosen


def load_all(folder: Path) -> list[GoldItem]:
    """Reads both splits: for the rules that hold for all items, never for scores.

    Raises:
        DataError: No file, no item, a line that is not a gold item, or an id that stands in two files.
    """
    files = sorted(folder.glob("*.jsonl"))
    items: list[GoldItem] = []
    owner: dict[str, Path] = {}
    problems: list[str] = []
    for file in files:
        for item in read_records(file, GoldItem):
            if owner.setdefault(item.id, file) != file:
                problems.append(f"{file}: duplicate id {item.id!r}, first used in {owner[item.id].name}")
            items.append(item)
    if problems:
        raise DataError.of(problems, "give each gold item an id of its own")
    if not items:
        what = "no gold items in its .jsonl files" if files else "no .jsonl file of gold items"
        raise DataError(f"{folder}: {what}", "restore gold/gold.jsonl, or write your own: gold/README.md shows a line")
    return items
