"""Talking to a model folder: `chat`, `modernise`, `generate`, `next`."""

import contextlib
import sys
from pathlib import Path
from typing import Annotated

import typer

from lal.errors import DataError, ModelError

ModelFolder = Annotated[Path, typer.Option("--model", "-m", help="Model folder.", show_default=True)]
Temperature = Annotated[
    float | None, typer.Option(min=0, max=5, help="0 is greedy, higher is more varied. [default: the model's own]")
]
TopK = Annotated[int | None, typer.Option(min=1, help="Draw from the k likeliest tokens only.")]
TopP = Annotated[
    float | None,
    typer.Option(min=0.001, max=1, help="Draw from the likeliest tokens that together have this probability."),
]
Seed = Annotated[
    int | None, typer.Option(min=0, max=2**32 - 1, help="Same seed, same text. [default: another each time]")
]
MaxNewTokens = Annotated[int | None, typer.Option(min=1, help="Longest answer, in tokens. [default: the model's own]")]

EXPORT = Path("models/export")


def chat(
    model: ModelFolder = EXPORT,
    temperature: Temperature = None,
    top_k: TopK = None,
    top_p: TopP = None,
    seed: Seed = None,
    max_new_tokens: MaxNewTokens = None,
) -> None:
    """Talk with the fine-tuned model. An empty line or Ctrl-D ends it."""
    from lal.records import Message
    from lal.runtime import Runtime

    runtime = Runtime.load(model)
    settings = runtime.settings(temperature, top_k, top_p, max_new_tokens)
    interactive = sys.stdin.isatty()
    if interactive:
        print(f"{runtime.describe()}\nTry: Who are you?   or: Modernise: Giue me my Armor\n")
    with contextlib.suppress(EOFError):
        while line := _clean(input("you> " if interactive else "").strip()):
            # Each question stands alone: the model was tuned on single turns, and its context is short.
            try:
                for piece in runtime.chat([Message(role="user", content=line)], settings, seed):
                    print(piece, end="", flush=True)
                print("\n" if interactive else "")
            except ModelError as error:  # One question too long is no reason to end the conversation.
                print(f"error: {error}", file=sys.stderr)


def modernise(
    file: Annotated[
        Path | None, typer.Argument(help="Text file, one line of verse or prose a line. [default: standard input]")
    ] = None,
    model: ModelFolder = EXPORT,
    hybrid: Annotated[
        bool,
        typer.Option("--hybrid", help="Words that training leaves no doubt about come from the model's lexicon.json."),
    ] = False,
) -> None:
    """Write First Folio lines in modern spelling. Blank lines, indents and the number of lines stay."""
    from lal.runtime import Runtime

    text = _read_text(file)
    lines, num_given_back = text.split("\n") if text else [], 0
    for line in Runtime.load(model).modernise(lines, hybrid=hybrid):
        print(line.text)
        num_given_back += line.given_back
    if num_given_back:
        stand = "as the lexicon alone has them" if hybrid else "as they were"
        problem = f"{num_given_back} of {len(lines)} lines stand, whole or in part, {stand}"
        print(f"warning: {problem}: the model had no usable answer", file=sys.stderr)


def generate(
    prompt: Annotated[str, typer.Argument(help="Text to go on from; may be empty.")] = "",
    model: Annotated[
        Path, typer.Option("--model", "-m", help="Model folder; the base model continues texts best.")
    ] = Path("models/base"),
    temperature: Annotated[float, typer.Option(min=0, max=5, help="0 is greedy, higher is more varied.")] = 0.8,
    top_k: TopK = None,
    top_p: TopP = None,
    seed: Seed = None,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Longest continuation, in tokens.")] = 200,
) -> None:
    """Continue a text, as a base model does."""
    from lal.runtime import Runtime

    runtime = Runtime.load(model)
    settings = runtime.settings(temperature, top_k, top_p, max_new_tokens)
    print(prompt, end="", flush=True)
    for piece in runtime.complete(prompt, settings, seed):
        print(piece, end="", flush=True)
    print()


def next_tokens(
    text: Annotated[str, typer.Argument(help="Text so far.")],
    model: Annotated[Path, typer.Option("--model", "-m", help="Model folder.")] = Path("models/base"),
    most: Annotated[int, typer.Option(min=1, max=1000, help="How many tokens to show.")] = 10,
) -> None:
    """Show what the model expects next. The likeliest tokens, with their probabilities."""
    from lal.runtime import Runtime

    rows = Runtime.load(model).next_tokens(text, most)
    width = max(len(repr(row.text)) for row in rows)
    print(f"{'token':<{width}}  probability")
    for row in rows:
        print(f"{row.text!r:<{width}}  {row.probability:11.4f}  {'#' * round(40 * row.probability)}")
    print(f"{'all others':<{width}}  {max(0.0, 1 - sum(row.probability for row in rows)):11.4f}")


def _clean(line: str) -> str:
    """A typed line without what its terminal could not decode, which no tokenizer could read."""
    return line.encode("utf-8", errors="replace").decode("utf-8")


def _read_text(file: Path | None) -> str:
    try:
        content = sys.stdin.buffer.read() if file is None else file.read_bytes()
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(
            f"{file or 'standard input'}: not UTF-8: byte 0x{content[error.start]:02x} at position {error.start}",
            "save it as UTF-8",
        ) from error
    return text.replace("\r\n", "\n").removesuffix("\n")
