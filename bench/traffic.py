"""Another archive's requests, for docs/once_around.md: First Folio lines that keep the long s, sent and corrected.

    python -m bench.traffic --count 300 --correct 240        # while `lal serve` runs
    python -m bench.traffic --skip 300 --count 200

The Folio prints an s that does not end a word as a long one; the transcription that Lal was made from does not, others
do. Five lines in six are of plays that training has, in plain letters, and each sixth is of the two plays that training
only looks at. So the modern spelling of all is known: it tells how many answers were right, and it is what the archive
sends as corrections; and what is held out can become gold items.
"""

import argparse
import itertools
import random
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lal.errors import LalError
from lal.export.http_json import ask_json
from lal.monitor.window import is_from_live
from lal.records import MODERNISE_PREFIX, Conversation, line_to_modernise, read_records

CONVERSATIONS = Path("data/conversations")
SEED = 1623

EACH = 6
"""Of so many lines one is held out from training."""

LONG_S = "\N{LATIN SMALL LETTER LONG S}"


def with_long_s(line: str) -> str:
    """A line as a compositor of 1623 set it.

    Example:
        >>> with_long_s("Haue you seene Caesars house?").count(LONG_S)
        3
    """
    return re.sub(r"s(?=[a-z])", LONG_S, line)


@dataclass(frozen=True)
class Line:
    """One request, its right answer, and whether training lacks the line."""

    prompt: str
    answer: str
    is_held_out: bool


def traffic(training: Sequence[Conversation], held_out: Sequence[Conversation]) -> Iterator[Line]:
    """The archive's lines, in an order that is always the same."""
    known, new = iter(_shuffled(training, is_held_out=False)), iter(_shuffled(held_out, is_held_out=True))
    for number in itertools.count(1):
        if (line := next(known if number % EACH else new, None)) is None:
            return
        yield line


def _shuffled(rows: Sequence[Conversation], is_held_out: bool) -> list[Line]:
    """The lines that have a long s."""
    lines = [
        Line(MODERNISE_PREFIX + printed, row.answer, is_held_out)
        for row in rows
        if LONG_S in (printed := with_long_s(line_to_modernise(row.prompt) or "")) and not is_from_live(row)
    ]
    random.Random(SEED).shuffle(lines)  # noqa: S311 - an order, not a secret
    return lines


def send(endpoint: str, lines: Sequence[Line], num_corrected: int) -> list[bool]:
    """Asks each line, and corrects the first so many answers; whether each was right."""
    right = []
    for number, line in enumerate(lines):
        body = {"model": "lal", "messages": [{"role": "user", "content": line.prompt}]}
        answered = ask_json(f"{endpoint}/chat/completions", body)
        right.append(answered["choices"][0]["message"]["content"] == line.answer)
        if number < num_corrected:
            rating = "up" if right[-1] else "down"
            ask_json(f"{endpoint}/feedback", {"request": answered["id"], "rating": rating, "correction": line.answer})
    return right


def main(arguments: Sequence[str] | None = None) -> None:
    """Sends it, and says how the answers were."""
    parser = argparse.ArgumentParser(prog="python -m bench.traffic", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--endpoint", default="http://127.0.0.1:8000/v1")
    parser.add_argument("--skip", type=int, default=0, help="lines that were sent before")
    parser.add_argument("--count", type=int, default=300, help="lines to send")
    parser.add_argument("--correct", type=int, default=0, help="of these, how many to send the right answer to")
    options = parser.parse_args(arguments)
    try:
        rows = [read_records(CONVERSATIONS / f"{split}.jsonl", Conversation) for split in ("train", "validation")]
        lines = list(itertools.islice(traffic(rows[0], rows[1]), options.skip, options.skip + options.count))
        right = send(options.endpoint, lines, options.correct)
    except LalError as error:
        sys.exit(f"error: {error}")
    told = []
    for is_held_out, what in ((False, "that training has in plain letters"), (True, "that it lacks")):
        found = [is_right for line, is_right in zip(lines, right, strict=True) if line.is_held_out == is_held_out]
        told.append(f"{sum(found)} of {len(found)} lines {what}")
    sys.stdout.write(f"Answered to the letter: {', '.join(told)}; {min(options.correct, len(lines))} corrected\n")


if __name__ == "__main__":
    main()
