"""What a stage reports to while it runs: the terminal, and MLflow if it can be reached.

Tracking is best effort. A locked, missing or damaged store costs a second and a warning, never a trained model: what
could not be sent is kept and sent with the next success, and the files of metrics/ and plots/ hold it in any case.
"""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lal.errors import LostProcessError
from lal.lineage import project_root
from lal.tracking.points import Point, flatten_metrics, flatten_params, flatten_texts, make_points
from lal.tracking.store import is_tracking, probe, store_uri
from lal.tracking.terminal import write_line

if TYPE_CHECKING:
    from lal.tracking.runs import Runs

FLUSH_SECONDS = 2.0
"""Numbers are sent this often, in one go: a call for each would cost 4 ms, a batch costs 0.1 ms a number."""

MAX_PAUSE_SECONDS = 60.0
"""After a failure the next try comes later and later, at most this much."""


@contextlib.contextmanager
def track(stage: str, params: Mapping[str, Any]) -> Iterator["Tracker"]:
    """Runs a stage inside its MLflow run; with LAL_TRACKING=off, without one.

    Args:
        stage: Its name in dvc.yaml.
        params: The whole of params.yaml as nested mappings.

    Yields:
        What the stage reports to; its `run_id` is None if the run could not be recorded.
    """
    if not is_tracking():
        yield Tracker()
        return
    tracker = MlflowTracker(stage, flatten_params(params))
    try:
        yield tracker
    except BaseException as error:
        status = "KILLED" if isinstance(error, KeyboardInterrupt | SystemExit | LostProcessError) else "FAILED"
        tracker.end(status, str(error) or type(error).__name__)
        raise
    tracker.end("FINISHED")


class Tracker:
    """A `Reporter` that only tells the person at the terminal."""

    run_id: str | None = None

    def numbers(self, values: Mapping[str, float], step: int) -> None:
        """Points of curves."""

    def attach(self, path: Path) -> None:
        """A report worth keeping with the run."""

    def table(self, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Rows that can be compared between runs; they become the artifact `<name>/results.json`."""

    def results(self, metrics: Mapping[str, Any]) -> None:
        """The final numbers of the stage, nested as in metrics/<stage>.json."""

    def say(self, message: str) -> None:
        """Prints a line, if there is somebody to read it."""
        write_line(sys.stdout, message)


class MlflowTracker(Tracker):
    """A `Reporter` that also tells MLflow: it keeps what it hears and sends it every `FLUSH_SECONDS`."""

    def __init__(self, stage: str, params: Mapping[str, str]) -> None:
        self._stage = stage
        self._params = params
        self._root = project_root()
        self._runs: Runs | None = None
        self._points: list[Point] = []
        self._todo: list[Callable[[Runs], None]] = []
        self._pause = FLUSH_SECONDS
        self._due = 0.0
        self._warned = False
        self._flush()

    def numbers(self, values: Mapping[str, float], step: int) -> None:
        """Points of curves."""
        self._points += make_points(self._stage, values, step)
        self._flush()

    def attach(self, path: Path) -> None:
        """A report worth keeping with the run; sent with what comes next, as it is then."""
        self._todo.append(lambda runs: runs.log_file(path))

    def table(self, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Rows that can be compared between runs; they become the artifact `<name>/results.json`."""
        self._todo.append(lambda runs: runs.log_table(f"{name}/results.json", rows))

    def results(self, metrics: Mapping[str, Any]) -> None:
        """The final numbers and words of the stage, nested as in metrics/<stage>.json."""
        points, texts = make_points(self._stage, flatten_metrics(metrics), 0), flatten_texts(self._stage, metrics)
        self._todo.append(lambda runs: runs.log_results(points, texts))

    def end(self, status: str, problem: str = "") -> None:
        """Sends what is left and closes the run as FINISHED, FAILED or KILLED."""
        self._todo.append(lambda runs: runs.end(status, problem))
        self._flush(at_once=True)
        if self._points or self._todo:
            self._warn(f"what is missing in {store_uri(self._root)} is in metrics/{self._stage}.json")

    def _flush(self, at_once: bool = False) -> None:
        if not at_once and time.monotonic() < self._due:
            return
        try:
            self._send()
            self._pause = FLUSH_SECONDS
        except Exception as error:  # whatever it is: the stage must go on
            self._pause = min(2 * self._pause, MAX_PAUSE_SECONDS)
            if not self._warned:
                self._warn(f"{type(error).__name__}: {error}".splitlines()[0][:300] + "; the stage goes on without")
            self._warned = True
        self._due = time.monotonic() + self._pause

    def _send(self) -> None:
        from lal.tracking.runs import open_runs

        probe(self._root, must_exist=self._runs is not None)
        if self._runs is None:
            self._runs = open_runs(self._root, self._stage, self._params)
            self.run_id = self._runs.child
        self._runs.log_curves(self._points)
        self._points = []
        while self._todo:
            self._todo[0](self._runs)
            self._todo.pop(0)

    def _warn(self, message: str) -> None:
        write_line(sys.stderr, f"tracking: {message}")
