"""What may become of a locked gold item, and what may not."""

import datetime
import json
from pathlib import Path
from typing import Any

import pytest

from lal.data.versions import LOCK, content_digest, find_changes, lock_version, read_lock
from lal.errors import DataError
from lal.gold_items import GoldItem, SecondReading
from lal.records import Message

DAY = datetime.date(2026, 11, 24)


def item(identity: str, version: int = 1, **changes: Any) -> GoldItem:
    values: dict[str, Any] = {
        "id": identity, "slice": "known", "messages": (Message(role="user", content=f"Haue {identity}"),),
        "scorer": "exact", "expected": f"Have {identity}", "difficulty": "easy", "source": "macbeth",
        "split": "dev", "version": version,
    }  # fmt: skip
    return GoldItem(**(values | changes))


FIRST = [item("a"), item("b", 2), item("c", split="sealed")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A gold folder whose items, of mixed versions, are locked as version 2."""
    assert lock_version(tmp_path, FIRST, today=DAY)[0] == 2
    return tmp_path


def broken(folder: Path, items: list[GoldItem]) -> list[str]:
    return [change.what for change in find_changes(read_lock(folder), items) if change.is_broken]


def test_without_a_lock_nothing_is_held_fast(tmp_path: Path) -> None:
    assert read_lock(tmp_path).last_version == 0
    assert find_changes(read_lock(tmp_path), FIRST) == []


def test_the_lock_has_a_row_an_item_with_its_digests(folder: Path) -> None:
    rows = [json.loads(line) for line in (folder / LOCK).read_text().splitlines()]
    assert [(row["item"], row["locked"], row["version"], row["on"]) for row in rows] == [
        ("a", 2, 1, "2026-11-24"), ("b", 2, 2, "2026-11-24"), ("c", 2, 1, "2026-11-24"),
    ]  # fmt: skip
    assert rows[0]["sha256"] == content_digest(FIRST[0])


def test_items_as_they_were_locked_keep_the_rule(folder: Path) -> None:
    assert find_changes(read_lock(folder), FIRST) == []
    assert find_changes(read_lock(folder), FIRST[::-1]) == []


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"expected": "Has a"}, "a: right answers changed"),
        ({"alternatives": ("Hath a",)}, "a: right answers changed"),
        ({"messages": (Message(role="user", content="Haue A"),)}, "a: question changed"),
        ({"slice": "unseen"}, "a: filing changed"),
        ({"split": "sealed"}, "a: filing changed"),
        ({"source": "henry-v", "expected": "x"}, "a: right answers and filing changed"),
    ],
)
def test_a_changed_item_under_its_old_version_is_named_with_what_changed(
    folder: Path, changes: dict[str, Any], what: str
) -> None:
    (said,) = broken(folder, [item("a", **changes), *FIRST[1:]])
    assert said == f"{what}, but it still says version 1, and versions up to 2 are locked"
    (said,) = broken(folder, [item("a", 2, **changes), *FIRST[1:]])
    assert said.startswith(what)
    (change,) = find_changes(read_lock(folder), [item("a", 3, **changes), *FIRST[1:]])
    assert (change.kind, change.is_broken, change.what, change.line) == ("changed", False, what, 1)


def test_what_is_told_about_an_item_may_grow(folder: Path) -> None:
    reading = SecondReading(reader="R. F.", on="2026-12-01", outcome="agrees")
    told = item("a", note="from the quarto", provenance="by hand", second_reading=reading)
    assert find_changes(read_lock(folder), [told, *FIRST[1:]]) == []


def test_a_new_item_must_belong_to_a_new_version(folder: Path) -> None:
    assert broken(folder, [*FIRST, item("d", 2)]) == ["d says version 2, but versions up to 2 are locked without it"]
    assert broken(folder, [*FIRST, item("d", 3)]) == []


def test_a_new_number_on_an_old_item_is_refused(folder: Path) -> None:
    assert broken(folder, [item("a", 3), *FIRST[1:]]) == ["a says version 3, but stands as it did in version 1"]


def test_an_item_that_is_gone_is_named_with_its_line_in_the_lock(folder: Path) -> None:
    (change,) = find_changes(read_lock(folder), [FIRST[0], FIRST[2]])
    assert (change.kind, change.is_broken, change.line) == ("removed", True, 2)
    assert change.what == "b is gone, and version 2 has it"


def test_the_next_version_is_locked_over_the_first(folder: Path) -> None:
    now = [item("a", 3, expected="Hath a"), *FIRST[1:], item("d", 3)]
    before = (folder / LOCK).read_text()
    version, rows = lock_version(folder, now, today=DAY)
    assert (version, [row.item for row in rows]) == (3, ["a", "d"])
    assert (folder / LOCK).read_text().startswith(before), "the lock only grows"
    assert find_changes(read_lock(folder), now) == []
    assert broken(folder, [FIRST[0], *now[1:]]) == [
        "a: right answers changed, but it still says version 1, and versions up to 3 are locked"
    ]


def test_an_item_is_taken_out_by_name_only(folder: Path) -> None:
    left = [FIRST[0], FIRST[2]]
    with pytest.raises(DataError, match="b is gone") as caught:
        lock_version(folder, left)
    assert "lal gold lock --remove" in caught.value.remedy
    assert lock_version(folder, left, removed=["b"])[0] == 3
    assert find_changes(read_lock(folder), left) == []
    assert broken(folder, [*left, item("b", 2)]) == ["b says version 2, but versions up to 3 are locked without it"]
    assert broken(folder, [*left, item("b", 4)]) == []


def test_what_cannot_be_locked_is_refused_and_the_file_stays(folder: Path) -> None:
    before = (folder / LOCK).read_bytes()
    for items, removed, words in [
        ([item("a", expected="x"), *FIRST[1:]], [], "a: right answers changed"),
        (FIRST, [], "nothing to lock"),
        (FIRST, ["a"], "a is to be removed, but it is still there"),
        (FIRST, ["zz"], "zz is to be removed"),
    ]:
        with pytest.raises(DataError, match=words):
            lock_version(folder, items, removed)
    assert (folder / LOCK).read_bytes() == before


def test_a_lock_that_was_cut_or_spoilt_is_named_by_line(folder: Path) -> None:
    lines = (folder / LOCK).read_text().splitlines()
    (folder / LOCK).write_text("\n".join([lines[0], lines[1].replace('"locked":2', '"locked":1')]))
    with pytest.raises(DataError, match=r"versions\.lock:2: version 1 after version 2"):
        read_lock(folder)
    (folder / LOCK).write_text(lines[0][:-5])
    with pytest.raises(DataError, match=r"versions\.lock:1: not valid JSON"):
        read_lock(folder)
