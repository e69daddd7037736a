"""How many people `lal serve` answers at once, and how long each waits: beside llama.cpp's own server, on one model.

    python -m bench.serve [--model models/export] [--seconds 10]
    python -m bench.serve --overload [SECONDS]

The first prints requests and tokens a second, and the time to the first text, for 1 to 64 clients who ask again as soon
as they are answered: of both of Lal's engines, and of llama.cpp's server on the same GGUF file, in turns. The second
asks for ten times what the server can do, and counts what it answers. Everything stays on this machine's loopback.
"""

import argparse
import asyncio
import collections
import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from bench.sampling import make_model
from bench.table import PAGE, report
from lal.errors import LalError
from lal.export.gguf_file import write_gguf
from lal.gold_items import GoldItem
from lal.model.folder import load_model
from lal.records import read_records
from lal.serve.limits import ROWS
from lal.serve.llama import num_threads

CONCURRENCIES = (1, 4, 16, 64)
MAX_TOKENS = 64
FACTOR = 10
"""Times of what the server can do that an overload asks for."""

MOST_OUTSTANDING = 400
"""Requests of an overload that are under way at most: the server allows 512 connections."""

START_SECONDS = 120

_LAL = "from lal.cli import main; main()"
_LLAMA = """
import sys, time, xllamacpp
path, threads, rows, context, key = sys.argv[1], *map(int, sys.argv[2:5]), sys.argv[5]
settings = xllamacpp.CommonParams()
settings.model.path, settings.n_parallel, settings.n_ctx = path, rows, rows * context
settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = threads
settings.n_threads_http, settings.verbosity, settings.ui, settings.api_keys = 2 * rows + 2, 0, False, [key]
server = xllamacpp.Server(settings)
print("ready:", server.listening_address, flush=True)
time.sleep(10**6)
"""
_KEY = "bench"


@dataclass(frozen=True)
class Contestant:
    """A server that is running.

    Attributes:
        name: Of its engine.
        address: Host and port.
        process: It.
    """

    name: str
    address: tuple[str, int]
    process: psutil.Process


@dataclass(frozen=True)
class Answer:
    """What one request got.

    Attributes:
        status: HTTP status; 0 if the connection broke.
        first_seconds: To the first text; NaN if none came.
        seconds: To the end.
        num_tokens: Written.
    """

    status: int
    first_seconds: float
    seconds: float
    num_tokens: int


async def ask(address: tuple[str, int], question: str) -> Answer:
    """Asks one question on a connection of its own, greedily and streamed."""
    body = json.dumps(
        {
            "model": "lal",
            "messages": [{"role": "user", "content": question}],
            "max_tokens": MAX_TOKENS,
            "temperature": 0,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
    ).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {_KEY}\r\n"
        f"Content-Type: application/json\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    begun = time.perf_counter()
    status, first, num_tokens = 0, float("nan"), 0
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        reader, writer = await asyncio.open_connection(*address)
        with contextlib.closing(writer):
            writer.write(head.encode() + body)
            status = int((await reader.readline()).split()[1])
            async for line in reader:
                if not line.startswith(b"data: {"):
                    continue
                event = json.loads(line[6:])
                text = "".join(choice.get("delta", {}).get("content") or "" for choice in event.get("choices", []))
                if text and first != first:
                    first = time.perf_counter() - begun
                num_tokens = (event.get("usage") or {}).get("completion_tokens", num_tokens)
    return Answer(status, first, time.perf_counter() - begun, num_tokens)


async def closed_loop(
    address: tuple[str, int], questions: Sequence[str], num_clients: int, seconds: float
) -> list[Answer]:
    """So many clients ask for so long, each again as soon as it is answered."""
    answers: list[Answer] = []
    ends = time.perf_counter() + seconds

    async def client(number: int) -> None:
        while time.perf_counter() < ends:
            answers.append(await ask(address, questions[(number + len(answers)) % len(questions)]))

    await asyncio.gather(*(client(number) for number in range(num_clients)))
    return answers


async def open_loop(
    address: tuple[str, int], questions: Sequence[str], per_second: float, seconds: float, watch: "Watch"
) -> list[Answer]:
    """So many requests a second for so long, whether they are answered or not."""
    answers: list[Answer] = []
    running: set[asyncio.Task[None]] = set()
    begun = time.perf_counter()

    async def one(number: int) -> None:
        answers.append(await ask(address, questions[number % len(questions)]))

    number = 0
    while (elapsed := time.perf_counter() - begun) < seconds:
        watch.look()
        while number < elapsed * per_second and len(running) < MOST_OUTSTANDING:
            task = asyncio.create_task(one(number))
            running.add(task)
            task.add_done_callback(running.discard)
            number += 1
        await asyncio.sleep(0.005)
    await asyncio.gather(*running)
    return answers


class Watch:
    """The memory of a process, in MiB: at first, at most, at last."""

    def __init__(self, process: psutil.Process) -> None:
        self._process = process
        self.first = self.most = self.last = self._now()

    def look(self) -> None:
        """Looks once."""
        self.last = self._now()
        self.most = max(self.most, self.last)

    def _now(self) -> float:
        return float(self._process.memory_info().rss) / 2**20


@contextlib.contextmanager
def started(name: str, command: Sequence[str]) -> Iterator[Contestant]:
    """Runs a server until the block ends.

    Raises:
        LalError: It does not become ready.
    """
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    environment.pop("LAL_API_KEY", None)
    process = subprocess.Popen(  # noqa: S603 - the command is ours
        [sys.executable, "-c", *command], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None
    try:
        said = []
        for line in process.stdout:
            said.append(line)
            if found := re.match(r"ready: http://([\d.]+):(\d+)", line):
                break
        else:
            raise LalError(f"{name} does not start: {''.join(said)[-300:]}")
        yield Contestant(name, (found[1], int(found[2])), psutil.Process(process.pid))
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        process.kill()
        process.wait()
        process.stdout.close()


def lal_command(folder: Path, backend: str, *options: str) -> list[str]:
    """Runs `lal serve` on a free port."""
    return [_LAL, "serve", "--model", str(folder), "--backend", backend, "--port", "0", *options]


def llama_command(folder: Path) -> list[str]:
    """Runs llama.cpp's server on the same file, with as many rows and threads."""
    context = load_model(folder).model.config.context_length
    return [_LLAMA, str(folder / "model-f16.gguf"), str(num_threads()), str(ROWS), str(context + 1), _KEY]


def row(contestant: Contestant, num_clients: int, answers: Sequence[Answer], seconds: float) -> dict[str, object]:
    """What a server did for so many clients."""
    good = [answer for answer in answers if answer.status == 200]
    firsts = [1000 * answer.first_seconds for answer in good if answer.first_seconds == answer.first_seconds]
    waits = np.percentile(firsts, (50, 95, 99)).round(1).tolist() if firsts else [float("nan")] * 3
    return {
        "server": contestant.name,
        "clients": num_clients,
        "requests a second": round(len(good) / seconds, 1),
        "tokens a second": round(sum(answer.num_tokens for answer in good) / seconds),
        "first text ms, p50": waits[0],
        "p95": waits[1],
        "p99": waits[2],
        "refused": len(answers) - len(good),
    }


def measure(folder: Path, questions: Sequence[str], seconds: float) -> list[dict[str, object]]:
    """The table's rows: at each number of clients all servers, in turns."""
    rows = []
    with contextlib.ExitStack() as stack:
        commands = {
            "lal, torch": lal_command(folder, "torch", "--no-log"),
            "lal, llama.cpp": lal_command(folder, "llama.cpp", "--no-log"),
            "llama.cpp's own": llama_command(folder),
        }
        contestants = [stack.enter_context(started(name, command)) for name, command in commands.items()]
        for contestant in contestants:
            asyncio.run(closed_loop(contestant.address, questions, 2, 0.5))  # The first requests of all are slower.
        for num_clients in CONCURRENCIES:
            for contestant in contestants:
                begun = time.perf_counter()
                answers = asyncio.run(closed_loop(contestant.address, questions, num_clients, seconds))
                rows.append(row(contestant, num_clients, answers, time.perf_counter() - begun))
    return rows


def overload(folder: Path, questions: Sequence[str], seconds: float, scratch: Path) -> list[dict[str, object]]:
    """What becomes of ten times the requests that the server can answer: a row for each status."""
    command = lal_command(folder, "torch", "--log", str(scratch / "live"), "--log-share", "1")
    with started("lal, torch", command) as contestant:
        warm_up = max(1.0, min(10.0, seconds / 10))
        answers = asyncio.run(closed_loop(contestant.address, questions, ROWS, warm_up))
        capacity = len(answers) / warm_up
        watch = Watch(contestant.process)
        begun = time.perf_counter()
        stormed = asyncio.run(open_loop(contestant.address, questions, FACTOR * capacity, seconds, watch))
        took = time.perf_counter() - begun
        time.sleep(1)
        watch.look()
    with (scratch / "live" / "requests.jsonl").open() as lines:  # Closed, all rows written.
        num_logged = sum(1 for _ in lines)
    num_logged += sum(len(path.read_text().splitlines()) for path in (scratch / "live").glob("requests-*.jsonl"))
    num_answered = sum(answer.status == 200 for answer in [*answers, *stormed])
    sys.stdout.write(
        f"capacity {capacity:.1f} requests a second; asked for {len(stormed) / took:.0f}\n"
        f"memory of the server: {watch.first:.0f} MiB at first, {watch.most:.0f} at most, {watch.last:.0f} at last\n"
        f"rows in the request log: {num_logged} of {num_answered} answers\n"
    )
    return [
        {
            "status": status or "connection broke",
            "requests": count,
            "a second": round(count / took, 1),
            "ms, p50": round(float(np.percentile(times, 50)), 1),
            "p99": round(float(np.percentile(times, 99)), 1),
        }
        for status, count in sorted(collections.Counter(answer.status for answer in stormed).items())
        for times in [[1000 * answer.seconds for answer in stormed if answer.status == status]]
    ]


def prepare(model: Path, scratch: Path) -> tuple[Path, str]:
    """A folder with weights and a GGUF file of them, and what to say of it."""
    if not model.is_dir():
        folder, note = make_model(scratch / "model"), "a model of params.yaml's shape with random weights"
    else:
        folder, note = model, str(model)
    if not (folder / "model-f16.gguf").is_file():
        loaded = load_model(folder)
        for path in sorted(folder.iterdir()):
            if path.name != "manifest.json" and path.is_file():
                (scratch / "served").mkdir(parents=True, exist_ok=True)
                (scratch / "served" / path.name).write_bytes(path.read_bytes())
        folder = scratch / "served"
        write_gguf(folder / "model-f16.gguf", loaded.model, folder / "tokenizer.json", "f16")
    return folder, note


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures and reports."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=Path("models/export"))
    parser.add_argument("--seconds", type=float, default=10.0, help="of each server at each number of clients")
    parser.add_argument("--overload", type=float, nargs="?", const=300.0, metavar="SECONDS")
    parser.add_argument("--no-page", action="store_true", help="print only, for runs too short to mean anything")
    given = parser.parse_args(arguments)
    page = None if given.no_page else PAGE
    questions = [item.prompt for item in read_records(Path("gold/gold.jsonl"), GoldItem)]
    with tempfile.TemporaryDirectory() as folder_name:
        scratch = Path(folder_name)
        folder, name = prepare(given.model, scratch)
        if given.overload is not None:
            rows = overload(folder, questions, given.overload, scratch)
            note = f"{name}; {FACTOR} times what {ROWS} clients got, for {given.overload:.0f} seconds."
            report("serve-overload", "Ten times too many requests", rows, note, page)
            return
        rows = measure(folder, questions, given.seconds)
        note = (
            f"{name}; questions of the gold set, answers of at most {MAX_TOKENS} tokens, streamed; "
            f"{given.seconds:.0f} seconds each, in turns; the clients run on the same processor."
        )
        report("serve", "Answers over HTTP", rows, note, page)


if __name__ == "__main__":
    main()
