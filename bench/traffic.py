"""Another archive's requests, for docs/once_around.md: First Folio lines that keep the long s, sent and corrected.

    python -m bench.traffic --count 300 --correct 240        # while `lal serve` runs
    python -m bench.traffic --skip 300 --count 200

The Folio prints an s that does not end a word as a long one; the transcription that Lal was made from does not, others
do. The lines are those of the two plays that training only looks at, in an order of their own, so that their modern
spelling is known: it tells how many answers were right, and it is what the archive's editors send as corrections.
"""

import argparse
import random
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from lal.errors import LalError
from lal.export.http_json import ask_json
from lal.records import MODERNISE_PREFIX, Conversation, line_to_modernise, read_records

LINES = Path("data/conversations/validation.jsonl")
SEED = 1623

LONG_S = "\N{LATIN SMALL LETTER LONG S}"


def with_long_s(line: str) -> str:
    """A line as a compositor of 1623 set it.

    Example:
        >>> with_long_s("Haue you seene Caesars house?").count(LONG_S)
        3
    """
    return re.sub(r"s(?=[a-z])", LONG_S, line)


def traffic(rows: Sequence[Conversation]) -> Iterator[tuple[str, str]]:
    """(prompt, right answer) of each line that has a long s, shuffled."""
    lines = [(line_to_modernise(row.prompt) or "", row.answer) for row in rows]
    random.Random(SEED).shuffle(lines)  # noqa: S311 - an order, not a secret
    for line, answer in lines:
        if LONG_S in (printed := with_long_s(line)):
            yield MODERNISE_PREFIX + printed, answer


def send(endpoint: str, pairs: Sequence[tuple[str, str]], num_corrected: int) -> tuple[int, int]:
    """Asks each question; how many answers were right, and how many corrections were taken."""
    num_right = num_taken = 0
    for prompt, expected in pairs:
        body = {"model": "lal", "messages": [{"role": "user", "content": prompt}]}
        answered = ask_json(f"{endpoint}/chat/completions", body)
        said = answered["choices"][0]["message"]["content"]
        num_right += said == expected
        if num_taken < num_corrected:
            rating = "up" if said == expected else "down"
            ask_json(f"{endpoint}/feedback", {"request": answered["id"], "rating": rating, "correction": expected})
            num_taken += 1
    return num_right, num_taken


def main(arguments: Sequence[str] | None = None) -> None:
    """Sends it, and says how the answers were."""
    parser = argparse.ArgumentParser(prog="python -m bench.traffic", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--endpoint", default="http://127.0.0.1:8000/v1")
    parser.add_argument("--skip", type=int, default=0, help="lines that were sent before")
    parser.add_argument("--count", type=int, default=300, help="lines to send")
    parser.add_argument("--correct", type=int, default=0, help="of these, how many to send the right answer to")
    options = parser.parse_args(arguments)
    try:
        pairs = list(traffic(read_records(LINES, Conversation)))[options.skip : options.skip + options.count]
        num_right, num_taken = send(options.endpoint, pairs, options.correct)
    except LalError as error:
        sys.exit(f"error: {error}")
    sys.stdout.write(f"{len(pairs)} requests, {num_right} answered to the letter, {num_taken} corrected\n")


if __name__ == "__main__":
    main()
