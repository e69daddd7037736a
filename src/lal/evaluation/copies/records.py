"""reports/copies.json: what is copied, for those who show it and measure nothing themselves."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from lal.errors import DataError
from lal.files import read_json, write_json
from lal.records import Many, Record

AT_LEAST = (12, 20, 30, 50, 80)
"""Lengths, in characters, from which a span counts: two or three words, half a verse, a verse, more, two verses."""


REMEDY = "run `dvc repro evaluate`"


class Group(Record):
    """Texts of one kind, and how much of them is copied."""

    name: str
    by: str
    """Who wrote them: `model` or `people`."""
    body: str
    """What they are compared with, see `Copies.bodies`."""
    num_texts: int
    num_characters: int
    shares: dict[str, float]
    """By span length: the share of characters that lie in a span of at least that length."""
    median_longest: float
    """Characters, the median over the texts; a text without a span counts as 0."""
    longest: int


class Copied(Record):
    """The longest verbatim span of one answer."""

    item_id: str
    num_characters: int
    text: str
    """The span; empty if the answer shares none with the training text."""
    start: int
    """Where it begins in the answer."""
    place: str
    """Where it stands: the id of a conversation, or id and line of a document."""


class Likelihood(Record):
    """Bits per byte of the base model on as many windows of text it was trained on as of text it was not."""

    num_windows: int
    training: float
    held_out: float


class Copies(Record):
    """What reports/copies.json holds."""

    bodies: dict[str, Annotated[int, Field(ge=0)]]
    """Characters of what was learned from, by name."""
    groups: Many[Group]
    answers: Many[Copied]
    likelihood: Likelihood | None
    """None for a held-out text shorter than a window."""


def write_copies(path: Path, copies: Copies) -> None:
    """Writes reports/copies.json."""
    write_json(path, copies.model_dump(mode="json"))


def read_copies(path: Path) -> Copies:
    """Reads reports/copies.json.

    Raises:
        DataError: The file is missing or of another form.
    """
    try:
        return Copies.model_validate(read_json(path))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise DataError(f"{path}: not a file of copies: {where}: {first['msg']}", REMEDY) from error
