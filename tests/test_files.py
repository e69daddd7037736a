import errno
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lal import files
from lal.errors import DataError
from lal.files import read_json, read_jsonl, sha256, size_bytes, write_bytes, write_json, write_jsonl, writing


def test_a_written_file_is_whole_and_leaves_no_neighbours(tmp_path: Path) -> None:
    write_bytes(tmp_path / "deep" / "a.bin", b"abc")
    assert (tmp_path / "deep" / "a.bin").read_bytes() == b"abc"
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["a.bin"]


def test_when_the_disk_is_full_the_old_file_still_stands(tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    write_bytes(path, b"old")
    # A limit on file size is the disk-full a test can have without a disk of its own: write(2) fails the same way.
    code = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from lal.files import write_bytes; from lal.errors import DataError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        f"path = Path({str(path)!r})\n"
        "try: write_bytes(path, b'n' * 5000)\n"
        "except DataError as error: print(error); sys.exit(7)"
    )
    environment = {**os.environ, "PYTHONPATH": "src"}
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parents[1], env=environment, capture_output=True, text=True
    )
    assert run.returncode == 7, run.stderr
    assert str(path) in run.stdout
    assert "free space" in run.stdout
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 1000


def test_a_failed_rename_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.json"
    write_json(path, 1)

    def refuse(self: Path, target: Path) -> Path:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(DataError, match="Read-only file system"):
        write_json(path, 2)
    assert read_json(path) == 1


def test_nan_is_never_written_as_json(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Out of range"):
        write_json(tmp_path / "a.json", float("nan"))
    with pytest.raises(ValueError, match="Out of range"):
        write_jsonl(tmp_path / "a.jsonl", [{"a": float("nan")}])


def test_json_that_is_nested_too_deeply_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[" * 100_000)
    with pytest.raises(DataError, match=r"a\.json: nested too deeply"):
        read_json(tmp_path / "a.json")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(rows=st.lists(st.dictionaries(st.text(), st.text() | st.integers() | st.none(), max_size=3), max_size=5))
def test_what_is_written_as_lines_is_read_back(tmp_path: Path, rows: list[dict[str, object]]) -> None:
    write_jsonl(tmp_path / "rows.jsonl", rows)
    assert [row for _, row in read_jsonl(tmp_path / "rows.jsonl")] == rows


@pytest.mark.parametrize("failure", [ValueError("x"), KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left")])
def test_a_block_that_fails_leaves_the_old_file_and_no_part(tmp_path: Path, failure: BaseException) -> None:
    path = tmp_path / "a.bin"
    write_bytes(path, b"old")

    def fail() -> None:
        with writing(path) as handle:
            handle.write(b"new")
            raise failure

    with pytest.raises(DataError if isinstance(failure, OSError) else type(failure)):
        fail()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_stands_there_before_the_block_has_ended(tmp_path: Path) -> None:
    with writing(tmp_path / "a.bin") as handle:
        handle.write(b"ab")
        assert not (tmp_path / "a.bin").exists()
        handle.write(b"c")
    assert size_bytes(tmp_path / "a.bin") == 3


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b'{"a": 1', "not valid JSON"),
        (b"[1, 2]", "expected a JSON object, got list"),
        (b'{"a": 1, "a": 2}', "not valid JSON: duplicate key 'a'"),
        (b'{"a": NaN}', "not valid JSON: NaN is not JSON"),
        (b'{"a": "\xff"}', "not UTF-8: byte 0xff at position 7"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a": ["\\ud800"]}', "half a surrogate pair: \\\\ud800"),
        (b'{"a\\uDC00": 1}', "half a surrogate pair: \\\\udc00"),
    ],
)
def test_a_bad_line_is_named_by_its_number_and_the_others_are_read(tmp_path: Path, line: bytes, problem: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"a": 0}\n\n' + line + b'\n{"a": 1}\n')
    (first, zero), (third, error), (fourth, one) = read_jsonl(path)
    assert (first, zero, third, fourth, one) == (1, {"a": 0}, 3, 4, {"a": 1})
    assert isinstance(error, DataError)
    assert error.problem.startswith(f"{path}:3: {problem}".replace("\\\\", "\\"))


def test_a_whole_surrogate_pair_is_a_character(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_bytes(rb'{"a": "\ud83d\ude00"}')
    assert list(read_jsonl(tmp_path / "rows.jsonl")) == [(1, {"a": "\U0001f600"})]


def test_an_enormous_line_is_refused_before_it_fills_the_memory(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    with path.open("wb") as handle:
        handle.truncate(files.MAX_LINE_BYTES + 10)
    [(_, error)] = read_jsonl(path)
    assert isinstance(error, DataError)
    assert f"{path}:1: a line of more than 16,777,216 bytes" in error.problem


def test_a_byte_order_mark_and_unicode_line_separators_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps({"a": "x\u2028y"}, ensure_ascii=False).encode() + b"\r\n")
    assert list(read_jsonl(path)) == [(1, {"a": "x\u2028y"})]


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.json: cannot be read"):
        read_json(tmp_path / "none.json")
    with pytest.raises(DataError, match=r"none\.jsonl: cannot be read"):
        list(read_jsonl(tmp_path / "none.jsonl"))
    with pytest.raises(DataError, match=r"none\.bin: cannot be read"):
        sha256(tmp_path / "none.bin")
    with pytest.raises(DataError, match=r"none\.bin: cannot be read"):
        size_bytes(tmp_path / "none.bin")


def test_a_digest_is_the_one_everybody_computes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
