"""reports/overlaps.json: what was written is read, and nothing else is."""

from pathlib import Path
from typing import Any

import pytest

from lal.data.overlap_list import ListedOverlap, read_overlaps, write_overlaps
from lal.errors import DataError


def overlap(identity: str, share: float, **changes: Any) -> ListedOverlap:
    values: dict[str, Any] = {
        "item_id": identity, "split": "dev", "share": share, "method": "near-duplicate", "gold_place": "gold.jsonl:1",
        "gold_text": "«He said»", "place": "train.jsonl:2", "training_text": "said he", "num_places": 1,
    }  # fmt: skip
    return ListedOverlap(**(values | changes))


def test_the_list_comes_back_with_the_largest_share_first(tmp_path: Path) -> None:
    rows = [overlap("a", 0.5), overlap("c", 0.6), overlap("b", 0.6)]
    write_overlaps(tmp_path / "overlaps.json", rows)
    assert read_overlaps(tmp_path / "overlaps.json") == [rows[2], rows[1], rows[0]]


def test_no_overlap_is_an_empty_list(tmp_path: Path) -> None:
    write_overlaps(tmp_path / "overlaps.json", [])
    assert read_overlaps(tmp_path / "overlaps.json") == []


@pytest.mark.parametrize("text", ["{}", '[{"item_id": "a"}]', "[1]", "nothing"])
def test_another_file_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "overlaps.json").write_text(text)
    with pytest.raises(DataError, match=r"overlaps\.json: "):
        read_overlaps(tmp_path / "overlaps.json")
