"""`lal serve`: the exported model behind HTTP."""

import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import typer

from lal.errors import LalError
from lal.tracking.model_address import is_address

KEY = "LAL_API_KEY"
"""Environment variable with the secret that clients must send."""

LIVE = Path("data/live")


def serve(
    model: Annotated[
        str, typer.Option("--model", "-m", help="Model folder, or a registered model such as models:/lal@champion.")
    ] = "models/export",
    backend: Annotated[
        Literal["torch", "llama.cpp"], typer.Option(help="What runs it; llama.cpp needs the bundle's GGUF file.")
    ] = "torch",
    host: Annotated[
        str, typer.Option(help=f"Where to listen; beyond this computer only with {KEY} set.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8000,
    log: Annotated[
        Path | None, typer.Option(help="Folder for answered requests. [default: data/live, in a project]")
    ] = None,
    no_log: Annotated[bool, typer.Option("--no-log", help="Keep no request.")] = False,
    log_share: Annotated[
        float, typer.Option(min=0, max=1, help="Chance that a request is kept that nothing speaks for.")
    ] = 0.1,
) -> None:
    """Answer over HTTP: OpenAI's protocol under /v1, and a chat page. Ctrl-C ends it."""
    if no_log and log is not None:
        raise LalError("--log and --no-log contradict each other", "give one of them")
    from lal.serve.process import Options, serve
    from lal.serve.served import Served

    logging.basicConfig(stream=sys.stderr, format="%(levelname)s: %(message)s", level=logging.WARNING)
    folder = None if no_log else log or _default_log()

    def on_ready(address: str, served: Served) -> None:
        kept = "no request is kept" if folder is None else f"answered requests are kept in {folder} (--no-log: none)"
        typer.echo(f"{served.describe()}\n{kept}\nready: {address}/   (API: {address}/v1)\nCtrl-C ends it")

    key = os.environ.get(KEY) or None
    serve(Options(_finder(model), backend, host, port, key, folder, log_share), on_ready)
    typer.echo("stopped")


def _default_log() -> Path | None:
    """data/live of the project that this is, if it is one."""
    return LIVE if LIVE.is_dir() and Path("params.yaml").is_file() else None


def _finder(model: str) -> Callable[[], Path]:
    """What tells, again and again, the folder to serve."""
    if not is_address(model):
        return lambda: Path(model)
    from lal.tracking.registry import model_folder

    root = Path.cwd()
    return lambda: model_folder(model, root)
