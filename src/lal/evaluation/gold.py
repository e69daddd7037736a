"""The gold set: hand-verified questions that no model ever trains on; gold/README.md has the rules."""

from pathlib import Path

from lal.errors import DataError
from lal.gold_items import GoldItem
from lal.records import read_records


def load_gold(folder: Path) -> list[GoldItem]:
    """Reads all items of a gold folder: its *.jsonl files in the order of their names, each in its own order.

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
