import contextlib
import json
import os
import struct
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from lal.errors import ModelError, ParamsError
from lal.evaluation.scores.scoring import score_answers
from lal.evaluation.solvers.endpoint import MOST_TRIES, Endpoint, retry_after
from lal.evaluation.solvers.gguf import AskError, GgufModel, read_header
from lal.evaluation.solvers.nearest import Nearest
from lal.evaluation.solvers.references import TASK, build_references, chat_prompt, nearest_examples, text_prompt
from lal.gold_items import GoldItem
from lal.records import Conversation, Message
from lal.sections import Reference

Items = Callable[..., GoldItem]


def conversation(identity: str, prompt: str, answer: str) -> Conversation:
    messages = (Message(role="user", content=prompt), Message(role="assistant", content=answer))
    return Conversation(id=identity, messages=messages, task="t", source="s", licence="CC0-1.0", split="train")


NEAREST = Nearest.build(
    [
        conversation("t1", "Modernise: Haue you loue?", "Have you love?"),
        conversation("t2", "Modernise: Haue you loue?", "Have you love?"),
        conversation("t3", "Modernise: Giue me loue", "Give me love"),
        conversation("t4", "Modernise: The Sea is farre", "The Sea is far"),
        conversation("p1", "Who are you?", "I am Lal."),
    ]
)


class Server(ThreadingHTTPServer):
    """Speaks the chat protocol: answers from a list, in order, the last for ever, and remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.replies: list[tuple[int, dict[str, str], Any]] = []
        self.asked: list[tuple[str, dict[str, str], dict[str, Any]]] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def says(self, *texts: str) -> None:
        self.replies = [(200, {}, completion(text)) for text in texts]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.path, dict(self.headers), body))
        replies = self.server.replies
        code, headers, content = replies.pop(0) if len(replies) > 1 else replies[0]
        content = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


def completion(text: str | None, reason: str = "stop") -> dict[str, Any]:
    return {
        "choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": reason}],
        "usage": {"completion_tokens": 3},
    }


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield running
    running.shutdown()
    thread.join()
    running.server_close()


def reference(server: Server, **changes: Any) -> Reference:
    values: dict[str, Any] = {"name": "big", "endpoint": server.address, "model": "m-7b", "examples": 1}
    return Reference(**(values | changes))


def test_an_endpoint_is_asked_in_turns_and_its_answers_are_scored(server: Server, line: Items, question: Items) -> None:
    server.says(" Have you love now?\nI hope this helps.", "I am a model.")
    items = [line("a", "Haue you loue now?", "Have you love now?"), question("b", "Who are you then?", "Lal")]
    (solver,) = build_references([reference(server)], NEAREST, 20, ["lal"])
    assert server.asked == []
    answers = solver.answer(items)
    assert [(answer.solver, answer.text, answer.finish_reason) for answer in answers] == [
        ("big", "Have you love now?", "stop"),
        ("big", "I am a model.", "stop"),
    ]
    assert [result.passed for result in score_answers(items, answers)] == [True, False]
    (path, headers, body), (_, _, other) = server.asked
    assert path == "/v1/chat/completions"
    assert "Authorization" not in headers
    assert body == {
        "model": "m-7b",
        "max_tokens": 20,
        "temperature": 0,
        "messages": [
            {"role": "system", "content": TASK},
            {"role": "user", "content": "Modernise: Haue you loue?"},
            {"role": "assistant", "content": "Have you love?"},
            {"role": "user", "content": "Modernise: Haue you loue now?"},
        ],
    }
    assert [message["content"] for message in other["messages"]] == ["Who are you?", "I am Lal.", "Who are you then?"]


def test_no_examples_means_none(server: Server, line: Items) -> None:
    server.says("x")
    (solver,) = build_references([reference(server, examples=0)], NEAREST, 20, [])
    solver.answer([line("a", "Haue you loue?", "?")])
    assert len(server.asked[0][2]["messages"]) == 2


def test_the_address_may_end_in_v1(server: Server) -> None:
    server.says("x")
    Endpoint(f"{server.address}/v1/", "m", 8).chat([])
    assert server.asked[0][0] == "/v1/chat/completions"


def test_the_key_comes_from_the_environment_and_goes_out_as_bearer(
    server: Server, line: Items, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.says("x")
    named = reference(server, api_key_variable="LAL_TEST_KEY")
    monkeypatch.delenv("LAL_TEST_KEY", raising=False)
    with pytest.raises(ParamsError, match="LAL_TEST_KEY is not set"):
        build_references([named], NEAREST, 8, [])
    monkeypatch.setenv("LAL_TEST_KEY", "s3cret")
    build_references([named], NEAREST, 8, [])[0].answer([line("a", "x", "y")])
    assert server.asked[0][1]["Authorization"] == "Bearer s3cret"


def test_a_busy_server_is_asked_again_when_it_says(server: Server) -> None:
    server.replies = [(429, {"Retry-After": "7"}, {}), (503, {}, {}), (200, {}, completion("done"))]
    waits: list[float] = []
    said = Endpoint(server.address, "m", 8, sleep=waits.append).chat([])
    assert (said.text, waits) == ("done", [7.0, 2.0])


def test_a_server_that_stays_busy_is_asked_a_few_times_only(server: Server) -> None:
    server.replies = [(429, {"Retry-After": "0"}, {})]
    with pytest.raises(AskError, match="still busy"):
        Endpoint(server.address, "m", 8, sleep=lambda _: None).chat([])
    assert len(server.asked) == MOST_TRIES


def test_a_server_that_asks_for_an_hour_is_not_waited_for(server: Server) -> None:
    server.replies = [(429, {"Retry-After": "3600"}, {})]
    with pytest.raises(ModelError, match="asks to wait 3600 s"):
        Endpoint(server.address, "m", 8, sleep=lambda _: pytest.fail("waited")).chat([])


def test_retry_after_may_be_a_date() -> None:
    now = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
    assert retry_after("Tue, 24 Nov 2026 12:00:09 GMT", now) == 9.0
    assert retry_after("Tue, 24 Nov 2026 11:00:00 GMT", now) == 0.0
    assert retry_after("soon", now) is None
    assert retry_after(None, now) is None


@pytest.mark.parametrize(
    "reply",
    [
        (500, {}, {"error": "out of memory"}),
        (400, {}, {"error": "too long"}),
        (200, {}, b"<html>"),
        (200, {}, {"choices": []}),
        (200, {}, completion(None, "tool_calls")),
        (200, {}, completion("", "content_filter")),
    ],
)
def test_a_question_without_an_answer_is_not_scored_and_the_rest_go_on(
    reply: tuple[int, dict[str, str], Any], server: Server, line: Items
) -> None:
    server.replies = [reply, (200, {}, completion("y"))]
    items = [line("a", "x", "y"), line("b", "x", "y")]
    answers = build_references([reference(server)], NEAREST, 8, [])[0].answer(items)
    assert [(answer.finish_reason, answer.text) for answer in answers] == [("error", ""), ("stop", "y")]
    assert [result.passed for result in score_answers(items, answers)] == [None, True]


def test_an_answer_cut_short_says_so(server: Server, line: Items) -> None:
    server.replies = [(200, {}, completion("y", "length"))]
    (answer,) = build_references([reference(server)], NEAREST, 8, [])[0].answer([line("a", "x", "y")])
    assert (answer.finish_reason, answer.num_tokens) == ("length", 3)


def test_a_slow_answer_is_an_error_of_its_question(server: Server) -> None:
    release = threading.Event()
    original = Handler.do_POST

    class Slow(Handler):
        def do_POST(self) -> None:
            release.wait(5)
            with contextlib.suppress(ConnectionError):  # Nobody is there any more.
                original(self)

    server.RequestHandlerClass = Slow
    server.replies = [(200, {}, b"")]
    with pytest.raises(AskError, match="timed out"):
        Endpoint(server.address, "m", 8, timeout_seconds=0.1).chat([])
    release.set()


def test_a_server_that_never_answers_is_given_up_with_one_error(server: Server, line: Items) -> None:
    server.replies = [(500, {}, {"error": "out of memory"})]
    items = [line(str(number), "x", "y") for number in range(9)]
    with pytest.raises(ModelError, match=r"big: 3 questions in a row got no answer; .*out of memory"):
        build_references([reference(server)], NEAREST, 8, [])[0].answer(items)
    assert len(server.asked) == 3


@pytest.mark.parametrize("code", [401, 404])
def test_a_refused_key_or_model_is_one_error(code: int, server: Server, line: Items) -> None:
    server.replies = [(code, {}, {"error": "no"})]
    with pytest.raises(ModelError, match=f"{code}.*no"):
        build_references([reference(server)], NEAREST, 8, [])[0].answer([line("a", "x", "y")])
    assert len(server.asked) == 1


def test_a_redirect_is_refused_so_that_the_key_goes_nowhere_else(server: Server) -> None:
    server.replies = [(307, {"Location": f"{server.address}/elsewhere"}, {})]
    with pytest.raises(ModelError, match="307"):
        Endpoint(server.address, "m", 8, key="s3cret").chat([])
    assert len(server.asked) == 1


def test_an_endpoint_that_is_not_there_is_one_error(server: Server, line: Items) -> None:
    free = Server()
    free.server_close()
    with pytest.raises(ModelError, match=r"cannot be reached.*\n  -> start the server"):
        build_references([reference(free)], NEAREST, 8, [])[0].answer([line("a", "x", "y")])


def test_a_reference_may_not_take_the_name_of_another_solver(server: Server) -> None:
    with pytest.raises(ParamsError, match="'lal' is the name of a solver"):
        build_references([reference(server, name="lal")], NEAREST, 8, ["copy", "lal"])


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({}, "either a `gguf` file or an `endpoint`"),
        ({"gguf": "a.gguf", "endpoint": "http://x", "model": "m"}, "either a `gguf` file or an `endpoint`"),
        ({"gguf": "a.gguf", "model": "m"}, "belong to an `endpoint`"),
        ({"gguf": "a.gguf", "api_key_variable": "KEY"}, "belong to an `endpoint`"),
        ({"endpoint": "http://x"}, "needs a `model`"),
        ({"endpoint": "http://x", "model": "m", "prompt": "text"}, "`prompt: chat` alone"),
        ({"endpoint": "ftp://x", "model": "m"}, "should match pattern"),
        ({"endpoint": "http://x", "model": "m", "api_key_variable": "sk-123"}, "should match pattern"),
    ],
)
def test_a_reference_is_one_of_two_kinds(values: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Reference(name="big", examples=4, **values)


def test_examples_are_the_nearest_first_and_no_question_twice() -> None:
    found = nearest_examples(NEAREST, "Modernise: Haue you giue loue?", 3)
    assert [row.id for row in found] == ["t1", "t3"]


def test_the_text_ends_where_the_answer_begins() -> None:
    (row,) = nearest_examples(NEAREST, "Modernise: The Sea", 1)
    assert text_prompt("Sea", [row]).endswith(
        "\n\n1623: The Sea is farre\nModern spelling: The Sea is far\n\n1623: Sea\nModern spelling:"
    )


def test_an_items_own_system_message_stands_first_and_alone(line: Items) -> None:
    messages = (Message(role="system", content="Be brief."), Message(role="user", content="Modernise: x"))
    roles = [(turn["role"], turn["content"]) for turn in chat_prompt(line("a", "x", "y", messages=messages), [])]
    assert roles == [("system", "Be brief."), ("user", "Modernise: x")]


def gguf(*, tensors: list[tuple[int, ...]], version: int = 3) -> bytes:
    """The head of a GGUF file with a text, a number and an array of texts among its entries."""

    def text(value: str) -> bytes:
        return struct.pack("<Q", len(value)) + value.encode()

    entries = [
        text("general.architecture") + struct.pack("<I", 8) + text("llama"),
        text("general.name") + struct.pack("<I", 8) + text("Tiny"),
        text("tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, 2) + text("a") + text("bc"),
        text("tokenizer.ggml.scores") + struct.pack("<IIQ2f", 9, 6, 2, 0.5, 1.5),
        text("llama.context_length") + struct.pack("<II", 4, 512),
    ]
    infos = [
        text(f"t{number}") + struct.pack(f"<I{len(sizes)}QIQ", len(sizes), *sizes, 3, 0)
        for number, sizes in enumerate(tensors)
    ]
    head = struct.pack("<4sIQQ", b"GGUF", version, len(infos), len(entries))
    return head + b"".join(entries) + b"".join(infos)


def test_the_head_of_a_gguf_file_tells_parameters_and_bytes(tmp_path: Path) -> None:
    path = tmp_path / "tiny.gguf"
    path.write_bytes(gguf(tensors=[(4, 8), (8,)]))
    header = read_header(path)
    assert (header.architecture, header.name, header.context_length) == ("llama", "Tiny", 512)
    assert (header.num_parameters, header.num_bytes) == (40, path.stat().st_size)


@pytest.mark.parametrize("kept", [0, 10, 30, 100, 200])
def test_a_gguf_file_that_was_cut_short_is_one_error(kept: int, tmp_path: Path) -> None:
    path = tmp_path / "cut.gguf"
    path.write_bytes(gguf(tensors=[(4, 8)])[:kept])
    with pytest.raises(ModelError, match="cut short"):
        read_header(path)


def test_what_is_no_gguf_file_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(b"PK\x03\x04" + bytes(100))
    with pytest.raises(ModelError, match="not a GGUF file"):
        read_header(tmp_path / "model.gguf")
    with pytest.raises(ModelError, match=r"gone\.gguf: cannot be read"):
        read_header(tmp_path / "gone.gguf")


@pytest.mark.skipif(find_spec("xllamacpp") is not None, reason="the extra is installed")
def test_a_missing_extra_is_one_error_with_the_command(tmp_path: Path, line: Items) -> None:
    path = tmp_path / "tiny.gguf"
    path.write_bytes(gguf(tensors=[(4, 8)]))
    (solver,) = build_references([Reference(name="big", gguf=str(path), examples=1)], NEAREST, 8, [])
    with pytest.raises(ModelError, match=r"run `pip install '\.\[references\]'`"):
        solver.answer([line("a", "x", "y")])


@pytest.mark.skipif(find_spec("xllamacpp") is None, reason="needs the extra `references`")
def test_a_gguf_file_without_weights_is_one_error(tmp_path: Path) -> None:
    path = tmp_path / "tiny.gguf"
    path.write_bytes(gguf(tensors=[(4, 8)]))
    with pytest.raises(ModelError, match=r"llama\.cpp cannot load it"):
        GgufModel(path, 8)


@pytest.mark.slow
@pytest.mark.skipif(find_spec("xllamacpp") is None, reason="needs the extra `references`")
@pytest.mark.skipif("LAL_TEST_GGUF" not in os.environ, reason="LAL_TEST_GGUF names no GGUF file")
@pytest.mark.parametrize("prompt", ["text", "chat"])
def test_a_real_model_answers_lines_and_questions_and_the_same_again(prompt: str, line: Items, question: Items) -> None:
    real = Reference(name="big", gguf=os.environ["LAL_TEST_GGUF"], examples=2, prompt=prompt)  # type: ignore[arg-type]
    (solver,) = build_references([real], NEAREST, 12, [])
    items = [line("a", "Haue you loue?", "Have you love?"), question("b", "Who are you?", "Lal")]
    items.append(line("long", "Haue you loue? " * 4000, "?"))
    first = solver.answer(items)
    assert [answer.finish_reason for answer in first[:2]] != ["error", "error"]
    assert all(answer.num_tokens for answer in first[:2])
    assert "\n" not in first[0].text
    assert first[2].finish_reason == "error"
    again = solver.answer(items)
    assert [answer.text for answer in first] == [answer.text for answer in again]
