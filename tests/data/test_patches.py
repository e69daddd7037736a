import json
from pathlib import Path
from typing import Any

import pytest

from lal.data.patches import FILL_IN, PatchRow, read_patch, read_patches
from lal.errors import DataError
from lal.files import sha256


def row(identity: str = "patch-001:0001", answer: str = "have", **changes: Any) -> dict[str, Any]:
    return {
        "id": identity, "task": "modernise", "source": "hamlet", "licence": "CC0-1.0", "split": "train",
        "messages": [{"role": "user", "content": "Modernise: haue"}, {"role": "assistant", "content": answer}],
        "group": "known / left as it was / u > v", "kind": "repeat", "origin": "hamlet-0001",
    } | changes  # fmt: skip


def write(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_patches_are_read_in_the_order_of_their_names_as_plain_conversations(tmp_path: Path) -> None:
    write(tmp_path / "b.jsonl", row("b:1"))
    write(tmp_path / "a.jsonl", row("a:1"), row("a:2"))
    (tmp_path / "README.md").write_text("about patches")
    patches = read_patches(tmp_path)
    assert [row.id for row in patches.rows] == ["a:1", "a:2", "b:1"]
    assert not any(isinstance(row, PatchRow) for row in patches.rows)
    assert set(patches.rows[0].model_dump()) == {"id", "messages", "task", "source", "licence", "split"}
    assert patches.sources["patches/a.jsonl"] == sha256(tmp_path / "a.jsonl")
    assert patches.dropped == {}


def test_a_folder_without_patches_adds_nothing_and_a_missing_one_is_an_error(tmp_path: Path) -> None:
    assert (read_patches(tmp_path).rows, read_patches(tmp_path).sources) == ((), {})
    with pytest.raises(DataError, match="not a folder"):
        read_patches(tmp_path / "none")


@pytest.mark.parametrize(
    "changes",
    [{"answer": f"{FILL_IN} the line"}, {"licence": f"{FILL_IN} its licence"}, {"source": f"{FILL_IN} where"}],
)
def test_a_row_that_is_not_filled_in_is_never_read(changes: dict[str, Any], tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", row("a:1"), row("a:2", **changes))
    with pytest.raises(DataError, match=r"a\.jsonl:2: not filled in: row 'a:2'"):
        read_patch(path)


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"split": "validation"}, "a patch is for training"), ({"kind": "copy"}, "kind"), ({"reason": "x"}, "reason")],
)
def test_a_row_that_is_no_patch_row_is_named_by_line(changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"a\.jsonl:1: .*{said}"):
        read_patches(write(tmp_path / "a.jsonl", row(**changes)).parent)
