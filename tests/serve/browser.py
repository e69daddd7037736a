"""A real browser, told what to do over its DevTools protocol, without a library for it."""

import base64
import contextlib
import itertools
import json
import os
import socket
import struct
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CHROMIUM = Path("/usr/bin/chromium")

_FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync",
    "--no-first-run", "--disable-dev-shm-usage", "--remote-debugging-port=0",
]  # fmt: skip


class Browser:
    """One page. Source of the framing: RFC 6455, https://www.rfc-editor.org/rfc/rfc6455

    Args:
        address: Of the page's debugger, `ws://...`.

    Attributes:
        complaints: What the page wrote to its console as an error, refusals of its security policy among it.
    """

    def __init__(self, address: str) -> None:
        self.complaints: list[str] = []
        place, _, path = address.removeprefix("ws://").partition("/")
        host, port = place.split(":")
        self._socket = socket.create_connection((host, int(port)), timeout=30)
        key = base64.b64encode(os.urandom(16)).decode()
        self._socket.sendall(
            f"GET /{path} HTTP/1.1\r\nHost: {place}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        while not self._read(1).endswith(b"\n") or self._read(2) != b"\r\n":
            pass
        self._numbers = itertools.count(1)
        for domain in ("Page", "Log", "Runtime"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> Any:
        """A command of the protocol, and its result."""
        number = next(self._numbers)
        self._write(json.dumps({"id": number, "method": method, "params": params}).encode())
        while True:
            message = json.loads(self._message())
            if message.get("id") == number:
                assert "error" not in message, message
                return message["result"]
            if message.get("method") == "Log.entryAdded" and message["params"]["entry"]["level"] == "error":
                self.complaints.append(message["params"]["entry"]["text"])
            if message.get("method") == "Runtime.exceptionThrown":
                self.complaints.append(json.dumps(message["params"]["exceptionDetails"]))

    def close(self) -> None:
        """Leaves the page."""
        self._socket.close()

    def open(self, address: str, width: int = 1100, height: int = 800, scheme: str = "light") -> None:
        """Goes to a page, in a window of a size, where the person prefers light or dark."""
        mobile = width < 500
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.call("Page.navigate", url=address)
        self.wait("document.readyState === 'complete' && document.querySelector('#version')")

    def value(self, expression: str) -> Any:
        """What an expression of JavaScript is worth in the page."""
        found = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def wait(self, expression: str, seconds: float = 20.0) -> None:
        """Returns when an expression becomes true."""
        deadline = time.monotonic() + seconds
        while not self.value(f"Boolean({expression})"):
            assert time.monotonic() < deadline, expression
            time.sleep(0.05)

    def press(self, key: str) -> None:
        """A key, down and up."""
        codes = {"Enter": 13, "ArrowRight": 39, "ArrowLeft": 37, "Tab": 9, " ": 32}
        shared = {"key": key, "code": key, "windowsVirtualKeyCode": codes[key]}
        text = {"Enter": "\r", " ": " "}.get(key)
        self.call("Input.dispatchKeyEvent", type="keyDown", **shared, **({"text": text} if text else {}))
        self.call("Input.dispatchKeyEvent", type="keyUp", **shared)

    def type(self, text: str) -> None:
        """Text, as a person types it."""
        self.call("Input.insertText", text=text)

    def _read(self, count: int) -> bytes:
        content = b""
        while len(content) < count:
            piece = self._socket.recv(count - len(content))
            assert piece, "the browser has gone"
            content += piece
        return content

    def _message(self) -> bytes:
        content, is_last = b"", False
        while not is_last:
            first, length = self._read(2)
            if length == 126:
                (length,) = struct.unpack(">H", self._read(2))
            elif length == 127:
                (length,) = struct.unpack(">Q", self._read(8))
            content += self._read(length)
            is_last = bool(first & 0x80)
        return content

    def _write(self, content: bytes) -> None:
        assert len(content) < 2**16
        mask = os.urandom(4)
        size = bytes([0x80 | len(content)]) if len(content) < 126 else struct.pack(">BH", 0xFE, len(content))
        masked = bytes(byte ^ mask[place % 4] for place, byte in enumerate(content))
        self._socket.sendall(b"\x81" + size + mask + masked)


@contextlib.contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """Runs a browser, with a profile of its own, until the block ends."""
    process = subprocess.Popen(
        [str(CHROMIUM), *_FLAGS, f"--user-data-dir={profile}", "about:blank"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        port = profile / "DevToolsActivePort"
        deadline = time.monotonic() + 60
        while not port.is_file() or not port.read_text().strip():
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.1)
        with urllib.request.urlopen(f"http://127.0.0.1:{port.read_text().split()[0]}/json", timeout=10) as reply:
            pages = [page for page in json.load(reply) if page["type"] == "page"]
        page = Browser(pages[0]["webSocketDebuggerUrl"])
        try:
            yield page
        finally:
            page.close()
    finally:
        process.terminate()
        process.wait()
