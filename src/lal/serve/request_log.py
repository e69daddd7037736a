"""Which answered requests are kept, and how they reach the disk without keeping anybody waiting.

Kept are: all answers of low confidence, all that somebody gave feedback on, and a share of the rest. Each row says with
which chance a request like it is written, so that statistics can weigh it. Personal data are taken out before.
"""

import collections
import logging
import queue
import random
import secrets
import threading
from collections.abc import Callable
from concurrent.futures import Future
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from lal.live import FEEDBACK, REQUESTS, Feedback, Request
from lal.records import Message
from lal.serve.log_files import Appender
from lal.serve.metrics import Metrics
from lal.serve.redaction import redact

_log = logging.getLogger(__name__)

REMEMBERED = 1000
"""Answered requests that can still get feedback; also those whose confidence is known."""

LOW_SHARE = 0.1
"""The least confident answers that count as of low confidence, as a share of those remembered."""

LEAST_SEEN = 50
"""Answers before that can be said."""

MAX_QUEUED = 1000
"""Rows that wait for the disk; more are dropped and counted: an answer never waits for its row."""

FEEDBACK_SECONDS = 5.0
"""For feedback to reach the disk; it is answered only then."""

Why = Literal["share", "low confidence", "flagged"]
Rating = Literal["up", "down"] | None


class UnknownRequestError(Exception):
    """No such request is remembered."""


class UnwrittenError(Exception):
    """A row could not be written."""


class _Entry:
    """A request that may still get feedback, as it came: what is personal is taken out on its way to the disk."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.is_written = False
        """Known to the thread that writes, alone."""


class Confidence:
    """Knows which answers are of low confidence, among those before: the mean log-probability of their tokens tells.

    A threshold that holds for every model there is none, so it is a quantile of the last `REMEMBERED` answers.
    """

    def __init__(self) -> None:
        self._seen: collections.deque[float] = collections.deque(maxlen=REMEMBERED)

    def is_low(self, mean_log_probability: float | None) -> bool:
        """Whether an answer is among the least confident; it then is one of those before."""
        if mean_log_probability is None:
            return False
        ranked = sorted(self._seen)
        self._seen.append(mean_log_probability)
        return len(ranked) >= LEAST_SEEN and mean_log_probability < ranked[int(LOW_SHARE * len(ranked))]


class RequestLog:
    """The rows of one server.

    Args:
        folder: Where they are written, such as data/live.
        share: Chance of a request that nothing speaks for, 0 to 1.
        metrics: Counts what becomes of each row.
        draw: Uniform numbers from 0 to 1.

    Raises:
        DataError: The folder cannot be written, or another server writes there.
    """

    def __init__(self, folder: Path, share: float, metrics: Metrics, draw: Callable[[], float] = random.random) -> None:
        self._share, self._metrics, self._draw = share, metrics, draw
        self._requests = Appender(folder / REQUESTS, rotates=True)
        self._feedback = Appender(folder / FEEDBACK, rotates=False)
        self._confidence = Confidence()
        self._remembered: collections.OrderedDict[str, _Entry] = collections.OrderedDict()
        self._queue: queue.Queue[Callable[[], None] | None] = queue.Queue(MAX_QUEUED)
        self._has_complained = False
        self._thread = threading.Thread(target=self._write_all, name="lal-log", daemon=True)
        self._thread.start()

    def add(self, request: Request) -> None:
        """Takes an answered request; `kept_because` and `kept_share` are filled in here."""
        why: Why = "low confidence" if self._confidence.is_low(request.mean_log_probability) else "share"
        chance = 1.0 if why == "low confidence" else self._share
        entry = _Entry(request)
        self._remembered[request.id] = entry
        if len(self._remembered) > REMEMBERED:
            self._remembered.popitem(last=False)
        if chance > 0 and self._draw() < chance:
            self._put(lambda: self._write_request(entry, why, chance))

    def flag(self, request_id: str, rating: Rating, correction: str, comment: str) -> "Future[str]":
        """Takes what a person said of an answer; its request is written with it, if it was not.

        Returns:
            The id of the feedback, once it is on the disk; else what kept it from there.

        Raises:
            UnknownRequestError: The request is not among the last ones.
            UnwrittenError: Too much waits for the disk.
        """
        entry = self._remembered.get(request_id)
        if entry is None:
            raise UnknownRequestError
        done: Future[str] = Future()

        def write() -> None:
            try:
                if not entry.is_written:
                    self._write_request(entry, "flagged", 1.0)
                done.set_result(self._write_feedback(request_id, rating, correction, comment))
            except Exception as error:
                done.set_exception(UnwrittenError(str(error)))
                raise

        if not self._put(write):
            raise UnwrittenError
        return done

    def close(self) -> None:
        """Writes what waits, and ends."""
        self._queue.put(None)
        self._thread.join()
        self._requests.close()
        self._feedback.close()

    def _put(self, write: Callable[[], None]) -> bool:
        try:
            self._queue.put_nowait(write)
        except queue.Full:
            self._metrics.log_rows.labels("dropped").inc()
            return False
        return True

    def _write_all(self) -> None:
        while (write := self._queue.get()) is not None:
            try:
                write()
            except Exception as error:  # A full disk, most likely; whatever it is, answers go on.
                self._metrics.log_rows.labels("failed").inc()
                if not self._has_complained:
                    _log.warning("the request log cannot be written (this is said once): %s", error)
                self._has_complained = True

    def _write_request(self, entry: "_Entry", why: Why, chance: float) -> None:
        row = redacted(entry.request.model_copy(update={"kept_because": why, "kept_share": chance}))
        self._requests.append(row.model_dump_json())
        entry.is_written = True
        self._metrics.log_rows.labels("written").inc()

    def _write_feedback(self, request_id: str, rating: Rating, correction: str, comment: str) -> str:
        pieces = [redact(correction.strip()), redact(comment.strip())]
        feedback = Feedback(
            id=f"feedback-{secrets.token_hex(12)}",
            time=utc(datetime.now(UTC).timestamp()),
            request=request_id,
            rating=rating,
            correction=pieces[0].text,
            comment=pieces[1].text,
            redactions=sum(piece.count for piece in pieces),
        )
        self._feedback.append(feedback.model_dump_json(), is_precious=True)
        self._metrics.feedback.labels(rating or "none").inc()
        return feedback.id


def redacted(request: Request) -> Request:
    """The request without what is personal."""
    contents = [redact(message.content) for message in request.messages]
    text, answer = redact(request.text), redact(request.answer)
    tags = {redact(name).text: redact(value) for name, value in request.tags.items()}
    count = sum(piece.count for piece in (*contents, text, answer, *tags.values()))
    return request.model_copy(
        update={
            "messages": tuple(
                Message(role=message.role, content=content.text)
                for message, content in zip(request.messages, contents, strict=True)
            ),
            "text": text.text,
            "answer": answer.text,
            "tags": {name: value.text for name, value in tags.items()},
            "redactions": count,
        }
    )


def utc(seconds: float) -> str:
    """A moment as ISO 8601 in UTC.

    Example:
        >>> utc(0)
        '1970-01-01T00:00:00.000Z'
    """
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
