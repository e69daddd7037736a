"""Reading folders of records, and how values are shown."""

from pathlib import Path

import pytest

from lal.data.tables import corpus_table, read_lines, shorten
from lal.errors import DataError
from lal.records import Document

SOUND = '{"id": "a", "text": "Exeunt", "source": "s", "licence": "l", "split": "train"}'


def test_records_of_all_files_come_with_their_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "validation.jsonl").write_text(SOUND)
    (tmp_path / "train.jsonl").write_text(f"\n{SOUND}\n")
    (tmp_path / "manifest.json").write_text("{}")
    lines = read_lines(tmp_path, Document)
    assert [(line.place, line.file) for line in lines] == [
        (f"{tmp_path}/train.jsonl:2", "train"),
        (f"{tmp_path}/validation.jsonl:1", "validation"),
    ]
    assert lines[0].record.text == "Exeunt"


def test_all_bad_files_of_a_folder_are_named_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("{")
    (tmp_path / "b.jsonl").write_text(SOUND + "\n" + SOUND.replace("train", "practice"))
    with pytest.raises(DataError, match=r"a\.jsonl:1: not valid JSON(?s:.*)b\.jsonl:2: split: "):
        read_lines(tmp_path, Document)


def test_a_finding_in_a_text_names_the_record_it_is_in(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text(SOUND.replace("Exeunt", "Exe\\u0007unt"))
    [row] = corpus_table(tmp_path, read_lines(tmp_path, Document)).rows
    assert row["control_character"] == r"a: U+0007 at character 4: 'Exe\x07unt'"


def test_a_folder_without_records_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no \.jsonl files"):
        read_lines(tmp_path, Document)
    with pytest.raises(DataError, match=r"nowhere: no \.jsonl files"):
        read_lines(tmp_path / "nowhere", Document)
    (tmp_path / "train.jsonl").write_text("\n")
    with pytest.raises(DataError, match=r"its \.jsonl files are empty"):
        read_lines(tmp_path, Document)


def test_a_long_value_is_shown_by_its_ends_and_its_length() -> None:
    assert shorten("a\0b") == r"'a\x00b'"
    assert shorten("abcdefghij" * 100, most=10) == "'abcde' ... 'fghij' (1,000 characters)"
