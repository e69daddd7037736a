from collections.abc import Callable
from pathlib import Path

import pytest

from lal.errors import DataError
from lal.evaluation.gold.folder import load_all, load_gold
from lal.files import write_jsonl, write_text
from lal.gold_items import GoldItem


def test_all_files_of_a_folder_are_read_in_the_order_of_their_names(
    tmp_path: Path, line: Callable[..., GoldItem]
) -> None:
    write_jsonl(tmp_path / "b.jsonl", [line("b1", "haue", "have")])
    write_jsonl(tmp_path / "a.jsonl", [line("z", "vp", "up"), line("a", "loue", "love")])
    write_text(tmp_path / "README.md", "not a gold file")
    assert [item.id for item in load_gold(tmp_path)] == ["z", "a", "b1"]


def test_an_id_in_two_files_is_named_with_both(tmp_path: Path, line: Callable[..., GoldItem]) -> None:
    write_jsonl(tmp_path / "a.jsonl", [line("same", "haue", "have")])
    write_jsonl(tmp_path / "b.jsonl", [line("same", "loue", "love")])
    with pytest.raises(DataError, match=r"b\.jsonl: duplicate id 'same', first used in a\.jsonl"):
        load_gold(tmp_path)


def test_an_empty_folder_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no \.jsonl file of gold items") as caught:
        load_gold(tmp_path)
    assert "gold/README.md" in caught.value.remedy


def test_a_file_without_items_is_an_error(tmp_path: Path) -> None:
    write_text(tmp_path / "gold.jsonl", "\n\n")
    with pytest.raises(DataError, match="no gold items in its"):
        load_gold(tmp_path)


def test_a_bad_line_is_named_by_file_and_number(tmp_path: Path, line: Callable[..., GoldItem]) -> None:
    good = line("a", "haue", "have").model_dump_json()
    write_text(tmp_path / "gold.jsonl", good + "\n" + good.replace('"exact"', '"vibes"').replace('"a"', '"b"') + "\n")
    with pytest.raises(DataError, match=r"gold\.jsonl:2: scorer: .*'vibes'"):
        load_gold(tmp_path)


def test_a_split_is_what_the_items_say_and_not_their_file(tmp_path: Path, line: Callable[..., GoldItem]) -> None:
    write_jsonl(tmp_path / "gold.jsonl", [line("a", "haue", "have"), line("b", "loue", "love", split="sealed")])
    write_jsonl(tmp_path / "sealed.jsonl", [line("c", "vp", "up", split="sealed"), line("d", "vs", "us")])
    assert [item.id for item in load_gold(tmp_path)] == ["a", "d"]
    assert [item.id for item in load_gold(tmp_path, split="sealed")] == ["b", "c"]
    assert [item.id for item in load_all(tmp_path)] == ["a", "b", "c", "d"]


def test_a_split_without_items_is_an_error(tmp_path: Path, line: Callable[..., GoldItem]) -> None:
    write_jsonl(tmp_path / "gold.jsonl", [line("a", "haue", "have")])
    with pytest.raises(DataError, match="none of its 1 items is sealed"):
        load_gold(tmp_path, split="sealed")
