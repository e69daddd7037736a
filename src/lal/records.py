"""What travels between stages: documents and conversations; `lal.gold_items` has what only the evaluation knows.

Each is a frozen pydantic model, written one a line as JSON. Reading goes through `read_records`, which reports every
bad line of a file at once, by number.
"""

from collections.abc import Iterator, Sequence
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
    problems: list[DataError] = []
    seen: dict[str, int] = {}
    for number, record in _parse(path, kind):
        if isinstance(record, DataError):
            problems.append(record)
            continue
        identity = getattr(record, "id", None)
        if identity is not None and seen.setdefault(identity, number) != number:
            place = f"{path}:{number}: duplicate id {identity!r}, first used in line {seen[identity]}"
            problems.append(DataError(place))
        records.append((number, record))
    _refuse(problems)
    return records


def stream_records(path: Path, kind: type[RecordType]) -> Iterator[RecordType]:
    """Reads a JSON-lines file record by record, for one that may be larger than the memory.

    Ids are not compared, which takes memory for each: where it matters, `read_numbered` has looked at the file before.

    Raises:
        DataError: At the end of the file, naming each line that is not such a record.
    """
    problems: list[DataError] = []
    for _, record in _parse(path, kind):
        if isinstance(record, DataError):
            problems.append(record)
        else:
            yield record
    _refuse(problems)


def _parse(path: Path, kind: type[RecordType]) -> Iterator[tuple[int, RecordType | DataError]]:
    """(line number from 1, record or what is wrong with the line) of each line of a file."""
    for number, row in read_jsonl(path):
        if isinstance(row, DataError):
            yield number, row
            continue
        try:
            yield number, kind.model_validate(row)
        except ValidationError as error:
            yield number, DataError(f"{path}:{number}: {_first_problem(error)}")


def _refuse(problems: Sequence[DataError]) -> None:
    if problems:
        remedies = dict.fromkeys(error.remedy for error in problems if error.remedy)
        raise DataError.of([error.problem for error in problems], "; ".join(remedies))


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
