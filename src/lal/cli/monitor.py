"""`lal monitor`: look at the live traffic now, with an exit code for cron."""

import subprocess
import sys
from pathlib import Path

import typer

from lal.errors import LalError
from lal.files import read_json

METRICS, REPORT = Path("metrics/monitor.json"), Path("reports/monitor.html")

ALARM = 3
"""Exit code where something should be looked at; 1 is an error."""


def monitor() -> None:
    """Ask the served model the gold set, and compare live prompts with those it was made for. Exit code 3: an alarm."""
    if not Path("dvc.yaml").is_file():
        raise LalError("dvc.yaml: not there", "run `lal monitor` in the folder of the project")
    # Forced: a server may have changed where no file has.
    command = [sys.executable, "-m", "dvc", "repro", "--force", "--single-item", "--quiet", "monitor"]
    if subprocess.run(command, check=False, stdout=subprocess.DEVNULL).returncode:  # noqa: S603 - this project's own command
        raise LalError("the stage `monitor` failed", "mend what is said above; `dvc repro` makes what it reads")
    found = read_json(METRICS)
    print("\n".join(f"ALARM: {sentence}" for sentence in found["sentences"]) or "no alarm")
    num_right = found["gold_items"] - found["served_otherwise"]
    print(f"{num_right} of {found['gold_items']} gold items answered as measured, {found['requests']:,} live requests")
    if found["not_trained_on_yet"]:
        print(
            f"{found['not_trained_on_yet']} live requests are in the training data, but not in the model: `dvc repro`"
        )
    print(f"{REPORT} has the numbers")
    if found["alarms"]:
        raise typer.Exit(ALARM)
