"""How a bench shows what it measured: a table in the terminal, and its own block of docs/experiments.md.

A block stands between two comments that a reader of the page does not see, so that running a bench again replaces its
table and nothing else. Each block says on which machine it was measured: a figure without its machine is none.
"""

import datetime
import os
import platform
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil
import torch

from lal.files import write_text
from lal.train.precision import has_native_bf16

PAGE = Path("docs/experiments.md")


def report(
    name: str, title: str, rows: Sequence[Mapping[str, object]], note: str = "", page: Path | None = PAGE
) -> None:
    """Prints a table, and puts it into a page in place of what the same bench wrote there before.

    Args:
        name: Of the bench, as in `python -m bench.<name>`; several tables of one bench have different names.
        title: Heading of the block.
        rows: What was measured; all have the keys of the first, which are the table's head. Floats should be rounded.
        note: What a reader must know to read the table, and what follows from it.
        page: Markdown file to write to; None: the terminal alone, for runs too short to mean anything.
    """
    table = render(rows)
    sys.stdout.write(f"\n{title}\n\n{table}\n{note}\n" if note else f"\n{title}\n\n{table}\n")
    if page is not None:
        command = f"`python -m bench.{name.split('-')[0]}` on {machine()}."
        lines = [f"### {title}", command, table, *([note] if note else [])]
        write_text(page, replace_block(page.read_text(encoding="utf-8"), name, "\n\n".join(lines)))


def render(rows: Sequence[Mapping[str, object]]) -> str:
    """Rows as a markdown table with aligned columns; numbers to the right.

    Example:
        >>> print(render([{"run": "ours", "loss": 1.5}, {"run": "theirs", "loss": 1.88}]))
        | run    | loss |
        | ------ | ---: |
        | ours   |  1.5 |
        | theirs | 1.88 |
    """
    names = list(rows[0])
    cells = [[_text(row[name]) for name in names] for row in rows]
    is_number = [all(isinstance(row[name], int | float) for row in rows) for name in names]
    widths = [max(len(line[place]) for line in [names, *cells]) for place in range(len(names))]

    def line(values: Sequence[str]) -> str:
        padded = [
            value.rjust(width) if right else value.ljust(width)
            for value, width, right in zip(values, widths, is_number, strict=True)
        ]
        return f"| {' | '.join(padded)} |"

    rule = ["-" * (width - 1) + ":" if right else "-" * width for width, right in zip(widths, is_number, strict=True)]
    return "\n".join([line(names), f"| {' | '.join(rule)} |", *(line(row) for row in cells)])


def replace_block(page: str, name: str, content: str) -> str:
    """The page with a named block's content replaced; a block that is not there yet comes at the end."""
    begin, end = f"<!-- bench:{name} -->", f"<!-- /bench:{name} -->"
    block = f"{begin}\n{content}\n{end}"
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if pattern.search(page):
        return pattern.sub(lambda _: block, page, count=1)
    return f"{page.rstrip()}\n\n{block}\n"


def machine() -> str:
    """What this computer is, in one line: processor, memory, torch, and the day."""
    memory = psutil.virtual_memory().total / 2**30
    bf16 = "native bf16" if has_native_bf16(torch.device("cpu")) else "no native bf16"
    return (
        f"{_processor()}, {os.cpu_count()} cores ({torch.get_num_threads()} threads used), {bf16}, {memory:.0f} GiB, "
        f"torch {torch.__version__}, {datetime.date.today():%d %B %Y}"
    )


def _processor() -> str:
    """The processor's name with its family and model, since clouds call many of them the same."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    pairs = [line.split(":", 1) for line in reversed(lines) if ":" in line]
    told = {key.strip(): value.strip() for key, value in pairs}
    if "model name" not in told:
        return platform.machine()
    return f"{told['model name']} (family {told.get('cpu family', '?')}, model {told.get('model', '?')})"


def _text(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
