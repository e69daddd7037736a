"""Files that are whole or absent: atomic writes, JSON, JSON lines, digests.

A reader of anything written here sees the old file or the new one, never half of one: bytes go to a neighbour
`<name>.part`, are flushed to disk, and are renamed into place.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from lal.errors import DataError

MAX_LINE_BYTES = 16 * 2**20
"""Longest line of a JSON-lines file; a longer one is refused before it fills the memory (1 GB would cost 1.9)."""


@contextlib.contextmanager
def writing(path: Path) -> Iterator[BinaryIO]:
    """Lends a file to write piece by piece; it stands at `path` once the block has ended well, and not before.

    For what need not be in memory at once. If the block fails, what stood there before still stands.

    Raises:
        DataError: The disk is full or the place cannot be written. Any `OSError` of the block is taken for that.
    """
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        part.replace(path)
        _sync_folder(path.parent)
    except BaseException as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        if not isinstance(error, OSError):
            raise
        raise DataError(
            f"{path}: cannot be written: {error.strerror or error}", "free space or fix the permissions, then run again"
        ) from error


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a file atomically, making its folder if need be. Raises: see `writing`."""
    with writing(path) as handle:
        handle.write(content)


def write_text(path: Path, text: str) -> None:
    """Writes UTF-8 text atomically, line ends as they are."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Writes a value as indented JSON with a final newline; refuses NaN and infinity, which JSON cannot say."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_jsonl(path: Path, rows: Iterable[Any]) -> None:
    """Writes one JSON object a line; rows are dicts or pydantic models. Refuses NaN and infinity, as `write_json`."""
    with writing(path) as handle:
        for row in rows:
            line = (
                row.model_dump_json()
                if hasattr(row, "model_dump_json")
                else json.dumps(row, ensure_ascii=False, allow_nan=False)
            )
            handle.write(f"{line}\n".encode())


def read_json(path: Path) -> Any:
    """Reads a JSON file.

    Raises:
        DataError: The file is missing or not JSON.
    """
    try:
        return json.loads(path.read_bytes(), parse_constant=_refuse_constant)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except RecursionError as error:
        raise DataError(f"{path}: nested too deeply") from error
    except ValueError as error:
        raise DataError(f"{path}: not valid JSON: {error}") from error


def read_jsonl(path: Path) -> Iterator[tuple[int, dict[str, Any] | DataError]]:
    """Yields (line number from 1, object) for each line of a JSON-lines file; blank lines are passed over.

    In place of the object stands what is wrong with the line, for the caller to raise with the others of the file: it
    is not UTF-8, not a JSON object, has a key twice, says NaN, holds half a surrogate pair, or is longer than
    `MAX_LINE_BYTES`, which ends the reading.

    Raises:
        DataError: The file cannot be read.
    """
    try:
        handle = path.open("rb")
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    with handle:
        number = 0
        while line := handle.readline(MAX_LINE_BYTES + 1):
            number += 1
            if len(line) > MAX_LINE_BYTES:
                problem = f"{path}:{number}: a line of more than {MAX_LINE_BYTES:,} bytes"
                yield number, DataError(problem, "write one JSON object a line")
                return
            if line.strip():
                yield number, _parse_object(line, f"{path}:{number}", first=number == 1)


def sha256(path: Path) -> str:
    """The file's SHA-256 as 64 hexadecimal digits.

    Raises:
        DataError: The file cannot be read.
    """
    try:
        with path.open("rb") as handle:
            return hashlib.file_digest(handle, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error


def size_bytes(path: Path) -> int:
    """Bytes of a file.

    Raises:
        DataError: The file cannot be read.
    """
    try:
        return path.stat().st_size
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error


def _parse_object(line: bytes, place: str, first: bool) -> dict[str, Any] | DataError:
    try:
        text = line.decode("utf-8-sig" if first else "utf-8")
        value = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_refuse_duplicates)
        if rb"\ud" in line or rb"\uD" in line:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeDecodeError as error:
        problem = f"{place}: not UTF-8: byte 0x{line[error.start]:02x} at position {error.start}"
        return DataError(problem, "save the file as UTF-8")
    except UnicodeEncodeError as error:
        problem = f"{place}: half a surrogate pair: \\u{ord(error.object[error.start]):04x}"
        return DataError(problem, "write the whole character, or take it out")
    except RecursionError:
        return DataError(f"{place}: nested too deeply")
    except ValueError as error:
        return DataError(f"{place}: not valid JSON: {error}", "write one JSON object a line")
    if not isinstance(value, dict):
        return DataError(f"{place}: expected a JSON object, got {type(value).__name__}")
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"duplicate key {next(key for key in keys if keys.count(key) > 1)!r}")
    return value


def _sync_folder(folder: Path) -> None:
    """Makes a rename last through a power cut; a platform that cannot open folders has no need of it."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
