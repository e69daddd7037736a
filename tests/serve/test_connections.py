"""Slow, silent and vanishing clients cost the others nothing."""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lal.serve import connection
from lal.serve.process import Options, running
from tests.serve.conftest import Client

HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


@pytest.fixture
def strict(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """A server whose patience a test can outlast."""
    monkeypatch.setattr(connection, "RECEIVE_SECONDS", 0.5)
    monkeypatch.setattr(connection, "MAX_CONNECTIONS", 20)
    with running(Options(lambda: folder)) as address:
        yield Client(address)


def is_closed(slow: socket.socket, seconds: float) -> bool:
    """Whether the server closes a connection within so many seconds."""
    slow.settimeout(seconds)
    try:
        while True:
            if slow.recv(1000) == b"":
                return True
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False


@pytest.mark.parametrize("sent", [b"", b"GET / HT", HEAD, HEAD + b"Content-Length: 100\r\n\r\n", HEAD + b"\r\n{}"[:0]])
def test_a_request_that_does_not_arrive_is_closed(strict: Client, sent: bytes) -> None:
    with socket.create_connection(strict.place) as slow:
        slow.sendall(sent)
        assert is_closed(slow, 5)
    assert strict.number("lal_connections_closed_total") >= 1


def test_dripping_bytes_do_not_buy_time(strict: Client) -> None:
    with socket.create_connection(strict.place) as slow:
        started = time.monotonic()
        slow.sendall(HEAD + b"Content-Length: 1000\r\n\r\n")
        with contextlib.suppress(OSError):
            while time.monotonic() - started < 5:
                slow.sendall(b" ")
                time.sleep(0.05)
        assert time.monotonic() - started < 4


def test_a_slow_second_request_on_a_kept_connection_is_closed_too(strict: Client) -> None:
    with socket.create_connection(strict.place) as slow:
        slow.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert slow.recv(1000).startswith(b"HTTP/1.1 200")
        slow.sendall(b"GET /health HTTP/1.1\r\nHo")
        assert is_closed(slow, 5)


def test_a_few_hundred_slow_clients_do_not_lock_others_out(strict: Client) -> None:
    with contextlib.ExitStack() as stack:
        for number in range(120):
            slow = stack.enter_context(socket.create_connection(strict.place))
            slow.sendall(HEAD if number % 2 else b"GET")
            if number % 10 == 0:
                started = time.monotonic()
                assert strict.chat("giue", max_tokens=2).status == 200
                assert time.monotonic() - started < 2
    assert strict.number('lal_connections_closed_total{reason="too many"}') >= 80


def test_a_client_that_goes_away_frees_its_row_streaming_or_not(client: Client) -> None:
    for is_streamed in (True, False):
        before = client.number('lal_answers_total{end="cancelled"}')
        fields = {"max_tokens": 96, "temperature": 2, "stream": is_streamed, "seed": 1}
        body = json.dumps({"model": "lal", "prompt": "giue", **fields}).encode()
        head = HEAD.replace(b"chat/completions", b"completions") + b"Content-Length: %d\r\n\r\n" % len(body)
        for _ in range(20):  # One that ends before its client is found gone proves nothing.
            with socket.create_connection(client.place) as leaving:
                leaving.sendall(head + body)
                if is_streamed:
                    leaving.recv(10)
        deadline = time.monotonic() + 5
        while client.number("lal_running") or client.number("lal_waiting"):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert client.number('lal_answers_total{end="cancelled"}') > before


def test_more_than_can_wait_are_told_to_come_back_at_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lal.serve.engine.TorchEngine.__init__.__defaults__", (1, 3))
    with running(Options(lambda: folder)) as address:
        client = Client(address)
        replies: list[tuple[int, float, dict[str, str]]] = []

        def ask() -> None:
            started = time.monotonic()
            reply = client.chat("giue", max_tokens=96, temperature=2)
            replies.append((reply.status, time.monotonic() - started, reply.headers))

        threads = [threading.Thread(target=ask) for _ in range(30)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        refused = [(seconds, headers) for status, seconds, headers in replies if status == 429]
        assert {status for status, _, _ in replies} == {200, 429}
        assert all(headers["retry-after"] == "1" for _, headers in refused)
        assert client.chat("giue", max_tokens=2).status == 200


def test_a_request_whose_time_is_over_gets_a_503_and_a_stream_an_error(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lal.serve.answering.REQUEST_SECONDS", 0.0)
    with running(Options(lambda: folder)) as address:
        client = Client(address)
        reply = client.chat("giue", max_tokens=90, temperature=2)
        assert (reply.status, reply.error["code"]) == (503, "timeout")
        events = client.chat("giue", max_tokens=90, temperature=2, stream=True).events
        assert events[-1]["error"]["code"] == "timeout"
