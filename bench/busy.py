"""What a training step costs on a machine that does something else too, by how long torch's threads wait in circles.

    python -m bench.busy

Times the project's step, compiled, in fresh processes that take turns: with libgomp's own wait of 300,000 turns, with
Lal's (see `lal/__init__.py`), and with none; alone, beside one busy process, and beside as many as there are cores.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from statistics import fmean

import torch

import lal  # noqa: F401 - sets what "Lal's" below reads
from bench.table import PAGE, report

WAITS = {"libgomp's own": "300000", "Lal's": os.environ.get("GOMP_SPINCOUNT", ""), "none": "0"}
"""Turns in a circle before a waiting thread sleeps."""

TRAINING = """
import sys
from bench.workload import Shape, Training
training = Training(Shape(), is_compiled=True)
training.run(3)
seconds = training.run(int(sys.argv[1]))
print(sum(seconds) / len(seconds))
"""

Times = dict[tuple[int, str], list[float]]


@contextmanager
def competitors(count: int) -> Iterator[list["subprocess.Popen[bytes]"]]:
    """So many processes that want a core each, inside the block."""
    running = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield running
    finally:
        for process in running:
            process.kill()
            process.wait()


def seconds_a_step(wait: str, steps: int) -> float:
    """The mean over a training of so many steps, in a fresh process whose threads wait so."""
    environment = os.environ | {"GOMP_SPINCOUNT": wait}
    command = [sys.executable, "-c", TRAINING, str(steps)]
    said = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout  # noqa: S603
    return float(said.split()[-1])


def measure(others: Sequence[int], rounds: int, steps: int) -> Times:
    """Seconds of a step by (busy processes beside it, way to wait), one of each a round."""
    times: Times = {}
    for count in others:
        for _ in range(rounds):
            for name, wait in WAITS.items():
                with competitors(count):
                    times.setdefault((count, name), []).append(seconds_a_step(wait, steps))
    return times


def rows_of(times: Times) -> list[dict[str, object]]:
    """The table; ratios to libgomp's own wait, alone on the machine."""
    base = fmean(times[0, "libgomp's own"])
    return [
        {
            "busy processes beside it": count,
            "threads wait": name,
            "ms a step": round(1000 * fmean(seconds), 1),
            "from": round(1000 * min(seconds), 1),
            "to": round(1000 * max(seconds), 1),
            "ratio": round(fmean(seconds) / base, 2),
        }
        for (count, name), seconds in times.items()
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures and reports."""
    parser = argparse.ArgumentParser(prog="python -m bench.busy", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=3, help="trainings of each kind")
    parser.add_argument("--steps", type=int, default=30, help="of each training")
    parser.add_argument("--print-only", action="store_true", help="leave docs/experiments.md alone")
    options = parser.parse_args(arguments)
    others = (0, 1, torch.get_num_threads())
    rows = rows_of(measure(others, options.rounds, options.steps))
    note = "Ratio: to the first row. Each training is a fresh process; the ways to wait take turns."
    report("busy", "A training step on a busy machine", rows, note, None if options.print_only else PAGE)


if __name__ == "__main__":
    main()
