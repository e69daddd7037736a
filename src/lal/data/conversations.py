"""Conversations to fine-tune on: a user's own, the persona, and what all kinds have in common."""

import os
import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import field_validator, model_validator

from lal.data.characters import letters_only, mend_line_ends
from lal.data.split import split_all
from lal.errors import DataError
from lal.files import sha256
from lal.records import (
    MODERNISE_PREFIX,
    MODERNISE_TASK,
    PERSONA_TASK,
    Conversation,
    Id,
    Many,
    Message,
    Record,
    Split,
    check_turns,
    read_numbered,
)


@dataclass(frozen=True)
class Conversations:
    """Conversations, how many were left out for which reason, and the digests of the files they are from."""

    rows: tuple[Conversation, ...]
    dropped: Mapping[str, int]
    sources: Mapping[str, str]


class Chat(Record):
    """A row of a user's own file: a `Conversation` of which only `messages` must be given."""

    messages: Many[Message]
    id: Id | None = None
    task: str | None = None
    source: str | None = None
    licence: str = "unknown"
    split: Split | None = None

    @field_validator("messages")
    @classmethod
    def _line_ends_are_mended(cls, messages: tuple[Message, ...]) -> tuple[Message, ...]:
        return tuple(Message(role=message.role, content=mend_line_ends(message.content)) for message in messages)

    @model_validator(mode="after")
    def _can_be_learned(self) -> "Chat":
        check_turns(self.messages, last="assistant")
        if any(not message.content.strip() for message in self.messages):
            raise ValueError("messages: content must be more than blanks")
        return self

    def completed(self, identity: str, task: str, source: str, split: Split) -> Conversation:
        """The conversation, with what the row does not say filled in."""
        return Conversation(
            id=identity,
            messages=self.messages,
            task=self.task or task,
            source=self.source or source,
            licence=self.licence,
            split=self.split or split,
        )


def read_chats(path: Path, validation_fraction: float, seed: int) -> Conversations:
    """A user's own conversations; what a row leaves out is filled in.

    A row without `split` goes to train or validation by a hash of its id, one without `id` is called after the file and
    its line. Of rows that say the same, whatever their casing, spacing and punctuation, the first is kept.

    Raises:
        DataError: Naming each line that is no conversation, or when nothing is left to train or validate on.
    """
    if not path.is_file():
        raise DataError(f"{path}: not a file", "name the .jsonl file that holds your conversations")
    named = _read_named(path)
    first: dict[str, tuple[str, Chat]] = {}
    for identity, chat in named:
        first.setdefault(letters_only(" ".join(message.content for message in chat.messages)), (identity, chat))
    chats = list(first.values())
    splits = split_all([identity for identity, chat in chats if chat.split is None], validation_fraction, seed)
    name = _shown_name(path)
    rows = tuple(chat.completed(identity, "own", name, splits.get(identity, "train")) for identity, chat in chats)
    refuse_shared_ids(rows)
    for split in ("train", "validation"):
        if all(row.split != split for row in rows):
            raise DataError(
                f"{path}: no conversations for {split}",
                "give two or more that differ, and leave `split` out to have them divided",
            )
    dropped = {"duplicate": len(named) - len(rows)} if len(rows) < len(named) else {}
    return Conversations(rows, dropped, {name: sha256(path)})


def read_persona(folder: Path) -> Conversations:
    """The hand-written conversations of all `.jsonl` files of a folder; they train unless a row says otherwise.

    Raises:
        DataError: The folder is missing, or naming each line of a file that is no conversation.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: not a folder", "restore it with `git checkout`; an empty one will do")
    paths = sorted(folder.glob("*.jsonl"))
    rows = tuple(
        chat.completed(identity, PERSONA_TASK, _shown_name(path), "train")
        for path in paths
        for identity, chat in _read_named(path)
    )
    return Conversations(rows, {}, {_shown_name(path): sha256(path) for path in paths})


def draw(chats: Conversations, count: int | None, seed: int) -> Conversations:
    """Keeps `count` of the training rows, drawn at random and left in order, and all others; None keeps everything."""
    training = [index for index, row in enumerate(chats.rows) if row.split == "train"]
    if count is None or count >= len(training):
        return chats
    chosen = set(random.Random(seed).sample(training, count))  # noqa: S311 - a draw, not a secret
    rows = tuple(row for index, row in enumerate(chats.rows) if row.split != "train" or index in chosen)
    return Conversations(rows, {**chats.dropped, "not_drawn": len(training) - count}, chats.sources)


def join(first: Conversations, second: Conversations) -> Conversations:
    """Both, in order.

    Raises:
        DataError: An id stands in both.
    """
    rows = first.rows + second.rows
    refuse_shared_ids(rows)
    dropped = Counter(first.dropped) + Counter(second.dropped)
    return Conversations(rows, dict(sorted(dropped.items())), {**first.sources, **second.sources})


def share_changed(rows: Iterable[Conversation]) -> float:
    """Share of the `modernise` rows whose answer is not the line as it stands; 0 if there are none."""
    changed = [row.prompt != MODERNISE_PREFIX + row.answer for row in rows if row.task == MODERNISE_TASK]
    return sum(changed) / max(len(changed), 1)


def refuse_shared_ids(rows: Sequence[Conversation]) -> None:
    """Demands that no two rows have the same id.

    Raises:
        DataError: Naming the ids that stand twice.
    """
    repeated = [identity for identity, count in Counter(row.id for row in rows).items() if count > 1]
    if repeated:
        raise DataError.of(
            [f"conversations: duplicate id {identity!r}" for identity in repeated], "give each conversation its own id"
        )


def _read_named(path: Path) -> list[tuple[str, Chat]]:
    """The rows of a file with their ids, given or made of the file's name and the line."""
    stem = "-".join(Path(_shown_name(path)).stem.split())[:100]
    return [(chat.id or f"{stem}:{number}", chat) for number, chat in read_numbered(path, Chat)]


def _shown_name(path: Path) -> str:
    r"""A file's name as text; bytes of it that are not UTF-8 are shown as `\xe9`."""
    return os.fsencode(path.name).decode("utf-8", "backslashreplace")
