"""The versions of a gold set: what was locked stays as it is, or becomes a new version.

`gold/versions.lock` is a log of JSON lines that only grows: one row an item when a version is locked with it new or
changed, or removed. The last row of an item is how it stands. A folder without the file is open: nothing is held fast.

Locked is what a score depends on: the question, what counts as right, and where the item is filed. `note`,
`provenance` and `second_reading` tell about an item and may grow afterwards.
"""

import datetime
import hashlib
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field

from lal.errors import DataError
from lal.files import write_jsonl
from lal.gold_items import GoldItem
from lal.records import Id, Record, read_numbered

LOCK = "versions.lock"

SHORT = 12

PARTS: Mapping[str, tuple[str, ...]] = {
    "question": ("messages",),
    "right answers": ("scorer", "expected", "alternatives", "must_contain", "must_not_contain"),
    "filing": ("slice", "subslice", "difficulty", "source", "split"),
}
"""What is locked, in the words of a finding; a new key here, or in `GoldItem`, must not change the old digests."""

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class LockedItem(Record):
    """One row of the lock: an item as one version has it."""

    locked: Annotated[int, Field(ge=1)]
    """The version that was locked."""
    on: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]
    item: Id
    version: Annotated[int, Field(ge=1)]
    """The item's own, in which it took this form."""
    removed: bool = False
    sha256: Digest
    """Of all parts, and so of all that is locked."""
    parts: dict[str, str]
    """The first 12 digits for each part, so that a finding can say what was changed."""


@dataclass(frozen=True)
class Lock:
    """What is locked.

    Attributes:
        path: The file.
        rows: All of its rows with their line numbers; none if there is no such file.
    """

    path: Path
    rows: tuple[tuple[int, LockedItem], ...]

    @property
    def last_version(self) -> int:
        """The newest locked version; 0 if none is."""
        return max((row.locked for _, row in self.rows), default=0)

    @property
    def items(self) -> dict[str, tuple[int, LockedItem]]:
        """The row each item stands in now, removed ones included, with its line number."""
        return {row.item: (number, row) for number, row in self.rows}


@dataclass(frozen=True)
class Change:
    """An item that is not as it is locked.

    Attributes:
        item_id: Its id.
        kind: `new`, `changed`, `renumbered` (only its version changed) or `removed`.
        what: The same in words, with what is allowed.
        is_broken: Whether it breaks the lock; a new or changed item with a new version does not.
        line: Line of the lock it stands in; None for a new item.
    """

    item_id: str
    kind: str
    what: str
    is_broken: bool
    line: int | None = None


def content_digests(item: GoldItem) -> dict[str, str]:
    """SHA-256 of each part of an item; empty fields count for nothing, so that a field added later changes none."""
    values = item.model_dump(mode="json")
    return {
        part: _sha256({name: values[name] for name in names if values[name] not in ("", [], None)})
        for part, names in PARTS.items()
    }


def content_digest(item: GoldItem) -> str:
    """SHA-256 of all that a score of the item depends on."""
    return _sha256({"id": item.id, **content_digests(item)})


def read_lock(folder: Path) -> Lock:
    """Reads the lock of a gold folder; one without it has an empty lock.

    Raises:
        DataError: A line is no row of a lock, or the versions do not count up.
    """
    path = folder / LOCK
    if not path.exists():
        return Lock(path, ())
    rows = read_numbered(path, LockedItem)
    for (_, before), (number, row) in itertools.pairwise(rows):
        if row.locked < before.locked:
            raise DataError(
                f"{path}:{number}: version {row.locked} after version {before.locked}",
                f"the lock only grows: `git checkout {path}` restores it",
            )
    return Lock(path, tuple(rows))


def find_changes(lock: Lock, items: Sequence[GoldItem]) -> list[Change]:
    """Compares items with what is locked: what is new, changed and removed, in the order of the items.

    Nothing, if nothing is locked.
    """
    if not lock.rows:
        return []
    locked, last = lock.items, lock.last_version
    found = [_compare(item, locked.get(item.id), last) for item in items]
    changes = [change for change in found if change is not None]
    there = {item.id for item in items}
    for identity, (number, row) in locked.items():
        if identity not in there and not row.removed:
            what = f"{identity} is gone, and version {row.locked} has it"
            changes.append(Change(identity, "removed", what, is_broken=True, line=number))
    return changes


def lock_version(
    folder: Path, items: Sequence[GoldItem], removed: Sequence[str] = (), today: datetime.date | None = None
) -> tuple[int, list[LockedItem]]:
    """Locks the items as they stand as the next version: the largest version any of them carries.

    Args:
        folder: The gold folder, where the lock is.
        items: All of its items, of all splits.
        removed: Ids of locked items that were taken out on purpose.
        today: The day written down.

    Returns:
        The version, and the rows that were added to the lock.

    Raises:
        DataError: A locked item was changed under its old version or is gone unannounced, or there is nothing to lock.
    """
    lock = read_lock(folder)
    changes = {change.item_id: change for change in find_changes(lock, items)}
    wrong = [change.what for change in changes.values() if change.is_broken and change.item_id not in removed]
    missing = [name for name in removed if name not in changes or changes[name].kind != "removed"]
    wrong += [f"{name} is to be removed, but it is still there or never was" for name in missing]
    if wrong:
        raise DataError.of([f"{folder}: {what}" for what in wrong], remedy(lock.last_version))
    on = (today or datetime.datetime.now(tz=datetime.UTC).date()).isoformat()
    chosen = [item for item in items if item.id in changes or not lock.rows]
    version = max([lock.last_version + bool(removed), *(item.version for item in chosen)], default=1)
    if not chosen and not removed:
        raise DataError(f"{folder}: nothing to lock, all items are as in version {lock.last_version}")
    rows = [_row(item, version, on) for item in chosen]
    old = lock.items
    rows += [old[name][1].model_copy(update={"locked": version, "on": on, "removed": True}) for name in removed]
    write_jsonl(lock.path, [row for _, row in lock.rows] + rows)
    return version, rows


def remedy(last: int) -> str:
    """What to do about a broken lock."""
    return (
        f'put the item back as it was, or give it "version": {last + 1} and a line in CHANGELOG.md: scores of two '
        f"versions are not comparable; for an item taken out on purpose: lal gold lock --remove ID"
    )


def _compare(item: GoldItem, held: tuple[int, LockedItem] | None, last: int) -> Change | None:
    if held is None or held[1].removed:
        is_old = item.version <= last
        rule = f"says version {item.version}, but versions up to {last} are locked without it" if is_old else "is new"
        return Change(item.id, "new", f"{item.id} {rule}", is_old)
    number, row = held
    if content_digest(item) == row.sha256:
        if item.version == row.version:
            return None
        what = f"{item.id} says version {item.version}, but stands as it did in version {row.version}"
        return Change(item.id, "renumbered", what, is_broken=True, line=number)
    now = content_digests(item)
    parts = " and ".join(part for part in now if now[part][:SHORT] != row.parts.get(part))
    what = f"{item.id}: {parts} changed"
    if item.version <= last:
        what += f", but it still says version {item.version}, and versions up to {last} are locked"
    return Change(item.id, "changed", what, item.version <= last, number)


def _row(item: GoldItem, version: int, on: str) -> LockedItem:
    return LockedItem(
        locked=version,
        on=on,
        item=item.id,
        version=item.version,
        sha256=content_digest(item),
        parts={part: digest[:SHORT] for part, digest in content_digests(item).items()},
    )


def _sha256(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
