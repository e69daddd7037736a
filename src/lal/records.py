"""What travels between stages: documents and conversations; `lal.gold_items` has what only the evaluation knows.

Each is a frozen pydantic model, written one a line as JSON. Reading goes through `read_records`, which reports every
bad line of a file at once, by number.
"""

from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from lal.errors import DataError
from lal.files import read_jsonl

Split = Literal["train", "validation", "test"]
"""train: learned from. validation: looked at while training. test: neither; the rest of the gold set's plays."""

Role = Literal["system", "user", "assistant"]

MODERNISE_TASK = "modernise"
PERSONA_TASK = "persona"

MODERNISE_PREFIX = "Modernise: "
"""Stands before the line in every question of the task `modernise`, so that a line is never taken for a question."""

Item = TypeVar("Item")
Many = Annotated[tuple[Item, ...], Field(strict=False)]
"""Several of a kind; strict mode would refuse the list that JSON gives."""

Id = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^\S+$")]


class Record(BaseModel):
    """Base of all records: strict types, no unknown keys, never changed after it was made."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Document(Record):
    """A text to pretrain on."""

    id: Id
    text: str
    source: str
    licence: str
    split: Split


class Message(Record):
    """One turn of a conversation."""

    role: Role
    content: Annotated[str, Field(min_length=1)]


class Conversation(Record):
    """A conversation to fine-tune on: an optional system message, then user and assistant in turn, assistant last.

    `task` groups conversations of one kind (`modernise`, `persona`, or the user's own word).
    """

    id: Id
    messages: Many[Message]
    task: str
    source: str
    licence: str
    split: Split

    @model_validator(mode="after")
    def _turns_alternate(self) -> "Conversation":
        check_turns(self.messages, last="assistant")
        return self

    @property
    def prompt(self) -> str:
        """The last user message."""
        return self.messages[-2].content

    @property
    def answer(self) -> str:
        """The last assistant message."""
        return self.messages[-1].content


RecordType = TypeVar("RecordType", bound=Record)


def line_to_modernise(prompt: str) -> str | None:
    """The line in a question of the task `modernise`; None if the question is of another task."""
    return prompt.removeprefix(MODERNISE_PREFIX) if prompt.startswith(MODERNISE_PREFIX) else None


def check_turns(messages: tuple[Message, ...], last: Role) -> None:
    """Demands [system], then user and assistant in turn, ending with `last`.

    Raises:
        ValueError: The order is another one.
    """
    turns = [message.role for message in messages]
    if turns[:1] == ["system"]:
        turns = turns[1:]
    expected = ["user" if position % 2 == 0 else "assistant" for position in range(len(turns))]
    if not turns or turns != expected or turns[-1] != last:
        got = ", ".join(message.role for message in messages) or "nothing"
        raise ValueError(f"roles must be an optional system, then user and assistant in turn, {last} last; got {got}")


def read_records(path: Path, kind: type[RecordType]) -> list[RecordType]:
    """Reads a whole JSON-lines file of one kind of record. Raises: see `read_numbered`."""
    return [record for _, record in read_numbered(path, kind)]


def read_numbered(path: Path, kind: type[RecordType]) -> list[tuple[int, RecordType]]:
    """Reads a whole JSON-lines file of one kind of record, each with its line number from 1.

    Raises:
        DataError: Naming each line that is not such a record, or has an id that stood before.
    """
    records: list[tuple[int, RecordType]] = []
    problems: list[str] = []
    remedies: list[str] = []
    seen: dict[str, int] = {}
    for number, row in read_jsonl(path):
        if isinstance(row, DataError):
            problems.append(row.problem)
            remedies.append(row.remedy)
            continue
        try:
            record = kind.model_validate(row)
        except ValidationError as error:
            problems.append(f"{path}:{number}: {_first_problem(error)}")
            continue
        identity = getattr(record, "id", None)
        if identity is not None and seen.setdefault(identity, number) != number:
            problems.append(f"{path}:{number}: duplicate id {identity!r}, first used in line {seen[identity]}")
        records.append((number, record))
    if problems:
        raise DataError.of(problems, "; ".join(dict.fromkeys(filter(None, remedies))))
    return records


def _first_problem(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    given = (
        ""
        if isinstance(first["input"], (dict, list)) or first["type"] == "missing"
        else f", got {first['input']!r:.80}"
    )
    return f"{where}: {message}{given}" if where else message
