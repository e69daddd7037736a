"""Lines for the person at the terminal, which must never cost a stage its result."""

import contextlib
import os
from pathlib import Path
from typing import TextIO


def write_line(stream: TextIO, line: str) -> None:
    """Writes a line, at once also to a pipe; raises nothing, whatever has become of the stream.

    What the stream's encoding lacks is spelled out as code points. A stream whose reader has gone, as under
    `dvc repro | head`, is silenced.
    """
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        stream.write(line.encode(encoding, "backslashreplace").decode(encoding) + "\n")
        stream.flush()
    except (OSError, ValueError):
        _silence(stream)


def _silence(stream: TextIO) -> None:
    """Sends what is still to come nowhere: the line stuck in the buffer would make Python itself exit with 120."""
    with contextlib.suppress(OSError, ValueError), Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), stream.fileno())
