"""An endpoint that speaks OpenAI's chat protocol: llama.cpp's server, vLLM, Ollama, or a provider's.

One POST to /v1/chat/completions a question, temperature 0. A server that is busy (429, 503) is asked again when it
says, a few times; redirects are refused, since they would carry the key to another address.
"""

import email.utils
import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from lal.errors import ModelError
from lal.evaluation.solvers.gguf import AskError, Said

TIMEOUT_SECONDS = 120.0
"""For one answer: a large model on a processor takes its time."""

MOST_TRIES = 5
MOST_WAIT_SECONDS = 60.0
"""A server that says to come back later than that is told so as an error."""

MOST_REPLY_BYTES = 4 * 2**20

_BUSY = (429, 503)
_HOPELESS = (401, 403, 404, 405)
"""Answers that the next question would get as well: a wrong key, address or model."""


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


@dataclass(frozen=True)
class Endpoint:
    """Where and whom to ask.

    Attributes:
        address: Of the API, with or without /v1.
        model: Which of its models.
        max_new_tokens: Longest answer, in tokens.
        key: Sent as bearer token; None for none.
        more: Further fields of each question, such as `store`.
        timeout_seconds: For one answer.
        sleep: Waits some seconds.
    """

    address: str
    model: str
    max_new_tokens: int
    key: str | None = None
    more: Mapping[str, object] = field(default_factory=dict)
    timeout_seconds: float = TIMEOUT_SECONDS
    sleep: Callable[[float], None] = time.sleep

    @property
    def url(self) -> str:
        """What is posted to.

        Example:
            >>> Endpoint("http://localhost:8080", "any", 8).url
            'http://localhost:8080/v1/chat/completions'
        """
        base = self.address.rstrip("/")
        return f"{base}/chat/completions" if base.endswith("/v1") else f"{base}/v1/chat/completions"

    def chat(self, messages: Sequence[Mapping[str, str]]) -> Said:
        """One answer.

        Raises:
            AskError: This question has none: it timed out, the server failed, or what came is no answer.
            ModelError: No question will have one: the endpoint cannot be reached, or refuses the key or the model.
        """
        body = {"model": self.model, "messages": list(messages), "max_tokens": self.max_new_tokens, "temperature": 0}
        for number in range(MOST_TRIES):
            try:
                return _parse(self._post(json.dumps({**body, **self.more}).encode()))
            except urllib.error.HTTPError as error:
                with error:
                    self._give_up_or_wait(error, number)
            except (TimeoutError, http.client.HTTPException, ConnectionResetError) as error:
                raise AskError(f"{self.url}: {type(error).__name__}: {error}") from error
            except urllib.error.URLError as error:
                if isinstance(error.reason, TimeoutError):
                    raise AskError(f"{self.url}: timed out") from error
                raise ModelError(
                    f"{self.url}: cannot be reached: {error.reason}", "start the server, or mend evaluate.references"
                ) from error
        raise AskError(f"{self.url}: still busy after {MOST_TRIES} tries")

    def _post(self, body: bytes) -> bytes:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self.key is not None:
            headers["Authorization"] = f"Bearer {self.key}"
        request = urllib.request.Request(self.url, data=body, headers=headers)  # noqa: S310 - params allow http(s) only
        opener = urllib.request.build_opener(_NoRedirects)
        with opener.open(request, timeout=self.timeout_seconds) as reply:
            content: bytes = reply.read(MOST_REPLY_BYTES + 1)
        if len(content) > MOST_REPLY_BYTES:
            raise AskError(f"{self.url}: the reply has more than {MOST_REPLY_BYTES:,} bytes")
        return content

    def _give_up_or_wait(self, error: urllib.error.HTTPError, number: int) -> None:
        said = error.read(500).decode("utf-8", "replace").strip()
        told = f"{self.url}: {error.code} {error.reason}: {said}"
        if error.code in _HOPELESS or 300 <= error.code < 400:
            raise ModelError(told, "mend address, model or key in evaluate.references") from error
        if error.code not in _BUSY:
            raise AskError(told) from error
        wait = retry_after(error.headers.get("Retry-After"), datetime.now(UTC))
        wait = 2.0**number if wait is None else wait
        if wait > MOST_WAIT_SECONDS:
            raise ModelError(f"{told} (asks to wait {wait:.0f} s)", "run again when the endpoint has room") from error
        if number + 1 < MOST_TRIES:
            self.sleep(wait)


def retry_after(header: str | None, now: datetime) -> float | None:
    """Seconds that a Retry-After header asks to wait: a count, or a date; None if it says nothing that is either.

    Example:
        >>> retry_after("3", datetime.now(UTC))
        3.0
    """
    if header is None:
        return None
    if header.strip().isdigit():
        return float(header)
    try:
        then = email.utils.parsedate_to_datetime(header)
    except ValueError:
        return None
    return max(0.0, (then.replace(tzinfo=then.tzinfo or UTC) - now).total_seconds())


def _parse(content: bytes) -> Said:
    try:
        reply = json.loads(content)
        choice = reply["choices"][0]
        text, reason = choice["message"]["content"], choice.get("finish_reason")
        num_tokens = (reply.get("usage") or {}).get("completion_tokens")
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise AskError(f"the reply is not a chat completion: {content[:100]!r}") from error
    if not isinstance(text, str) or reason not in ("stop", "length"):
        raise AskError(f"no answer in the reply: finish_reason {reason!r}")
    return Said(text, "stop" if reason == "stop" else "length", num_tokens if isinstance(num_tokens, int) else 0)
