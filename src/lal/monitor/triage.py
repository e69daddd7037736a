"""What people said of answers, and where each word of it went: to the gold set or to training, never to both."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from lal.data.overlap import skeleton
from lal.data.patches import PatchRow
from lal.errors import DataError
from lal.evaluation.failures.proposal import Leak, find_leaks
from lal.files import write_jsonl
from lal.gold_items import GoldItem
from lal.live import FEEDBACK, LIVE_SOURCE, REQUESTS, Feedback, Request
from lal.records import MODERNISE_TASK, Id, Message, Record, line_to_modernise, read_records

GROUP = "feedback"
"""What the ledger of patches says these rows are for."""


class Decision(Record):
    """Where a piece of feedback went; it holds none of its text."""

    id: Id
    """Of the feedback."""
    request: Id
    model: str
    """Which model had answered."""
    time: str
    to: Literal["gold", "training", "nowhere"]
    row: str
    """Of the gold item's file and line or of the training row; empty for `nowhere`."""


@dataclass(frozen=True)
class Waiting:
    """Feedback that nobody has decided on, with the request it is about."""

    feedback: Feedback
    request: Request

    @property
    def right_answer(self) -> str:
        """What the person says is right; empty where it is only said that the answer is wrong."""
        return self.feedback.correction or (self.request.answer if self.feedback.rating == "up" else "")


def waiting(live: Path, decisions: Sequence[Decision]) -> list[Waiting]:
    """The feedback in data/live to be decided on, oldest first; the last word on a request is the one that counts.

    Raises:
        DataError: A row is damaged.
    """
    if not (live / FEEDBACK).is_file():
        return []
    files = sorted(live.glob(f"{Path(REQUESTS).stem}*.jsonl"))
    requests = {row.id: row for path in files for row in read_records(path, Request)}
    decided = {decision.request for decision in decisions}
    last = {row.request: row for row in read_records(live / FEEDBACK, Feedback)}
    return [
        Waiting(row, requests[row.request])
        for row in sorted(last.values(), key=lambda row: row.time)
        if row.request in requests and row.request not in decided
    ]


def training_row(found: Waiting, answer: str, name: str, licence: str) -> PatchRow:
    """The conversation with its right answer, as a row of a data patch.

    Raises:
        DataError: It makes no conversation, as a text to be continued does not.
    """
    line = line_to_modernise(found.request.prompt)
    try:
        return PatchRow(
            id=name,
            messages=(*found.request.messages, Message(role="assistant", content=answer)),
            task="chat" if line is None else MODERNISE_TASK,
            source=f"{LIVE_SOURCE}{found.feedback.id}",
            licence=licence,
            split="train",
            group=GROUP,
            kind="skeleton",
            origin=found.request.id,
        )
    except ValidationError as error:
        message = f"{found.request.id}: makes no training row: {error.errors()[0]['msg']}"
        raise DataError(message, "drop it, or send it to gold") from error


def gold_text(found: Waiting, answer: str) -> GoldItem:
    """What an item of it would ask and expect, to be held against training rows before it is one.

    Raises:
        DataError: It is not a single question.
    """
    if len(found.request.messages) != 1:
        problem = f"{found.request.id}: not a single question, and `lal gold add` takes no other"
        raise DataError(problem, "write the item into gold/gold.jsonl by hand, or send it to training")
    return GoldItem(
        id="new", slice="new", messages=found.request.messages, scorer="exact", expected=answer, difficulty="medium",
        source=GROUP, split="dev", version=1,
    )  # fmt: skip


def find_likeness(rows: Sequence[PatchRow], items: Sequence[GoldItem]) -> Leak | None:
    """A training row and a gold item that are one example, in whatever spelling.

    Stricter than `find_leaks`, for which a short line in another spelling is common property: here a person chooses.
    """
    if leaks := find_leaks(rows, items):
        return leaks[0]
    asked = {skeleton(item.prompt): item for item in items}
    return next((Leak(row.id, item) for row in rows if (item := asked.get(skeleton(row.prompt)))), None)


def read_decisions(path: Path) -> list[Decision]:
    """All decisions so far. Raises: DataError: A row is damaged."""
    return read_records(path, Decision) if path.is_file() else []


def add_rows(path: Path, rows: Sequence[Record]) -> None:
    """Writes rows behind those of a file, whole or not at all. Raises: DataError: It cannot be read or written."""
    kind = type(rows[0])
    write_jsonl(path, [*(read_records(path, kind) if path.is_file() else []), *rows])
