"""The `lal` command: for people, beside `dvc repro`, which is for the pipeline."""

import os
import sys
from typing import Annotated

import typer

from lal import __version__
from lal.cli import (
    chat,
    compare,
    forget,
    gold,
    iterate,
    monitor,
    noise,
    params,
    plan,
    promote,
    release,
    rollback,
    serve,
    summary,
    trace,
    triage,
    ui,
)  # fmt: skip
from lal.errors import LalError

app = typer.Typer(
    name="lal",
    help="A small language model from your own text, measured on a gold set: `dvc repro` makes it, this uses it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(chat.chat)
app.command()(chat.modernise)
app.command()(chat.generate)
app.command("next")(chat.next_tokens)
app.command()(compare.compare)
app.command()(forget.forget)
app.add_typer(gold.app, name="gold")
app.add_typer(iterate.app, name="iterate")
app.add_typer(params.app, name="params")
app.command()(monitor.monitor)
app.command()(noise.noise)
app.command()(plan.plan)
app.command()(promote.promote)
app.command()(release.release)
app.command()(serve.serve)
app.command()(rollback.rollback)
app.command()(summary.summary)
app.command()(trace.trace)
app.command()(triage.triage)
app.command()(ui.ui)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"lal {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[  # noqa: ARG001 - acts through its callback
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    if debug:
        os.environ["LAL_DEBUG"] = "1"


def main() -> None:
    """Runs the command line: errors of the user's making are one message and exit code 1."""
    try:
        try:
            app()
        finally:
            sys.stdout.flush()  # A full disk is told of here, not by Python on its way out.
    except LalError as error:
        if os.environ.get("LAL_DEBUG") == "1":
            raise
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except BrokenPipeError:
        # The reader, `head` for instance, has seen enough: leave without Python's complaint at the final flush.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
