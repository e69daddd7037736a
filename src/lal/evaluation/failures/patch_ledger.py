"""What became of data patches: ledger/patches.jsonl, one row a patch, with the gold lift it brought.

The answers from before a patch are kept beside the ledger, because the next evaluation overwrites them. A lift is the
difference between two trainings: it holds the patch, and also the luck of a second training; where the noise floor is
known, the difference stands there in units of it too.
"""

import datetime
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lal.data.patches import SOURCE_PREFIX, PatchRow
from lal.evaluation.failures.records import Failures
from lal.evaluation.scores.results import Result, read_results, write_results
from lal.evaluation.scores.scoreboard import HEADLINE, PASSES
from lal.evaluation.statistics.noise import NoiseFloor
from lal.evaluation.verdict.comparison import Comparison, compare
from lal.files import sha256, write_jsonl
from lal.records import Id, Many, Record, read_records


class Lift(Record):
    """Paired difference, after minus before, of one metric on one slice."""

    metric: str
    slice: str
    old: float | None
    new: float | None
    difference: float
    low: float
    """Lower end of the 95 % interval, from the items alone."""
    high: float
    verdict: str
    noise_units: float | None
    """The difference in standard deviations between two trainings that differ in their seed; None if not known."""


class PatchEntry(Record):
    """One applied patch."""

    id: Id
    """The name of the patch, that of its file without the ending."""
    sha256: str
    """Of its file."""
    num_rows: int
    kinds: dict[str, int]
    """Rows by kind: unused, repeat, skeleton."""
    groups: Many[str]
    """Groups of failures that its rows are meant to mend."""
    slices: Many[str]
    """Slices of these groups."""
    new_gold_words: Many[str]
    """Words of gold lines that training lacked before: items that hold them have become easier for that reason."""
    applied_on: str
    before_sha256: str
    """Digest of the answers before; see `lal.evaluation.failures.records.digest`."""
    before_run: str | None
    """MLflow run that gave these answers, if it is known."""
    measured_on: str = ""
    """Day on which the lift was taken; empty until an evaluation follows a training with the patch."""
    after_sha256: str = ""
    after_run: str | None = None
    together_with: Many[str] = ()
    """Patches that came into training between the same two evaluations; the lift is of all of them."""
    lifts: Many[Lift] = ()


@dataclass(frozen=True)
class Ledger:
    """The folder of the ledger."""

    folder: Path

    @property
    def path(self) -> Path:
        """The file of entries."""
        return self.folder / "patches.jsonl"

    def before(self, before_sha256: str) -> Path:
        """The file of the answers from before a patch; patches that were applied together share one."""
        return self.folder / "before" / f"{before_sha256[:16]}.jsonl"

    def entries(self) -> list[PatchEntry]:
        """All entries in the order they were made.

        Raises:
            DataError: A line is no entry.
        """
        return read_records(self.path, PatchEntry) if self.path.is_file() else []

    def write(self, entries: Sequence[PatchEntry]) -> None:
        """Writes all entries."""
        write_jsonl(self.path, entries)

    def add(self, entry: PatchEntry, own: Sequence[Result]) -> None:
        """Adds an entry, and keeps the answers it is to be compared with.

        Args:
            entry: About a patch just applied.
            own: The answers of the model so far.
        """
        write_results(self.before(entry.before_sha256), own)
        self.write([*self.entries(), entry])


def new_entry(
    patch: Path,
    rows: Sequence[PatchRow],
    failures: Failures,
    new_gold_words: Sequence[str],
    run_id: str | None,
    today: datetime.date,
) -> PatchEntry:
    """An entry about a patch that lies in its place.

    Args:
        patch: Its file.
        rows: What it holds.
        failures: Those of the model so far.
        new_gold_words: See `PatchEntry`.
        run_id: Of the evaluation so far.
        today: For the record.
    """
    slices = {group.id: group.slice for group in failures.groups}
    groups = tuple(dict.fromkeys(row.group for row in rows))
    return PatchEntry(
        id=patch.stem,
        sha256=sha256(patch),
        num_rows=len(rows),
        kinds=dict(sorted(Counter(row.kind for row in rows).items())),
        groups=groups,
        slices=tuple(dict.fromkeys(slices.get(group, group.split(" / ")[0]) for group in groups)),
        new_gold_words=tuple(new_gold_words),
        applied_on=today.isoformat(),
        before_sha256=failures.results_sha256,
        before_run=run_id,
    )


def is_trained_with(entry: PatchEntry, sources: Mapping[str, str]) -> bool:
    """Whether a patch, unchanged, is among the sources of the training conversations."""
    return sources.get(f"{SOURCE_PREFIX}{entry.id}.jsonl") == entry.sha256


def measure(
    ledger: Ledger,
    own: Sequence[Result],
    failures: Failures,
    headline_slices: Sequence[str],
    noise: NoiseFloor | None,
    run_id: str | None,
    today: datetime.date,
) -> list[PatchEntry]:
    """The entries, with the lift of those whose patch was trained with since and was not measured yet.

    Args:
        ledger: With the answers from before.
        own: The model's answers now.
        failures: Made from them.
        headline_slices: As in params.yaml.
        noise: The noise floor, if it was measured.
        run_id: Of the evaluation now.
        today: For the record.

    Raises:
        DataError: The answers from before a patch are missing.
    """
    entries = ledger.entries()
    due = [
        entry
        for entry in entries
        if not entry.measured_on
        and is_trained_with(entry, failures.training_sources)
        and entry.before_sha256 != failures.results_sha256
    ]
    measured = {}
    for entry in due:
        before = read_results(ledger.before(entry.before_sha256))
        comparison = compare(before, own, headline_slices, noise)
        measured[entry.id] = entry.model_copy(
            update={
                "measured_on": today.isoformat(),
                "after_sha256": failures.results_sha256,
                "after_run": run_id,
                "together_with": tuple(other.id for other in due if other is not entry),
                "lifts": lifts_of(comparison, entry.slices),
            }
        )
    return [measured.get(entry.id, entry) for entry in entries]


def lifts_of(comparison: Comparison, slices: Sequence[str]) -> tuple[Lift, ...]:
    """Pass or fail on the headline and on the slices that something was meant for, or might have harmed."""
    return tuple(
        Lift(
            metric=row.metric,
            slice=row.slice,
            old=row.old.value,
            new=row.new.value,
            difference=round(row.difference.value, 4),
            low=round(row.difference.low, 4),
            high=round(row.difference.high, 4),
            verdict=row.verdict,
            noise_units=None if row.noise_units is None else round(row.noise_units, 2),
        )
        for row in comparison.rows
        if row.metric in PASSES and row.slice in (HEADLINE, *slices)
    )
