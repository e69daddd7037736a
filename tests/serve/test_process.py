"""The server as a process: who may ask, how it ends, what the command says."""

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from lal.errors import LalError
from lal.serve.process import Options, running
from tests.serve.conftest import Client

ROOT = Path(__file__).parents[2]

EVERYWHERE = "0.0.0.0"  # noqa: S104 - what is tested is that it takes a key


def test_other_computers_may_ask_with_a_key_only(folder: Path) -> None:
    with (
        pytest.raises(LalError, match=r"no key is set\n  -> set LAL_API_KEY"),
        running(Options(lambda: folder, host=EVERYWHERE)),
    ):
        pass
    with running(Options(lambda: folder, host=EVERYWHERE, key="schlüssel")) as address:
        stranger = Client(address)
        assert stranger.get("/v1/models", Host="other.example").error["code"] == "invalid_api_key"
        assert stranger.get("/metrics").status == 401
        assert stranger.get("/health").status == 200
        assert stranger.get("/").status == 200
        for given in ("Bearer wrong", "Bearer ", "Basic schluessel", "schlüssel".encode().decode("latin-1")):
            assert stranger.chat("giue", max_tokens=1).status == 401, given
            assert stranger.get("/v1/models", Authorization=given).status == 401
        friend = "Bearer " + "schlüssel".encode().decode("latin-1")
        assert stranger.get("/v1/models", Authorization=friend, Host="other.example").status == 200


def test_a_port_that_is_taken_and_an_address_that_is_not_ours_are_named(folder: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with (
            pytest.raises(LalError, match=rf"port {port}: Address already in use\n  -> .*--port {port + 1}"),
            running(Options(lambda: folder, port=port)),
        ):
            pass
    with (
        pytest.raises(LalError, match=r"Cannot assign requested address"),
        running(Options(lambda: folder, host="192.0.2.1", key="k")),
    ):
        pass


def test_it_ends_what_is_being_written_before_it_ends(folder: Path) -> None:
    statuses: list[int] = []
    with running(Options(lambda: folder)) as address:
        client = Client(address)
        ask = lambda: statuses.append(client.chat("giue", max_tokens=90, temperature=2).status)  # noqa: E731
        threads = [threading.Thread(target=ask) for _ in range(20)]
        for thread in threads:
            thread.start()
        while client.number("lal_running") + client.number("lal_waiting") + len(statuses) < 20:
            time.sleep(0.001)
        idle = socket.create_connection(client.place)
    for thread in threads:
        thread.join()
    idle.close()
    assert statuses == [200] * 20


def test_answers_carry_headers_that_keep_browsers_careful(client: Client) -> None:
    page = client.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert re.match(
        r"default-src 'none'; script-src 'sha256-[^']+'; style-src 'sha256-", page.headers["content-security-policy"]
    )
    for reply in (page, client.get("/health"), client.get("/nowhere"), client.get("/", Host="evil.example")):
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert "server" not in reply.headers


@contextlib.contextmanager
def command(*arguments: str, cwd: Path, **environment: str) -> Iterator[tuple["subprocess.Popen[str]", Client, str]]:
    """Runs `lal serve` as a person does, until the block ends; yields what it said before it was ready."""
    code = "from lal.cli import main; import sys; sys.argv = ['lal', *sys.argv[1:]]; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "serve", "--port", "0", *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "PYTHONUNBUFFERED": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    said = ""
    try:
        for line in process.stdout:
            said += line
            if found := re.search(r"^ready: (http://[^/]+)/", line):
                yield process, Client(found[1]), said
                break
        else:
            raise AssertionError(said)
    finally:
        if process.poll() is None:
            process.kill()
        process.stdout.close()
        process.wait()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_serves_until_it_is_told_to_stop_and_ends_well(
    folder: Path, tmp_path: Path, number: signal.Signals
) -> None:
    (tmp_path / "data" / "live").mkdir(parents=True)
    (tmp_path / "params.yaml").write_text("")
    with command("--model", str(folder), "--log-share", "1", cwd=tmp_path) as (process, client, said):
        assert "answered requests are kept in data/live" in said
        assert client.chat("giue", max_tokens=3).status == 200
        slow = threading.Thread(target=lambda: client.chat("giue", max_tokens=90, temperature=2))
        slow.start()
        process.send_signal(number)
        assert process.wait(20) == 0
        slow.join()
        assert process.stdout is not None
        assert process.stdout.read() == "Ctrl-C ends it\nstopped\n"
    lines = (tmp_path / "data" / "live" / "requests.jsonl").read_text().splitlines()
    assert json.loads(lines[0])["answer_tokens"] == 3


@pytest.mark.slow
def test_llama_cpp_ends_well_too_though_it_takes_the_signals(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp")
    pytest.importorskip("gguf")
    from lal.export.gguf_file import write_gguf
    from lal.model.folder import load_model
    from tests.tiny_model import write_speaking_model

    write_speaking_model(tmp_path / "bundle")
    model = load_model(tmp_path / "bundle").model
    write_gguf(tmp_path / "bundle" / "model-f16.gguf", model, tmp_path / "bundle" / "tokenizer.json", "f16")
    with command("--model", "bundle", "--backend", "llama.cpp", cwd=tmp_path) as (process, client, said):
        assert "llama.cpp" in said
        assert "no request is kept" in said
        assert client.chat("giue", max_tokens=3).status == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


@pytest.mark.slow
def test_its_memory_stays_flat_under_requests_of_all_kinds(folder: Path, tmp_path: Path) -> None:
    with command("--model", str(folder), "--log", "live", cwd=tmp_path) as (process, client, _):
        memory = psutil.Process(process.pid).memory_info

        def load(count: int) -> None:
            for number in range(count):
                client.chat("giue", max_tokens=5, logprobs=True, top_logprobs=20, stream=number % 2 == 0)
                client.post("/v1/completions", b"[" * 5000)
                with contextlib.suppress(OSError), socket.create_connection(client.place) as leaving:
                    leaving.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n")

        load(150)
        before = memory().rss
        load(150)
        assert memory().rss - before < 20 * 2**20


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--model", "nowhere"], "error: nowhere: no such model folder"),
        (["--model", "models:/lal@champion"], "error: "),
        (["--log", "x", "--no-log"], "error: --log and --no-log contradict each other"),
        (["--host", EVERYWHERE], "error: --host 0.0.0.0 lets other computers ask, and no key is set"),
    ],
)
def test_a_start_that_cannot_be_is_one_message(tmp_path: Path, arguments: list[str], expected: str) -> None:
    with pytest.raises(AssertionError) as found, command(*arguments, cwd=tmp_path):
        pass
    assert str(found.value).startswith(expected)
    assert "Traceback" not in str(found.value)


def test_health_and_models_answer_while_everything_is_busy(client: Client) -> None:
    threads = [
        threading.Thread(target=lambda: client.complete("giue", max_tokens=90, temperature=2)) for _ in range(40)
    ]
    for thread in threads:
        thread.start()
    started = time.monotonic()
    assert client.get("/health").status == client.get("/v1/models").status == 200
    assert time.monotonic() - started < 5
    for thread in threads:
        thread.join()


def test_head_and_keep_alive_work_as_http_says(client: Client) -> None:
    with contextlib.closing(http.client.HTTPConnection(*client.place)) as connection:
        for _ in range(3):
            connection.request("GET", "/health")
            assert connection.getresponse().read()
