"""A server over a model small enough to build in a blink, and the ways to ask it."""

import contextlib
import http.client
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch

from lal.serve.process import Options, running
from tests.tiny_model import write_speaking_model


@dataclass(frozen=True)
class Reply:
    """What came back."""

    status: int
    headers: dict[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.content)

    @property
    def error(self) -> dict[str, Any]:
        error: dict[str, Any] = self.json["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert isinstance(error["message"], str)
        return error

    @property
    def events(self) -> list[Any]:
        lines = [line.removeprefix(b"data: ") for line in self.content.split(b"\n\n") if line]
        return [line.decode() if line == b"[DONE]" else json.loads(line) for line in lines]


@dataclass(frozen=True)
class Client:
    """Asks over real HTTP, with whatever body and headers."""

    address: str
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def place(self) -> tuple[str, int]:
        host, port = self.address.removeprefix("http://").split(":")
        return host, int(port)

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Reply:
        with contextlib.closing(http.client.HTTPConnection(*self.place, timeout=30)) as connection:
            given = self.headers | {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, given)
            reply = connection.getresponse()
            named = {name.lower(): value for name, value in reply.getheaders()}
            return Reply(reply.status, named, reply.read())

    def get(self, path: str, **headers: str) -> Reply:
        return self.ask("GET", path, None, **headers)

    def post(self, path: str, content: Any, **headers: str) -> Reply:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        return self.ask("POST", path, body, **{"Content_Type": "application/json"} | headers)

    def chat(self, text: str = "Modernise: giue", **fields: Any) -> Reply:
        message = {"role": "user", "content": text}
        return self.post("/v1/chat/completions", {"model": "lal", "messages": [message]} | fields)

    def complete(self, prompt: str = "giue", **fields: Any) -> Reply:
        return self.post("/v1/completions", {"model": "lal", "prompt": prompt} | fields)

    def number(self, metric: str) -> float:
        """A line of /metrics, such as `lal_running`."""
        lines = self.get("/metrics").content.decode().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith((f"{metric} ", f"{metric}{{")))


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    write_speaking_model(folder)
    return folder


@pytest.fixture(scope="session")
def client(folder: Path) -> Iterator[Client]:
    """A server for the tests that leave it as it was."""
    with running(Options(lambda: folder)) as address:
        yield Client(address)
