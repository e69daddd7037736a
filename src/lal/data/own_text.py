"""A user's own texts as documents: what is read, what is mended, what is refused."""

import hashlib
import urllib.parse
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from lal.data.characters import letters_only, mend_line_ends
from lal.data.corpus import Corpus
from lal.data.split import split_all
from lal.errors import DataError
from lal.files import read_jsonl, sha256
from lal.records import Document

SUFFIXES = (".jsonl", ".md", ".txt")

MAX_DOCUMENT_CHARACTERS = 2 * 2**20
"""Longer texts become several documents, so that each fits a line of JSON, where a character takes up to 6 bytes."""


def read_folder(folder: Path, validation_fraction: float, seed: int, leave_out: Path | None = None) -> Corpus:
    """One document a `.txt` or `.md` file and one a `{"text": ...}` row of a `.jsonl` file, subfolders included.

    A byte order mark is taken off and line ends become LF. Nothing else changes, Unicode's composed and decomposed
    letters neither: the model is to write as its owner writes. Empty texts, hidden files and repetitions, whatever
    their casing, spacing and punctuation, are left out. Documents are divided by a hash of their id; a single one is
    cut at a line end.

    Args:
        folder: Where the texts are.
        validation_fraction: Share of the documents to validate on.
        seed: Of the hash.
        leave_out: A file in the folder that holds no texts, but conversations.

    Raises:
        DataError: The folder holds nothing to read, or naming each file and row that is not readable text.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: not a folder", "name the folder that holds your texts")
    paths = [
        path
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in SUFFIXES and path.is_file() and not _is_hidden(path, folder)
    ]
    paths = [path for path in paths if leave_out is None or not path.samefile(leave_out)]
    if not paths:
        raise DataError(f"{folder}: no {', '.join(SUFFIXES)} files in it", "put your texts there")
    texts, dropped = _distinct_texts(paths, folder)
    if not texts:
        raise DataError(f"{folder}: nothing but blanks in {len(paths)} files", "put texts there")
    sources = {_identity(path, folder): sha256(path) for path in paths}
    return Corpus(
        tuple(_documents(texts, folder.name, validation_fraction, seed)), dict(sorted(dropped.items())), sources
    )


def cut_near(text: str, place: int) -> tuple[str, str]:
    """Cuts a text in two at the line end nearest to a place, else at the blank nearest to it, else right there."""
    for separator in ("\n", " "):
        ends = [text.rfind(separator, 0, place) + 1, text.find(separator, place) + 1]
        ends = [end for end in ends if text[:end].strip() and text[end:].strip()]
        if ends:
            place = min(ends, key=lambda end: abs(end - place))
            break
    return text[:place], text[place:]


def _distinct_texts(paths: Sequence[Path], folder: Path) -> tuple[dict[str, str], Counter[str]]:
    """The texts by id, and how many were left out for which reason."""
    texts: dict[str, str] = {}
    dropped: Counter[str] = Counter()
    problems: list[str] = []
    seen: set[str] = set()
    for path in paths:
        for identity, text in _texts(path, folder):
            if isinstance(text, DataError):
                problems.append(text.problem)
            elif not text.strip():
                dropped["empty"] += 1
            elif (key := letters_only(text)) in seen:
                dropped["duplicate"] += 1
            else:
                seen.add(key)
                texts[identity] = text
    if problems:
        raise DataError.of(problems, "mend these or take them away; texts are UTF-8 without control characters")
    return texts, dropped


def _texts(path: Path, folder: Path) -> Iterator[tuple[str, str | DataError]]:
    """(id, text or what is wrong with it) of each document of a file."""
    name = _identity(path, folder)
    try:
        if path.suffix.lower() != ".jsonl":
            yield name, _mended(_decoded(path), str(path))
            return
        for number, row in read_jsonl(path):
            yield f"{name}:{number}", row if isinstance(row, DataError) else _text_of(row, f"{path}:{number}")
    except DataError as error:
        yield name, error


def _text_of(row: dict[str, Any], place: str) -> str | DataError:
    text = row.get("text")
    if not isinstance(text, str):
        return DataError(f'{place}: expected a key "text" with a string in it, got the keys {sorted(row)}')
    return _mended(text, place)


def _decoded(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: not UTF-8: byte 0x{error.object[error.start]:02x} at position {error.start}"
        ) from error


def _mended(text: str, place: str) -> str | DataError:
    try:
        return mend_line_ends(text)
    except ValueError as error:
        return DataError(f"{place}: {error}")


def _is_hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def _identity(path: Path, folder: Path) -> str:
    """The path within the folder, without blanks and short enough for an id; it need not be UTF-8."""
    name = urllib.parse.quote(path.relative_to(folder).as_posix(), safe="/", errors="surrogateescape")
    return name if len(name) <= 150 else f"{name[:130]}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def _documents(texts: dict[str, str], source: str, validation_fraction: float, seed: int) -> Iterator[Document]:
    splits = split_all(list(texts), validation_fraction, seed)
    if len(texts) == 1:
        [(identity, text)] = texts.items()
        train, validation = cut_near(text, round(len(text) * (1 - validation_fraction)))
        texts = {f"{identity}:train": train, f"{identity}:validation": validation}
        splits = {f"{identity}:train": "train", f"{identity}:validation": "validation"}
    for identity, text in texts.items():
        parts = list(_parts(text))
        for number, part in enumerate(parts, start=1):
            name = identity if len(parts) == 1 else f"{identity}:part-{number}"
            yield Document(id=name, text=part, source=source, licence="unknown", split=splits[identity])


def _parts(text: str) -> Iterator[str]:
    while len(text) > MAX_DOCUMENT_CHARACTERS:
        # 64 Ki characters of leeway, so that a part is never longer than allowed.
        end = len(cut_near(text[:MAX_DOCUMENT_CHARACTERS], MAX_DOCUMENT_CHARACTERS - 2**16)[0])
        yield text[:end]
        text = text[end:]
    yield text
