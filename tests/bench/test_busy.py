"""How torch's threads wait: what Lal sets, what it leaves alone, and that the bench times real steps."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.busy import competitors, rows_of, seconds_a_step

ROOT = Path(__file__).parents[2]
WAITING = "import os, lal; print(os.environ.get('GOMP_SPINCOUNT'))"


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, "10000"), ({"GOMP_SPINCOUNT": "5"}, "5"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "None")],
)
def test_threads_wait_briefly_unless_somebody_has_said_how(given: dict[str, str], expected: str) -> None:
    others = {key: value for key, value in os.environ.items() if key not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    command = [sys.executable, "-c", WAITING]
    said = subprocess.run(command, env=others | given, check=True, capture_output=True, text=True).stdout
    assert said.strip() == expected


@pytest.mark.parametrize("module", ["pipeline", "lal.cli"])
def test_it_is_set_before_torch_is_there(module: str) -> None:
    code = f"import os, sys, {module}; print(os.environ.get('GOMP_SPINCOUNT'), 'torch' in sys.modules)"
    others = {key: value for key, value in os.environ.items() if key not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    said = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=others, check=True, capture_output=True, text=True
    )
    assert said.stdout.split() == ["10000", "False"]


def test_ratios_are_to_the_machine_left_alone() -> None:
    times = {(0, "libgomp's own"): [0.05, 0.07], (2, "libgomp's own"): [0.6], (2, "Lal's"): [0.12]}
    assert [(row["ms a step"], row["ratio"]) for row in rows_of(times)] == [(60.0, 1.0), (600.0, 10.0), (120.0, 2.0)]


@pytest.mark.slow
def test_a_step_is_timed_beside_a_busy_process_that_ends_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    with competitors(1) as running:
        assert running[0].poll() is None
        assert seconds_a_step("10000", steps=1) > 0
    assert running[0].poll() is not None
