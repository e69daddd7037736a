"""What the server asks of an engine, and how an engine answers: jobs, and the line in which they wait."""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from lal.model.sampling import Sampling
from lal.serve.writing import Passage, Token, Writer

End = Literal["stop", "length", "cancelled", "timeout", "error"]
"""stop: the model ended, or a stop string came. length: the limit came first. cancelled: the client has gone.
timeout: it took too long. error: the engine failed."""


class BusyError(Exception):
    """The line is full: the client may come back."""


class ClosedError(Exception):
    """The engine takes no more jobs: another model has taken its place, or the server ends."""


@dataclass(frozen=True)
class Update:
    """News of a job.

    Attributes:
        passage: Text that has become certain, with its tokens; may be empty.
        end: Why nothing more comes; None if there is more.
    """

    passage: Passage
    end: End | None


class Job:
    """A prompt to be continued.

    Args:
        prompt: Its ids, at least one.
        sampling: How to draw.
        max_new_tokens: Longest answer; at least 1, and no more than the context has room for.
        seed: Start of the draws.
        stops: Strings that end the answer.
        num_candidates: Alternatives to tell of each token.
        deadline: When it must have ended, by `time.monotonic`.
        deliver: Takes news, in the engine's thread: it must be quick, and must not raise.

    Attributes:
        num_tokens: Tokens written so far, those of a stop string included.
        sum_log_probabilities: Of these tokens, nats.
        end: Why it ended; None before.
    """

    def __init__(
        self,
        prompt: Sequence[int],
        sampling: Sampling,
        max_new_tokens: int,
        seed: int,
        stops: Sequence[str],
        num_candidates: int,
        deadline: float,
        deliver: Callable[[Update], None],
    ) -> None:
        assert prompt
        assert max_new_tokens >= 1, max_new_tokens
        self.prompt, self.sampling, self.max_new_tokens, self.seed = list(prompt), sampling, max_new_tokens, seed
        self.num_candidates, self.deadline = num_candidates, deadline
        self.num_tokens, self.sum_log_probabilities = 0, 0.0
        self.end: End | None = None
        self._deliver = deliver
        self._writer = Writer(stops)
        self._cancelled = False

    def cancel(self) -> None:
        """Says that nobody waits any more; any thread may. The engine frees the row at its next step."""
        self._cancelled = True

    def push(self, token: Token) -> bool:
        """Takes a token of the engine; returns whether it wants more."""
        self.num_tokens += 1
        self.sum_log_probabilities += token.log_probability
        passage = self._writer.push(token)
        if self._writer.stopped:
            self._close(passage, "stop")
        elif self.num_tokens == self.max_new_tokens:
            rest = self._writer.finish()
            self._close(Passage(passage.text + rest.text, passage.tokens + rest.tokens), "length")
        elif passage.text or passage.tokens:
            self._deliver(Update(passage, None))
        return self.end is None

    def finish(self, end: End) -> None:
        """Ends it."""
        self._close(self._writer.finish(), end)

    def is_given_up(self, now: float) -> bool:
        """Ends it if its client has gone or its time is over, and says whether it has ended."""
        if self.end is None and self._cancelled:
            self.finish("cancelled")
        elif self.end is None and now > self.deadline:
            self.finish("timeout")
        return self.end is not None

    def _close(self, passage: Passage, end: End) -> None:
        assert self.end is None, self.end
        self.end = end
        self._deliver(Update(passage, end))


class Engine(Protocol):
    """Continues prompts, many at a time."""

    @property
    def num_running(self) -> int:
        """Jobs being written."""

    @property
    def num_waiting(self) -> int:
        """Jobs in line."""

    @property
    def is_full(self) -> bool:
        """Whether the line takes no more for now."""

    def submit(self, job: Job) -> None:
        """Puts a job in line. Raises: BusyError: the line is full. ClosedError: it takes no more."""

    def close(self) -> None:
        """Takes no more jobs, ends those it has, and returns when that is done."""


class Line:
    """Jobs that wait for a row, first come, first served; any thread may use it.

    Args:
        most: Jobs that may wait.
    """

    def __init__(self, most: int) -> None:
        self._most, self._jobs, self._is_closed = most, deque[Job](), False
        self._changed = threading.Condition()

    def __len__(self) -> int:
        return len(self._jobs)

    def put(self, job: Job) -> None:
        """Puts a job at the end. Raises: BusyError: there is no room. ClosedError: the line is closed."""
        with self._changed:
            if self._is_closed:
                raise ClosedError
            if self._has_no_room():
                raise BusyError
            self._jobs.append(job)
            self._changed.notify()

    @property
    def is_full(self) -> bool:
        """Whether there is no room."""
        with self._changed:
            return self._has_no_room()

    def wait(self) -> bool:
        """Returns when there is a job, or none will come any more; says which."""
        with self._changed:
            self._changed.wait_for(lambda: self._jobs or self._is_closed)
            return bool(self._jobs)

    def take(self, most: int, most_tokens: int) -> list[Job]:
        """Takes jobs from the front, none if there are none, dropping those that are given up.

        Args:
            most: Jobs to take.
            most_tokens: Size of the jobs side by side, the longest prompt times their number; one job always fits.
        """
        taken: list[Job] = []
        longest = 0
        with self._changed:
            self._drop_given_up()
            while self._jobs and len(taken) < most:
                longest = max(longest, len(self._jobs[0].prompt))
                if taken and longest * (len(taken) + 1) > most_tokens:
                    break
                taken.append(self._jobs.popleft())
        return taken

    def take_one(self) -> Job | None:
        """Waits for a job; None when none will come any more."""
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._jobs or self._is_closed)
                if not self._jobs:
                    return None
                job = self._jobs.popleft()
                if not job.is_given_up(time.monotonic()):
                    return job

    def close(self) -> None:
        """Lets no more jobs in."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def _has_no_room(self) -> bool:
        if len(self._jobs) >= self._most:
            self._drop_given_up()
        return len(self._jobs) >= self._most

    def _drop_given_up(self) -> None:
        now = time.monotonic()
        if any(job.is_given_up(now) for job in self._jobs):
            self._jobs = deque(job for job in self._jobs if job.end is None)
