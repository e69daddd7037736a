"""What stands before every request: who may ask, by which name, how much, and what browsers may do with the answer."""

import hmac
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.exceptions import HTTPException

from lal.serve.limits import MAX_BODY_BYTES
from lal.serve.metrics import Metrics
from lal.serve.refusals import busy, error_body

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_OPEN = ("/", "/health")
"""Addresses that need no key: they tell nothing that was said."""

ANSWERS = ("/v1/chat/completions", "/v1/completions")
"""Addresses whose requests wait in line."""

_LOOPBACK_NAMES = (b"127.0.0.1", b"localhost", b"[::1]")

_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)


class Guard:
    """An ASGI application around another one.

    Args:
        app: What answers those who may come in.
        metrics: Counts each request.
        key: What clients must send as bearer token; None: anybody may ask.
        is_loopback: Whether only this computer can ask: then a request by another host's name is one that a browser
            was tricked into (DNS rebinding), and is refused.
        is_full: Whether nobody can get in line: then a request is told so before it is read, which costs a fraction.
    """

    def __init__(
        self, app: App, metrics: Metrics, key: str | None, is_loopback: bool, is_full: Callable[[], bool]
    ) -> None:
        self._is_full = is_full
        self._app, self._metrics, self._is_loopback = app, metrics, is_loopback
        self._key = None if key is None else key.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers, or lets the application answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _Answer(send, scope, self._metrics)
        if refusal := self._refusal(scope):
            await answer.refuse(*refusal)
            return
        if scope["path"] in ANSWERS and self._is_full():
            await answer.turn_away()
            return
        await self._app(scope, _limited(receive), answer.send)

    def _refusal(self, scope: Scope) -> tuple[int, str, str] | None:
        headers = dict(scope["headers"])
        if self._is_loopback and _host_name(headers.get(b"host", b"")) not in _LOOPBACK_NAMES:
            return 403, "This server answers to localhost only: the Host header names another one", "wrong_host"
        if self._key is not None and scope["path"] not in _OPEN:
            given = headers.get(b"authorization", b"")
            if not hmac.compare_digest(given, b"Bearer " + self._key):
                return 401, "Incorrect API key provided: send it as 'Authorization: Bearer ...'", "invalid_api_key"
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length[:20]) > MAX_BODY_BYTES:
            return _too_large()
        return None


class _Answer:
    """What goes back to a client: with headers for browsers, and counted."""

    def __init__(self, send: Send, scope: Scope, metrics: Metrics) -> None:
        self._send, self._scope, self._metrics = send, scope, metrics

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """Sends a part of it."""
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", []), *_HEADERS]
            path = self._scope["path"]
            if path not in ANSWERS:
                path = getattr(self._scope.get("route"), "path", None) or "other"
            self._metrics.requests.labels(path, str(message["status"])).inc()
        await self._send(message)

    async def refuse(self, status: int, message: str, code: str) -> None:
        """Sends an error."""
        headers = [(b"www-authenticate", b"Bearer")] if status == 401 else []
        await self._refuse(status, error_body(status, message, code), headers)

    async def turn_away(self) -> None:
        """Says that the line is full."""
        refusal = busy()
        headers = [(name.lower().encode(), value.encode()) for name, value in refusal.headers.items()]
        await self._refuse(refusal.status, refusal.body, headers)

    async def _refuse(self, status: int, body: dict[str, Any], headers: list[tuple[bytes, bytes]]) -> None:
        content = json.dumps(body).encode()
        headers += [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": content})


def _limited(receive: Receive) -> Receive:
    """Takes in a request's body up to the limit."""
    seen = 0

    async def limited() -> MutableMapping[str, Any]:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > MAX_BODY_BYTES:
            raise HTTPException(*_too_large()[:2])
        return message

    return limited


def _too_large() -> tuple[int, str, str]:
    return 413, f"The body has more than {MAX_BODY_BYTES:,} bytes", "request_too_large"


def _host_name(host: bytes) -> bytes:
    """A Host header without its port.

    Example:
        >>> _host_name(b"localhost:8000"), _host_name(b"[::1]:8000"), _host_name(b"[::1]")
        (b'localhost', b'[::1]', b'[::1]')
    """
    name, separator, port = host.rpartition(b":")
    return (name if separator and port.isdigit() and not name.endswith(b":") else host).lower()
