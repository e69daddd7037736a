"""reports/failures.json: groups of failures, for those who show or mend them and need not find them."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from lal.errors import DataError
from lal.evaluation.failures.word_pairs import WordPair
from lal.evaluation.scores.results import Result
from lal.files import read_json, write_json
from lal.records import Id, Many, Record

Need = Literal["new data", "more of this reading", "more training", "more examples"]
"""What a group is for want of.

new data: training never shows what was needed. more of this reading: it shows it, and shows another more often.
more training: it shows it well enough, and it went wrong all the same. more examples: no word is at fault but an
answer.
"""


# Kinds of mistakes, as `FailureGroup.error` says them.
LEFT = "left as it was"
OVERDONE = "changed what was right"
MISFORMED = "wrong modern form"
MISREAD = "took one word for another"
SKIPPED = "word skipped"
ADDED = "word doubled or added"
MARKS = "punctuation or capitals"
STRAYED = "another text"
EMPTY = "empty answer"
CUT_OFF = "ran into the length limit"
UNSAID = "does not say what it must"
FORBIDDEN = "says what it must not"
WRONG = "wrong answer"


class Example(Record):
    """A failed item of a group."""

    item_id: Id
    source: str
    """What was asked; of a line to modernise only the line."""
    answer: str
    expected: str
    """The right wording that the answer comes nearest to; empty where answers are checked for what they contain."""
    explanation: str
    """Which checks failed."""


class NearRow(Record):
    """A training row near to a group, and how near (BM25; comparable within one query alone)."""

    id: Id
    prompt: str
    answer: str
    score: float


class FailureGroup(Record):
    """Failures that have slice, error and pattern in common."""

    id: str
    """`slice / error / pattern`, the last left out where there is none."""
    slice: str
    error: str
    pattern: str
    count: int
    """Failed items in it."""
    share: float
    """Of all failed items, 0 to 1."""
    items: Many[Id]
    examples: Many[Example]
    pairs: Many[WordPair]
    """The words at fault with their counts in training, those that training shows least first."""
    nearest: Many[NearRow]
    need: Need
    proposal: str
    """Which data to add, in words."""


class Failures(Record):
    """All groups of one solver's failures, the largest first, and what was evaluated."""

    solver: str
    results_sha256: str
    """Of the solver's rows; see `digest`."""
    training_sources: dict[str, str]
    """SHA-256 of each source of the training conversations, patches among them."""
    num_items: int
    num_failed: int
    groups: Many[FailureGroup]


def digest(own: Sequence[Result]) -> str:
    """SHA-256 of result rows as they are written, by which a file of failures is known to belong to them."""
    return hashlib.sha256("".join(row.model_dump_json() + "\n" for row in own).encode()).hexdigest()


def write_failures(path: Path, failures: Failures) -> None:
    """Writes reports/failures.json."""
    write_json(path, failures.model_dump(mode="json"))


def read_failures(path: Path) -> Failures:
    """Reads it back.

    Raises:
        DataError: The file is missing, or not what `write_failures` writes.
    """
    remedy = "run `dvc repro evaluate` to make it"
    if not path.is_file():
        raise DataError(f"{path}: no such file", remedy)
    try:
        return Failures.model_validate(read_json(path))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise DataError(f"{path}: {where}: {first['msg']}", remedy) from error
