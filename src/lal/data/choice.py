"""What a word in params.yaml stands for: something built in, or a path of the user's own."""

import contextlib
import difflib
from collections.abc import Iterable
from pathlib import Path

from lal.errors import ParamsError


def own_path(key: str, value: str, built_in: Iterable[str], what: str) -> Path | None:
    """The user's own path, or None if the value names something built in.

    Args:
        key: For the message, e.g. `data.corpus`.
        value: What params.yaml says; `~` is the user's home.
        built_in: Words that are no paths.
        what: For the message, e.g. `folder of texts`.

    Raises:
        ParamsError: The value is neither.
    """
    words = sorted(built_in)
    if value in words:
        return None
    # No home of that name, a name longer than the file system takes, or a NUL in it: no path either.
    with contextlib.suppress(OSError, RuntimeError, ValueError):
        path = Path(value).expanduser()
        if value.strip() and path.exists():
            return path
    near = difflib.get_close_matches(value, words, n=1)
    remedy = (
        f"did you mean {near[0]!r}?"
        if near
        else f"write {' or '.join(words)}, or create that path; it counts from the folder of params.yaml"
    )
    raise ParamsError(
        f"params.yaml: {key}: neither {' nor '.join(map(repr, words))} nor an existing {what}, got {value!r}", remedy
    )


def is_watched(path: Path, folder: Path) -> bool:
    """Whether a path lies in the folder that DVC watches for changes."""
    return path.resolve().is_relative_to(folder.resolve())
