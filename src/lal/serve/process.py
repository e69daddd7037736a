"""The server as a process: sockets, signals, and the order in which things begin and end."""

import contextlib
import logging
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import uvicorn

from lal.errors import LalError
from lal.serve.app import Parts, build_app
from lal.serve.connection import connection_class
from lal.serve.limits import DRAIN_SECONDS, KEEP_ALIVE_SECONDS
from lal.serve.metrics import Metrics
from lal.serve.request_log import RequestLog
from lal.serve.served import Backend, Served, Switch

_LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True)
class Options:
    """How to serve.

    Attributes:
        find: The folder to serve now; asked again every few seconds.
        backend: Which engine.
        host: Where to listen.
        port: 0 takes a free one.
        key: What clients must send; None: anybody may ask, on this computer only.
        log_folder: Where answered requests are kept; None: nowhere.
        log_share: Chance of a request that nothing speaks for.
    """

    find: Callable[[], Path]
    backend: Backend = "torch"
    host: str = "127.0.0.1"
    port: int = 0
    key: str | None = None
    log_folder: Path | None = None
    log_share: float = 0.1


def serve(options: Options, on_ready: Callable[[str, Served], None]) -> None:
    """Serves until SIGTERM or Ctrl-C, then ends what is being written and returns.

    Args:
        options: How.
        on_ready: Told the address, such as `http://127.0.0.1:8000`, and the model.

    Raises:
        LalError: The model cannot be loaded, the port is taken, or others could ask without a key.
    """
    with _started(options) as (server, sockets, address, switch):
        on_ready(address, switch.current)
        server.run(sockets)


@contextlib.contextmanager
def running_server(folder: Path, backend: Backend = "torch") -> Iterator[str]:
    """Serves a model folder from a thread of this process, on a free port, without a request log.

    Yields:
        The address of the API, such as `http://127.0.0.1:40123/v1`.

    Raises:
        LalError: The model cannot be loaded.
    """
    with running(Options(lambda: folder, backend)) as address:
        yield f"{address}/v1"


@contextlib.contextmanager
def running(options: Options) -> Iterator[str]:
    """Serves from a thread of this process until the block ends; yields the address."""
    with _started(options) as (server, sockets, address, _):
        thread = threading.Thread(target=server.run, args=(sockets,), name="lal-serve")
        thread.start()
        try:
            yield address
        finally:
            server.should_exit = True
            thread.join()


@contextlib.contextmanager
def _started(options: Options) -> Iterator[tuple["_Server", list[socket.socket], str, Switch]]:
    """Everything ready to run; afterwards everything closed, in the opposite order."""
    is_loopback = options.host in _LOOPBACK
    if not is_loopback and not options.key:
        raise LalError(
            f"--host {options.host} lets other computers ask, and no key is set",
            "set LAL_API_KEY to a secret that clients send, or leave --host out",
        )
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(_listener(options.host, options.port))
        metrics = Metrics(
            lambda: switch.current.engine.num_running,
            lambda: switch.current.engine.num_waiting,
            lambda: switch.num_failures,
        )
        log = None if options.log_folder is None else RequestLog(options.log_folder, options.log_share, metrics)
        if log is not None:
            stack.callback(log.close)
        switch = Switch(options.find, options.backend, lambda served: metrics.serves(served.version, served.backend))
        stack.callback(switch.close)
        config = uvicorn.Config(
            build_app(Parts(switch, metrics, log), options.key, is_loopback),
            http=connection_class(metrics),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=DRAIN_SECONDS,
        )
        logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # Whatever a client sends is no news.
        host, port = listener.getsockname()[:2]
        address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        yield _Server(config), [listener], address, switch


def _listener(host: str, port: int) -> socket.socket:
    """A socket that clients can already knock at.

    Raises:
        LalError: The address is taken or is not this computer's.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise LalError(f"--host {host}: {error.strerror or error}", "name an address of this computer") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(1024)
    except OSError as error:
        listener.close()
        raise LalError(f"port {port}: {error.strerror}", f"choose another one: lal serve --port {port + 1}") from error
    return listener


class _Server(uvicorn.Server):
    """uvicorn, ending with exit code 0 when it is told to; its own way is to die of the signal after all."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Listens to SIGTERM and Ctrl-C while it runs, if it runs in the main thread."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._end) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second; takes the signals back, in case llama.cpp, which takes them with each model, has them."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, self._end)
        return await super().on_tick(counter)

    def _end(self, number: int, _: FrameType | None) -> None:
        self.force_exit = self.should_exit and number == signal.SIGINT  # A second Ctrl-C does not wait.
        self.should_exit = True
