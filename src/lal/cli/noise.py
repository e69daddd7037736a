"""`lal noise`: how far scores lie apart when nothing but the seed differs."""

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lal.errors import DataError, LalError

if TYPE_CHECKING:
    from lal.evaluation.statistics.noise import NoiseFloor

FLOOR = Path("metrics/noise.json")
PARAMS, PROFILE = Path("params.yaml"), Path("profiles/small.yaml")
PLACES = {"--corpus": "data/corpus", "--conversations": "data/conversations", "--gold": "gold"}

NEXT = f"""\
Now keep it:  git add {FLOOR} dvc.lock && git commit -m 'Measure the noise floor'
Comparisons show differences in units of it from here on; `dvc repro` runs `gate` again, and trains nothing."""


def noise(
    seeds: Annotated[int, typer.Option(min=2, max=100, help="How many trainings; fewer than 5 say little.")] = 5,
    params: Annotated[
        Path | None,
        typer.Option("--params", help=f"Train what this file says, in place of {PARAMS} with {PROFILE} laid over it."),
    ] = None,
    show: Annotated[bool, typer.Option("--show", help="Only show what was measured last.")] = False,
) -> None:
    """Train the same recipe from several seeds, and keep how far their scores lie apart."""
    if not show:
        measure(seeds, params)
    from lal.evaluation.statistics.noise import read_noise

    floor = read_noise(FLOOR)
    print(f"{FLOOR}: nothing was measured yet: run `lal noise`" if floor is None else render_noise(floor))
    if not show:
        print(NEXT)


def measure(seeds: int, params: Path | None) -> None:
    """Runs the stage in a process of its own, and tells DVC that its output is the one to keep.

    Raises:
        LalError: Not in a project's folder, or one of the two failed; what they had to say stands on the terminal.
    """
    if not Path("pipeline", "noise.py").is_file():
        raise LalError("pipeline/noise.py: not there", "run `lal noise` in the folder of the project")
    told = ["--params", str(params or PARAMS), "--profile", str(params or PROFILE)]
    places = [word for pair in PLACES.items() for word in pair]
    stage = [sys.executable, "-m", "pipeline.noise", *told, *places, "--out", str(FLOOR), f"--seeds={seeds}"]
    if subprocess.run(stage, check=False).returncode:  # noqa: S603 - this project's own command
        raise LalError("the seeds were not all trained", "mend what is said above; those that were are kept")
    # The stage is frozen, so that `dvc repro` never trains it; this records its output as the stage's own.
    commit = [sys.executable, "-m", "dvc", "commit", "--force", "--quiet", "noise"]
    if subprocess.run(commit, check=False).returncode:  # noqa: S603
        raise DataError(f"{FLOOR} was written, but DVC did not take it", "run `dvc commit --force noise`")


def render_noise(floor: "NoiseFloor") -> str:
    """The floor as text: what was measured, a line a metric and slice, how to read it."""
    subject = floor.subject
    lines = [
        f"{floor.num_seeds} trainings of {subject.profile} ({subject.parameters:,} parameters) on "
        f"{subject.num_items:,} gold items; only the seed differs.",
        "",
        f"{'metric':<22}{'slice':<20}{'mean':>8}{'lowest':>9}{'highest':>9}{'spread':>9}{'  95 % interval':<20}",
    ]
    for metric, slices in floor.scores.items():
        for name, values in slices.items():
            spread, interval = floor.spread(metric, name), floor.spread_interval(metric, name)
            assert spread is not None
            assert interval is not None
            lines.append(
                f"{metric:<22}{name:<20}{floor.means[metric][name]:>8.4f}{min(values):>9.4f}{max(values):>9.4f}"
                f"{spread:>9.4f}  {interval[0]:.4f} to {interval[1]:.4f}"
            )
    lines += [
        "",
        "Spread is the standard deviation between seeds. Two single trainings of one recipe differ by more than "
        f"{floor.critical_units:.1f} units",
        "of sqrt(2) times the spread once in twenty times. This is not the doubt about the gold items: a comparison's "
        "interval tells that.",
    ]
    return "\n".join(lines)
