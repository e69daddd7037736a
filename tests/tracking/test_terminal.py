"""Lines for the person at the terminal, whatever has become of it."""

import io
import os
import subprocess
import sys

import pytest

from lal.tracking.reporter import Tracker
from lal.tracking.terminal import write_line

CHILD = """
from lal.tracking.reporter import Tracker

input()
for step in range(3):
    Tracker().say(f"step {step}")
"""


def test_what_the_terminal_cannot_show_is_spelled_out(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    Tracker().say("it writes: \u2019tis \ud800")
    assert written.getvalue() == b"it writes: \\u2019tis \\ud800\n"


def test_each_line_arrives_at_once() -> None:
    written = io.BytesIO()
    stream = io.TextIOWrapper(written, encoding="utf-8")
    write_line(stream, "\u2019tis")
    assert written.getvalue().decode() == "\u2019tis\n"


def test_a_reader_that_has_gone_costs_nothing() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    stream = os.fdopen(writing, "w", encoding="utf-8")
    write_line(stream, "nobody hears this")
    write_line(stream, "nor this")
    stream.close()


def test_a_closed_stream_costs_nothing() -> None:
    stream = io.StringIO()
    stream.close()
    write_line(stream, "nobody hears this")


def test_a_process_whose_reader_has_gone_ends_well() -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert child.stdout is not None
    child.stdout.close()
    child.stdout = None
    _, problems = child.communicate(b"\n", timeout=60)
    assert (child.returncode, problems) == (0, b"")
