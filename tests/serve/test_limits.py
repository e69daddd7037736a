"""What a careless or hostile client sends gets one clear answer, and never a 500."""

import json
import socket
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lal.serve import limits
from tests.serve.conftest import Client

CHAT = "/v1/chat/completions"
USER = [{"role": "user", "content": "giue"}]
WHOLE = {"model": "lal", "messages": USER, "max_tokens": 3}


@pytest.mark.parametrize(
    ("changed", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": "giue"}, "messages"),
        ({"messages": [{"role": "user", "content": ""}]}, "messages.0.content"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}, "messages"),
        ({"messages": [{"role": "user", "content": "\ud800"}]}, "messages"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": -5}, "max_tokens"),
        ({"max_tokens": "many"}, "max_tokens"),
        ({"temperature": -0.1}, "temperature"),
        ({"temperature": 2.1}, "temperature"),
        ({"top_p": 1.5}, "top_p"),
        ({"seed": 2**63}, "seed"),
        ({"seed": 10**400}, None),
        ({"stop": ["a"] * 5}, "stop"),
        ({"stop": [""]}, "stop.0"),
        ({"top_logprobs": 3}, None),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
        ({"n": 2}, None),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, None),
        ({"response_format": {"type": "json_object"}}, None),
        ({"max_token": 3}, None),
        ({"model": None}, "model"),
        ({"metadata": {"k": 1}}, "metadata.k"),
        ({"stream": "perhaps"}, "stream"),
    ],
)
def test_a_field_that_is_wrong_is_named(client: Client, changed: dict[str, Any], param: str | None) -> None:
    reply = client.post(CHAT, WHOLE | changed)
    assert reply.status == 400
    assert reply.error["type"] == "invalid_request_error"
    assert (reply.error["param"] or "").startswith(param or "")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"[]",
        b"null",
        b'"text"',
        b'{"model": "lal", "messages": [{"role": "user", "content": "x"}], "temperature": NaN}',
        b'{"model": "lal", "messages": [{"role": "user", "content": "x"}], "temperature": Infinity}',
        b'{"model": "lal", "messages": [{"role": "user", "content": "x"}], "temperature": 1e999}',
        b'{"model": "lal", "messages": [{"role": "user", "content": "x"}], "user": NaN}',
        b'{"model": "lal", "messages": [{"role": "user", "content": "x"}], "user": ' + b"9" * 5000 + b"}",
        b'{"model": "lal", "messages": [{"role": "user", "content": "caf\xe9"}]}',
        b"[" * 100_000,
        b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    ],
    ids=lambda body: repr(body[:20]),
)
def test_a_body_that_is_no_request_gets_a_400(client: Client, body: bytes) -> None:
    for path in (CHAT, "/v1/completions", "/v1/feedback"):
        reply = client.post(path, body)
        assert reply.status == 400
        assert reply.error["message"]


def test_fields_that_ask_for_nothing_and_those_that_change_nothing_are_taken(client: Client) -> None:
    neutral = {"n": 1, "tools": [], "frequency_penalty": 0, "logit_bias": {}, "response_format": {"type": "text"}}
    parts = [{"role": "developer", "content": "Be."}, {"role": "user", "content": [{"type": "text", "text": "giue"}]}]
    assert client.post(CHAT, WHOLE | neutral | {"user": "me", "seed": None, "messages": parts}).status == 200
    assert client.post(CHAT, WHOLE | {"top_p": 0, "temperature": 2, "max_tokens": 10**12}).status == 200


def test_another_content_type_is_not_read_so_that_no_page_can_post_without_asking(client: Client) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        assert client.post(CHAT, WHOLE, Content_Type=kind).status == 400
    reply = client.ask("OPTIONS", CHAT, Origin="http://evil.example", Access_Control_Request_Method="POST")
    assert reply.status == 405
    assert not [name for name in reply.headers if name.startswith("access-control")]


def test_an_answer_is_cut_to_the_room_there_is_and_a_prompt_without_room_is_refused(client: Client) -> None:
    usage = client.complete("giue", max_tokens=10**9, temperature=1.5, seed=1).json["usage"]
    assert usage["total_tokens"] <= 97  # The context and one: the last token need not be read.
    for text in ("giue vs " * 60, "x" * 500_000):
        started = time.monotonic()
        reply = client.complete(text)
        assert (reply.status, reply.error["code"]) == (400, "context_length_exceeded")
        assert time.monotonic() - started < 2
    assert client.chat("giue vs " * 60).error["code"] == "context_length_exceeded"


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_of_more_than_a_megabyte_is_refused_whether_it_says_so_or_not(client: Client, chunked: bool) -> None:
    piece = b"x" * 2**16
    with socket.create_connection(client.place, timeout=10) as connection:
        head = f"POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        if chunked:
            connection.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
            for _ in range(limits.MAX_BODY_BYTES // len(piece) + 1):
                connection.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
        else:
            connection.sendall(f"{head}Content-Length: {limits.MAX_BODY_BYTES + 1}\r\n\r\n".encode())
        assert connection.recv(200).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "localhost.", ""])
def test_another_hosts_name_is_refused_on_this_computer(client: Client, host: str) -> None:
    reply = client.get("/v1/models", Host=host)
    assert (reply.status, reply.error["code"]) == (403, "wrong_host")


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1", "[::1]:8000", "LOCALHOST"])
def test_this_computers_names_are_taken(client: Client, host: str) -> None:
    assert client.get("/v1/models", Host=host).status == 200


def test_unknown_addresses_and_methods_get_openais_shape(client: Client) -> None:
    assert client.get("/v1/other").error["type"] == "invalid_request_error"
    assert client.get(CHAT).status == 405
    assert client.get("/docs").status == 404


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    ["model", "messages", "prompt", "max_tokens", "temperature", "top_p", "seed", "stop", "stream", "stream_options",
     "logprobs", "top_logprobs", "metadata", "store", "n", "tools", "user", "request", "rating", "correction", "?"]
)  # fmt: skip


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    path=st.sampled_from([CHAT, "/v1/completions", "/v1/feedback"]),
    changes=st.dictionaries(FIELDS, JSON, max_size=4),
    is_whole=st.booleans(),
)
def test_no_json_makes_the_server_fail(client: Client, path: str, changes: dict[str, Any], is_whole: bool) -> None:
    whole: dict[str, Any] = {"model": "lal", "max_tokens": 2}
    whole |= {"messages": USER} if path == CHAT else {"prompt": "giue"}
    reply = client.post(path, (whole if is_whole else {}) | changes)
    assert reply.status in ((400, 503, 404) if path.endswith("feedback") else (200, 400, 404))


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()))
def test_no_bytes_make_the_server_fail(client: Client, body: bytes) -> None:
    assert client.post(CHAT, body).status == 400
