"""`lal ui`: the runs, in a browser."""

import contextlib
import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from lal.errors import LalError
from lal.lineage import project_root

START_SECONDS = 120
"""A cold start takes up to 20 s on a small computer."""


Port = Annotated[int, typer.Option(min=1, max=65535, help="where to listen, on this computer only")]


def ui(port: Port = 5000) -> None:
    """Compare runs in the browser; Ctrl-C ends it."""
    from lal.tracking.store import ENVIRONMENT, database_path, open_store, server_command, shared_store, view_link

    if address := shared_store():
        typer.echo(f"MLFLOW_TRACKING_URI names a server, which shows its runs itself: {address}")
        return
    root = project_root()
    if not database_path(root).exists():
        problem = f"{database_path(root)}: not there, so there is no run to show"
        raise LalError(problem, "run `dvc repro` first, in the folder of the project")
    check_port(port)
    typer.echo("starting MLflow ...")
    log = root / ".lal" / "ui.log"
    log.parent.mkdir(exist_ok=True)
    with server(server_command(root, port), {**os.environ, **ENVIRONMENT}, log) as process:
        link = view_link(open_store(root).experiment, port)
        wait_until_ready(process, port, log)
        typer.echo(f"ready: {link}\nCtrl-C ends it")
        process.wait()


def check_port(port: int) -> None:
    """Makes sure that nobody listens on a port of this computer.

    Raises:
        LalError: Somebody does, or it is not for everybody to use.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does: just closed is free
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise LalError(f"port {port}: {error.strerror}", f"choose another one: lal ui --port {port + 1}") from error


@contextlib.contextmanager
def server(command: list[str], environment: dict[str, str], log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Runs a server, with all processes it starts, until the block ends or this process is told to stop."""
    previous = signal.signal(signal.SIGTERM, _interrupt)
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - the command is ours
            command, env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        yield process
    except KeyboardInterrupt:
        typer.echo("stopped")
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait()
        signal.signal(signal.SIGTERM, previous)


def wait_until_ready(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    """Returns when the server answers.

    Raises:
        LalError: It ended, or does not answer in time.
    """
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise LalError(f"MLflow's server ended with exit code {process.returncode}", f"see {log}")
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2)
            return
        time.sleep(0.3)
    raise LalError(f"MLflow's server did not answer within {START_SECONDS} s", f"see {log}")


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt
