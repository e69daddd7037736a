"""Data patches: training rows that were proposed from failures, reviewed by a person, and put beside the other rows."""

from pathlib import Path
from typing import Literal

from pydantic import field_validator

from lal.data.conversations import Conversations
from lal.errors import DataError
from lal.files import sha256
from lal.records import Conversation, Id, read_numbered

FILL_IN = "FILL IN:"
"""Begins what a person has to write; no row that holds it is ever trained on."""

REMEDY = "write what is asked for in its place, or take the row out"

SOURCE_PREFIX = "patches/"
"""Before a patch's file name where the sources of the conversations are told."""


class PatchRow(Conversation):
    """A training row with the reason it is there."""

    group: str
    """Id of the group of failures that it is meant to mend; see `lal.evaluation.failures.groups`."""
    kind: Literal["unused", "repeat", "skeleton"]
    """unused: of the pool, not trained on so far. repeat: trained on already. skeleton: written by a person."""
    origin: Id | None = None
    """Id of the row it is a copy of."""

    @field_validator("split")
    @classmethod
    def _trains(cls, split: str) -> str:
        if split != "train":
            raise ValueError(f"a patch is for training, got split {split!r}")
        return split

    @property
    def is_filled_in(self) -> bool:
        """Whether nothing is left for a person to write."""
        texts = (self.source, self.licence, *(message.content for message in self.messages))
        return not any(FILL_IN in text for text in texts)

    def conversation(self) -> Conversation:
        """The row as it is trained on."""
        return Conversation(**{name: getattr(self, name) for name in Conversation.model_fields})


def read_patch(path: Path) -> list[PatchRow]:
    """The rows of one patch.

    Raises:
        DataError: Naming each line that is not such a row, or that a person has yet to fill in.
    """
    numbered = read_numbered(path, PatchRow)
    unfilled = [f"{path}:{number}: not filled in: row {row.id!r}" for number, row in numbered if not row.is_filled_in]
    if unfilled:
        raise DataError.of(unfilled, REMEDY)
    return [row for _, row in numbered]


def read_patches(folder: Path) -> Conversations:
    """The rows of all `.jsonl` files of a folder, in the order of their names.

    Raises:
        DataError: The folder is missing, or see `read_patch`.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: not a folder", "restore it with `git checkout`; its README.md alone will do")
    paths = sorted(folder.glob("*.jsonl"))
    rows = tuple(row.conversation() for path in paths for row in read_patch(path))
    return Conversations(rows, {}, {SOURCE_PREFIX + path.name: sha256(path) for path in paths})
