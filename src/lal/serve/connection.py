"""Connections that cannot be held open for nothing: uvicorn's protocol with the limits it does not have.

uvicorn waits for ever for the head or the body of a request, and for a client to read what it was sent; and its own
limit on connections refuses the newcomer, so that a few hundred slow clients lock everybody out.
"""

import asyncio
import itertools
import json
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from lal.serve.limits import MAX_CONNECTIONS, RECEIVE_SECONDS, SEND_SECONDS
from lal.serve.metrics import Metrics
from lal.serve.refusals import error_body


class Connection(H11Protocol):
    """One client's connection.

    A request has `RECEIVE_SECONDS` to arrive whole, from the first moment of a new connection, or from its first byte
    on one that is kept; what is sent has `SEND_SECONDS` to be taken.
    """

    metrics: Metrics
    """Of the server; set on a class of its own by `connection_class`."""

    transport: asyncio.Transport
    _arrival: "asyncio.TimerHandle | None" = None
    _departure: "asyncio.TimerHandle | None" = None
    _number: int = 0
    _numbers = itertools.count()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begins to wait for a request; makes room if there are too many of them."""
        super().connection_made(transport)
        self._number = next(self._numbers)
        self._arrival = self.loop.call_later(RECEIVE_SECONDS, self._give_up, "slow request")
        if len(self.connections) > MAX_CONNECTIONS:
            self._make_room()

    def data_received(self, data: bytes) -> None:
        """Takes a part of a request."""
        if self._arrival is None and not self._is_answering():
            self._arrival = self.loop.call_later(RECEIVE_SECONDS, self._give_up, "slow request")
        super().data_received(data)
        if self._is_answering():
            self._has_arrived()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forgets the timers."""
        self._has_arrived()
        self.resume_writing()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The client does not take what it is sent."""
        super().pause_writing()
        self._departure = self.loop.call_later(SEND_SECONDS, self._give_up, "slow reader")

    def resume_writing(self) -> None:
        """It does again."""
        super().resume_writing()
        if self._departure is not None:
            self._departure.cancel()
            self._departure = None

    def on_response_complete(self) -> None:
        """Is ready for the next request; whether the rest of the last one has come or not, it has its time."""
        super().on_response_complete()
        if self._is_answering():  # One that was sent along with the last.
            self._has_arrived()

    def _is_answering(self) -> bool:
        """Whether a request has come whole, and is not yet answered."""
        return self.cycle is not None and not self.cycle.more_body and not self.cycle.response_complete

    def _has_arrived(self) -> None:
        if self._arrival is not None:
            self._arrival.cancel()
            self._arrival = None

    def _make_room(self) -> None:
        """Closes the oldest connection that is still sending; if all are being answered, this one."""
        sending = [other for other in self.connections if isinstance(other, Connection) and not other._is_answering()]
        oldest = min(sending, key=lambda other: other._number)
        if oldest is not self:
            oldest._give_up("too many")
            return
        content = json.dumps(error_body(503, "too many connections", "too_many_connections")).encode()
        self.transport.write(
            b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 1\r\n"
            b"Connection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(content), content)
        )
        self.connections.discard(self)
        self.metrics.closed.labels("too many").inc()
        self._has_arrived()
        self.transport.close()

    def _give_up(self, reason: str) -> None:
        if not self.transport.is_closing():
            self.metrics.closed.labels(reason).inc()
        self.connections.discard(self)
        self.transport.abort()


def connection_class(metrics: Metrics) -> Any:
    """The class of one server's connections, which count into its metrics."""
    return type("CountedConnection", (Connection,), {"metrics": metrics})
