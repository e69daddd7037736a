"""A user's own folder of texts: every odd file gets one clear answer."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lal.data.own_text import MAX_DOCUMENT_CHARACTERS, cut_near, read_folder
from lal.errors import DataError
from lal.files import MAX_LINE_BYTES


def put(folder: Path, **files: bytes | str) -> Path:
    for name, content in files.items():
        path = folder / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def read(folder: Path, fraction: float = 0.5, seed: int = 1) -> dict[str, str]:
    return {document.id: document.text for document in read_folder(folder, fraction, seed).documents}


def test_text_markdown_and_rows_are_found_in_all_subfolders(tmp_path: Path) -> None:
    put(
        tmp_path,
        a_txt="one",
        b_MD="two",
        deep__er__c_jsonl='{"text": "three"}\n\n{"text": "four", "x": 1}\n',
        d_pdf="no",
    )
    assert read(tmp_path) == {"a.txt": "one", "b.MD": "two", "deep/er/c.jsonl:1": "three", "deep/er/c.jsonl:3": "four"}


def test_hidden_files_are_passed_over(tmp_path: Path) -> None:
    put(tmp_path, a_txt="one", b_txt="two", _hidden_txt="no", _git__c_txt="no")
    assert set(read(tmp_path)) == {"a.txt", "b.txt"}


def test_names_with_blanks_make_ids_without(tmp_path: Path) -> None:
    (tmp_path / "my text.txt").write_text("one")
    (tmp_path / ("long " * 40 + ".txt")).write_text("two")
    ids = list(read(tmp_path))
    assert "my%20text.txt" in ids
    assert all(len(identity) <= 200 and " " not in identity for identity in ids)


def test_documents_are_divided_and_the_division_depends_on_the_seed(tmp_path: Path) -> None:
    put(tmp_path, **{f"t{number}_txt": f"text {number}" for number in range(60)})
    first, second = read_folder(tmp_path, 0.3, seed=1), read_folder(tmp_path, 0.3, seed=2)
    assert {document.split for document in first.documents} == {"train", "validation"}
    assert first == read_folder(tmp_path, 0.3, seed=1)
    assert first != second


def test_a_single_document_is_cut_at_a_line_end(tmp_path: Path) -> None:
    put(tmp_path, a_txt="0123456\n" * 100)
    train, validation = read_folder(tmp_path, 0.1, seed=1).documents
    assert (train.split, validation.split) == ("train", "validation")
    assert train.text + validation.text == "0123456\n" * 100
    assert train.text.endswith("\n")
    assert len(train.text) == 720


@given(st.text(alphabet="ab \n", min_size=2, max_size=60), st.floats(0, 1))
def test_a_cut_loses_nothing(text: str, share: float) -> None:
    assert "".join(cut_near(text, round(len(text) * share))) == text


def test_a_cut_prefers_line_ends_then_blanks_then_the_place_itself() -> None:
    assert cut_near("one two\nthree four", 3) == ("one two\n", "three four")
    assert cut_near("one two three", 7) == ("one two ", "three")
    assert cut_near("onetwothree", 6) == ("onetwo", "three")


def test_byte_order_marks_and_foreign_line_ends_are_mended_and_nothing_else(tmp_path: Path) -> None:
    put(tmp_path, a_txt="\ufeffe\u0301\r\nfin\u00e9\t\r\r\nA\rb".encode(), b_txt="two")
    assert read(tmp_path)["a.txt"] == "e\u0301\nfin\u00e9\t\nA\nb"


def test_empty_and_repeated_texts_are_left_out_and_counted(tmp_path: Path) -> None:
    put(
        tmp_path,
        a_txt="one",
        b_txt="two",
        c_txt="one",
        d_txt="",
        e_txt=" \n",
        f_jsonl='{"text": "Two!"}\n{"text": ""}\n',
    )
    corpus = read_folder(tmp_path, 0.5, seed=1)
    assert [document.id for document in corpus.documents] == ["a.txt", "b.txt"]
    assert corpus.dropped == {"duplicate": 2, "empty": 3}
    assert len(corpus.sources) == 6


def test_a_line_of_20_megabytes_is_taken_and_made_into_documents_that_can_be_read_back(tmp_path: Path) -> None:
    text = "x" * 20_000_000 + "\nend"
    put(tmp_path, a_txt=text, b_txt="two")
    corpus = read_folder(tmp_path, 0.5, seed=1)
    parts = [document for document in corpus.documents if document.id.startswith("a.txt")]
    assert "".join(part.text for part in parts) == text
    assert max(len(part.text) for part in parts) <= MAX_DOCUMENT_CHARACTERS
    assert len({part.split for part in parts}) == 1
    assert all(len(part.model_dump_json()) < MAX_LINE_BYTES for part in parts)


def test_a_row_of_more_than_16_megabytes_is_refused(tmp_path: Path) -> None:
    put(tmp_path, a_jsonl=json.dumps({"text": "x" * MAX_LINE_BYTES}))
    with pytest.raises(DataError, match=r"a\.jsonl:1: a line of more than"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a_txt", b"fine \xff", "a.txt: not UTF-8: byte 0xff at position 5"),
        ("a_txt", b"one\ntwo \0", "a.txt: control character U+0000 in line 2"),
        ("a_txt", b"one\r\r\ntwo\rthree \f", "a.txt: control character U+000C in line 3"),
        ("a_jsonl", b'\n{"text": "a\\n\\u001b"}', "a.jsonl:2: control character U+001B in line 2"),
        ("a_jsonl", b'{"text": "a\\ud800"}', "a.jsonl:1: half a surrogate pair: \\ud800"),
        ("a_jsonl", b'{"text": 3}', 'a.jsonl:1: expected a key "text" with a string'),
        ("a_jsonl", b'{"txt": "a"}', "got the keys ['txt']"),
        ("a_jsonl", b"{broken", "a.jsonl:1: not valid JSON"),
    ],
)
def test_what_is_no_text_is_refused_by_name_and_place(name: str, content: bytes, said: str, tmp_path: Path) -> None:
    put(tmp_path, **{name: content}, b_txt="fine")
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    assert said in str(caught.value)


def test_all_bad_files_and_rows_are_named_at_once(tmp_path: Path) -> None:
    put(
        tmp_path,
        a_txt=b"\xff",
        b_txt=b"\0",
        c_txt="fine",
        d_jsonl='{"text": 1}\n{\n{"text": "fine"}\n{"text": "\\u0000"}',
    )
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    assert [line.split(": ")[0].removeprefix(f"{tmp_path}/") for line in caught.value.problem.splitlines()] == [
        "a.txt",
        "b.txt",
        "d.jsonl:1",
        "d.jsonl:2",
        "d.jsonl:4",
    ]


def test_a_file_of_conversations_is_left_out(tmp_path: Path) -> None:
    put(tmp_path, a_txt="one", b_txt="two", chats_jsonl='{"messages": []}')
    corpus = read_folder(tmp_path, 0.5, seed=1, leave_out=tmp_path / ".." / tmp_path.name / "chats.jsonl")
    assert sorted(corpus.sources) == ["a.txt", "b.txt"]


def test_a_name_that_is_not_utf8_makes_an_id_that_is(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"caf\xe9.txt")).write_text("one")
    put(tmp_path, b_txt="two")
    assert set(read(tmp_path)) == {"caf%E9.txt", "b.txt"}


def test_a_folder_with_nothing_to_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no \.jsonl, \.md, \.txt files"):
        read(put(tmp_path, a_pdf="no"))


def test_a_folder_of_blanks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing but blanks in 2 files"):
        read(put(tmp_path, a_txt="", b_txt=" \n"))


def test_a_file_in_place_of_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a folder"):
        read(put(tmp_path, a_txt="one") / "a.txt")
