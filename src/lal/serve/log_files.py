"""Files that rows are appended to: whole lines only, one writer, and never more than so many bytes.

A row whose write fails is taken back, so that a full disk leaves no half line; a half line that a kill left is cut off
when the file is opened again, and a whole one gets its line end.
"""

import contextlib
import fcntl
import json
import os
from datetime import UTC, datetime
from pathlib import Path

from lal.errors import DataError

MAX_BYTES = 16 * 2**20
"""Of a file of requests before another one is begun."""

KEPT_FILES = 8
"""Older files that stay."""


class Appender:
    """One file of rows.

    Args:
        path: Such as data/live/requests.jsonl; its folder is made if need be.
        rotates: Whether a full file is put aside as `<name>-<time>.jsonl`, the oldest being deleted, or stays full.

    Raises:
        DataError: The place cannot be written, or another process writes there.
    """

    def __init__(self, path: Path, rotates: bool) -> None:
        self.path, self._rotates = path, rotates
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = self._open()
        except BlockingIOError as error:
            raise DataError(
                f"{path}: another server writes to it", "stop that one, or name another folder with --log"
            ) from error
        except OSError as error:
            raise DataError(
                f"{path}: cannot be written: {error.strerror}", "fix the permissions, or serve with --no-log"
            ) from error

    def append(self, line: str, is_precious: bool = False) -> None:
        """Writes a line.

        Args:
            line: Without its end.
            is_precious: Whether to wait until it is on the disk.

        Raises:
            OSError: It cannot be written; nothing of it was.
        """
        content = f"{line}\n".encode()
        if not self._is_in_place():
            self._begin_anew()
        size = os.fstat(self._descriptor).st_size
        if size and size + len(content) > MAX_BYTES:
            self._put_aside()
            size = 0
        try:
            written = os.write(self._descriptor, content)
            if written < len(content):
                raise OSError(28, "No space left on device")
            if is_precious:
                os.fsync(self._descriptor)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, size)
            raise

    def close(self) -> None:
        """Lets another process write."""
        os.close(self._descriptor)

    def _open(self) -> int:
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _cut_half_a_line(descriptor)
        except OSError:
            os.close(descriptor)
            raise
        return descriptor

    def _is_in_place(self) -> bool:
        """Whether nobody has deleted or moved the file since it was opened."""
        try:
            return os.path.samestat(self.path.stat(), os.fstat(self._descriptor))
        except FileNotFoundError:
            return False

    def _begin_anew(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._open()
        os.close(self._descriptor)
        self._descriptor = fresh

    def _put_aside(self) -> None:
        if not self._rotates:
            raise OSError(27, f"{self.path} has {MAX_BYTES:,} bytes; put it aside")
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
        self.path.rename(self.path.with_stem(f"{self.path.stem}-{stamp}"))
        self._begin_anew()
        older = sorted(self.path.parent.glob(f"{self.path.stem}-*{self.path.suffix}"))
        for path in older[:-KEPT_FILES]:
            path.unlink(missing_ok=True)


def _cut_half_a_line(descriptor: int) -> None:
    """Ends the file behind its last whole row; one that lacks only its line end, as an editor leaves it, is whole."""
    size = end = os.fstat(descriptor).st_size
    while end > 0:
        start = max(0, end - 2**16)
        place = os.pread(descriptor, end - start, start).rfind(b"\n")
        if place >= 0:
            end = start + place + 1
            break
        end = start
    if end < size:
        if _is_row(os.pread(descriptor, size - end, end)):
            os.write(descriptor, b"\n")
        else:
            os.ftruncate(descriptor, end)


def _is_row(content: bytes) -> bool:
    try:
        return isinstance(json.loads(content), dict)
    except ValueError:
        return False
