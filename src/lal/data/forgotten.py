"""Texts that must not be learned from, as data/forgotten lists them: by digest, since the list outlives the text.

A digest is of the letters alone, so a forgotten text stays out in whatever casing, spacing and punctuation, and under
whatever name it comes back. `lal.data.forgetting` finds what belongs on the list, near-duplicates included.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field

from lal.data.characters import letters_only
from lal.data.conversations import Conversations
from lal.data.corpus import Corpus
from lal.errors import DataError
from lal.files import sha256
from lal.records import Conversation, Document, Many, Record, line_to_modernise, read_records

SOURCE_PREFIX = "forgotten/"
"""Before a list's file name where the sources of the data are told."""

_PARAGRAPH = re.compile(r"(\n[^\S\n]*\n\s*)")

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]


class ForgottenRow(Record):
    """What one `lal forget` put on the list."""

    document: Annotated[str, Field(min_length=1)]
    """What was named."""
    forgotten_on: str
    """Day, ISO 8601."""
    documents: Many[Digest]
    """Texts that are left out whole."""
    passages: Many[Digest]
    """Paragraphs and lines that are cut out of other texts."""
    conversations: Many[Digest]
    """Conversations that are left out: all their turns, or those of the user."""


@dataclass(frozen=True)
class Forgotten:
    """The whole list.

    Attributes:
        documents: See `ForgottenRow`.
        passages: Likewise.
        conversations: Likewise.
        sources: SHA-256 of each file of the list by name, for the manifests; empty if nothing is on it.
    """

    documents: frozenset[str]
    passages: frozenset[str]
    conversations: frozenset[str]
    sources: Mapping[str, str]

    @classmethod
    def of(cls, rows: Sequence[ForgottenRow], sources: Mapping[str, str]) -> "Forgotten":
        """What several rows list together."""
        return cls(
            frozenset(digest for row in rows for digest in row.documents),
            frozenset(digest for row in rows for digest in row.passages),
            frozenset(digest for row in rows for digest in row.conversations),
            sources,
        )

    def without(self, corpus: Corpus) -> Corpus:
        """The corpus without what is forgotten.

        Raises:
            DataError: No document is left to train or to validate on.
        """
        if not self.sources:
            return corpus
        dropped: Counter[str] = Counter()
        kept: list[Document] = []
        for document in corpus.documents:
            text, lost = ("", []) if digest(document.text) in self.documents else self.cut(document.text)
            dropped["forgotten_passages"] += len(lost)
            if text.strip():
                kept.append(document if text == document.text else document.model_copy(update={"text": text}))
            else:
                dropped["forgotten"] += 1
        self._refuse_nothing(corpus.documents, kept, "documents")
        return Corpus(tuple(kept), _sum(corpus.dropped, dropped), {**corpus.sources, **self.sources})

    def without_chats(self, chats: Conversations) -> Conversations:
        """The conversations without what is forgotten.

        Raises:
            DataError: None is left to train or to validate on.
        """
        if not self.sources:
            return chats
        kept = [row for row in chats.rows if not self.holds(row)]
        self._refuse_nothing(chats.rows, kept, "conversations")
        dropped = _sum(chats.dropped, {"forgotten": len(chats.rows) - len(kept)})
        return Conversations(tuple(kept), dropped, {**chats.sources, **self.sources})

    def holds(self, row: Conversation) -> bool:
        """Whether a conversation, or what its user asks, is on the list."""
        return not self.conversations.isdisjoint((conversation_digest(row), digest(asked(row))))

    def cut(self, text: str) -> tuple[str, list[str]]:
        """A text without its forgotten paragraphs and lines, and those; whitespace around what stays is as it was."""
        parts: list[str] = []
        lost: list[str] = []
        for paragraph, gap in paragraphs(text):
            if digest(paragraph) in self.passages:
                lost.append(paragraph.strip("\n"))
                continue
            lines = paragraph.splitlines(keepends=True)
            stay = [line for line in lines if digest(line) not in self.passages]
            lost += [line.strip("\n") for line in lines if digest(line) in self.passages]
            rest = "".join(stay)
            parts += [rest.removesuffix("\n") if gap else rest, gap] if stay else []
        return "".join(parts), lost

    def _refuse_nothing(
        self, before: Iterable[Document | Conversation], after: Iterable[Document | Conversation], what: str
    ) -> None:
        splits = {row.split for row in after}
        if gone := sorted({row.split for row in before} - splits - {"test"}):
            names = ", ".join(self.sources)
            problem = f"data/{names}: without what it lists there are no {what} for {' and '.join(gone)}"
            raise DataError(problem, "add texts, or take a list out")


def read_forgotten(folder: Path) -> Forgotten:
    """What all `.jsonl` files of a folder list.

    Raises:
        DataError: The folder is missing, or naming each line that is no row of a list.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: not a folder", "restore it with `git checkout`; its README.md alone will do")
    paths = sorted(folder.glob("*.jsonl"))
    rows = [row for path in paths for row in read_records(path, ForgottenRow)]
    return Forgotten.of(rows, {SOURCE_PREFIX + path.name: sha256(path) for path in paths})


def digest(text: str) -> str:
    """Sixteen hexadecimal digits of the SHA-256 of a text's letters.

    Example:
        >>> digest("My Lord,") == digest("my  lord!")
        True
    """
    return hashlib.sha256(letters_only(text).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def conversation_digest(row: Conversation) -> str:
    """Of all turns of a conversation."""
    return digest("\n".join(text_of(message.content) for message in row.messages))


def asked(row: Conversation) -> str:
    """What the user of a conversation says."""
    return "\n".join(text_of(message.content) for message in row.messages if message.role == "user")


def text_of(content: str) -> str:
    """What a message says, without the words that only name the task."""
    return line_to_modernise(content) or content


def paragraphs(text: str) -> list[tuple[str, str]]:
    r"""The paragraphs of a text, each with the blank lines behind it.

    Example:
        >>> paragraphs("one\ntwo\n\nthree\n")
        [('one\ntwo', '\n\n'), ('three\n', '')]
    """
    parts = [*_PARAGRAPH.split(text), ""]
    return list(zip(parts[::2], parts[1::2], strict=True))


def _sum(first: Mapping[str, int], second: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted((Counter(first) + Counter(second)).items()))
