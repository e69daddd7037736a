"""What comes back from the shipped model's use: requests with their answers, and what people say of them.

The server writes these rows to data/live, one a line as JSON; the monitor and `lal triage` read them. No request
leaves the computer, and what a person would not want kept is taken out before a row is written.
"""

from typing import Annotated, Literal

from pydantic import Field

from lal.records import Id, Many, Message, Record

REQUESTS = "requests.jsonl"
"""File in data/live; older ones lie beside it as requests-<time>.jsonl."""

FEEDBACK = "feedback.jsonl"

LIVE_SOURCE = "live/"
"""Begins the source of a training row that came out of feedback; the id of that follows."""

Share = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]


class Request(Record):
    """One answered request."""

    id: Id
    """As the answer carried it, such as `chatcmpl-3f2a...`: feedback names it."""
    time: str
    """When it arrived: UTC, ISO 8601."""
    model: str
    """Which model answered: the bundle's digest, the first twelve letters of the SHA-256 of its manifest."""
    messages: Many[Message]
    """The conversation; empty where a text was to be continued."""
    text: str = ""
    """The text that was to be continued; empty where there was a conversation."""
    answer: str
    finish_reason: Literal["stop", "length", "cancelled", "error"]
    prompt_tokens: Annotated[int, Field(ge=0)]
    answer_tokens: Annotated[int, Field(ge=0)]
    first_token_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None
    """From arrival to the first piece of the answer; None if none came."""
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    mean_log_probability: Annotated[float, Field(le=0, allow_inf_nan=False)] | None
    """Nats a token of the answer by the model itself; None where the backend does not tell."""
    tags: dict[str, str]
    """What the client said of the request, and `page` or `api`."""
    redactions: Annotated[int, Field(ge=0)]
    """Pieces that were taken out before writing."""
    kept_because: Literal["share", "low confidence", "flagged"]
    kept_share: Share
    """Chance with which a request like this is written: 1 for what is always kept. Statistics of the traffic weigh a
    row by its inverse."""

    @property
    def prompt(self) -> str:
        """What was asked: the last user message, or the text to continue."""
        asked = [message.content for message in self.messages if message.role == "user"]
        return asked[-1] if asked else self.text


class Feedback(Record):
    """What a person said of an answer."""

    id: Id
    time: str
    """UTC, ISO 8601."""
    request: Id
    """Of the request that was answered; its row is always written."""
    rating: Literal["up", "down"] | None
    correction: str
    """The answer as it should have been; empty if the person gave none."""
    comment: str
    redactions: Annotated[int, Field(ge=0)]
