"""The baseline ladder: what is free, rung by rung, and what the network adds to the best of it.

The rungs, from doing nothing to the network itself: copying, rules, a table of words, the nearest training answer; for
text rather than tasks, letter frequencies and an n-gram model; the network before fine-tuning; the champion. The
comparison is item by item, that of `lal.evaluation.verdict.comparison`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from lal.evaluation.scores.results import Result, of_solver, solvers
from lal.evaluation.scores.scoreboard import (
    HEADLINE,
    PASSES,
    SIZE,
    TEXT_BITS,
    TEXT_MODELS,
    build_scoreboard,
    mean_bits,
    metric_key,
)
from lal.evaluation.statistics.intervals import Estimate
from lal.evaluation.verdict.comparison import Comparison, MetricComparison, compare

FREE = ("copy", "rules", "lexicon", "lexicon+rules", "nearest", "base")
"""Solvers that cost no training of the network shipped: it has to beat the best of them."""

CHAMPION = "champion"

Kind = Literal["free", "other", "champion", "own"]


@dataclass(frozen=True)
class Rung:
    """One competitor.

    Attributes:
        name: The solver, model of text, or `champion`.
        kind: free: no training of the shipped network. own: the shipped network. other: anything else that answered.
        headline: Mean of the headline slices, without a value where it did not answer one; None if it answers nothing.
        size: Parameters of a network, entries of a table, rules; None where it is not known.
        text_bits: Bits per byte of the held-out text; None where it is no model of text.
        answer_bits: Bits per byte of the right answers; None likewise.
    """

    name: str
    kind: Kind
    headline: Estimate | None
    size: int | None
    text_bits: float | None
    answer_bits: float | None


@dataclass(frozen=True)
class Change:
    """The network against a rung on one slice.

    Attributes:
        slice: Its name.
        rung: Who is on the other side.
        row: The comparison, the network being the new one.
    """

    slice: str
    rung: str
    row: MetricComparison


@dataclass(frozen=True)
class Ladder:
    """All rungs, and how the last stands against the best free one.

    Attributes:
        solver: The shipped network.
        rungs: From the bottom up.
        best: The free rung with the highest headline; empty if none has one.
        gain: The network against it, over the headline slices; None if it cannot be compared.
        changes: Slice by slice against it, and where it does not answer, against the best free rung that does.
    """

    solver: str
    rungs: tuple[Rung, ...]
    best: str
    gain: MetricComparison | None
    changes: tuple[Change, ...]

    @property
    def sentence(self) -> str:
        """What the network adds over the best of what is free, and where it loses."""
        name = self.solver[:1].upper() + self.solver[1:]
        if self.gain is None:
            return f"{name} has no headline score that a free baseline has too: nothing says what the network adds."
        ahead = max((each for each in self.changes if _gain(each) > 0), key=_gain, default=None)
        behind = [each for each in self.changes if _gain(each) < 0]
        told = [_against(name, self.best, self.gain)]
        if ahead:
            told.append(f", most in {ahead.slice} ({self._scores(ahead)})")
        losses = _listed([f"{each.slice} ({self._scores(each)}{_doubt(each.row)})" for each in behind])
        told.append(f"; it loses in {losses}." if losses else "; it loses in no slice.")
        return "".join(told)

    def _scores(self, change: Change) -> str:
        whose = "" if change.rung == self.best else f" of {change.rung}"
        return f"{_share(change.row.new)} against {_share(change.row.old)}{whose}"


def build_ladder(
    results: Sequence[Result],
    headline_slices: Sequence[str],
    solver: str,
    facts: Mapping[str, Any] | None = None,
    champion: Sequence[Result] = (),
) -> Ladder:
    """Makes the ladder out of what evaluations left.

    Args:
        results: All rows of reports/gold.jsonl.
        headline_slices: Slices whose mean is the headline.
        solver: The shipped network.
        facts: The content of metrics/evaluate.json: sizes and bits per byte of the text.
        champion: The champion's rows; none before the first promotion.
    """
    facts = facts or {}
    sizes, text_bits = facts.get(SIZE, {}), facts.get(TEXT_BITS, {})
    rows = [*results, *(row.model_copy(update={"solver": CHAMPION}) for row in champion)]
    board = build_scoreboard(rows, headline_slices)

    def rung(name: str, kind: Kind) -> Rung:
        key, row = metric_key(name), board.row(name)
        bits = mean_bits(of_solver(rows, name))
        return Rung(name, kind, row.headline if row else None, sizes.get(key), text_bits.get(key), bits)

    rungs = tuple(rung(name, kind) for name, kind in _order(rows, solver, text_bits))
    best = max(
        (each for each in rungs if each.kind == "free" and each.headline and each.headline.value is not None),
        key=lambda each: each.headline.value or 0.0 if each.headline else 0.0,
        default=None,
    )
    if best is None:
        return Ladder(solver, rungs, "", None, ())
    own = _right_or_wrong(of_solver(results, solver))
    compared = {
        each.name: compare(_right_or_wrong(of_solver(results, each.name)), own, headline_slices)
        for each in rungs
        if each.kind == "free" and each.headline is not None
    }
    gain = _row(compared[best.name], HEADLINE)
    return Ladder(solver, rungs, best.name, gain, _changes(compared, best.name, results))


def _order(rows: Sequence[Result], solver: str, text_bits: Mapping[str, float]) -> list[tuple[str, Kind]]:
    """Who is there, from the bottom up."""
    there = solvers(rows)
    others = [name for name in there if name not in (*FREE, CHAMPION, solver)]
    order: list[tuple[str, Kind]] = [(name, "free") for name in FREE[:-1] if name in there]
    order += [(name, "free") for name in TEXT_MODELS if metric_key(name) in text_bits]
    order += [(name, "free") for name in FREE[-1:] if name in there]
    order += [(name, "other") for name in others]
    order += [(CHAMPION, "champion")] if CHAMPION in there else []
    return order + ([(solver, "own")] if solver in there else [])


def _changes(compared: Mapping[str, Comparison], best: str, results: Sequence[Result]) -> tuple[Change, ...]:
    """One change a slice, in the order of the gold set."""
    found = []
    for name in dict.fromkeys(result.slice for result in results):
        rows = {rung: row for rung, comparison in compared.items() if (row := _row(comparison, name))}
        if rows:
            rung = best if best in rows else max(rows, key=lambda each: rows[each].old.value or 0.0)
            found.append(Change(name, rung, rows[rung]))
    return tuple(found)


def _right_or_wrong(rows: Sequence[Result]) -> list[Result]:
    """The rows without their graded scores, which the ladder does not compare and which take the most time."""
    return [row.model_copy(update={"scores": {row.scorer: row.scores.get(row.scorer)}}) for row in rows]


def _row(comparison: Comparison, place: str) -> MetricComparison | None:
    """Right or wrong on one slice, by whatever scorer decides there."""
    return next((row for metric in PASSES if (row := comparison.row(metric, place))), None)


def _gain(change: Change) -> float:
    return change.row.difference.value


def _against(name: str, rival: str, row: MetricComparison) -> str:
    value, low, high = (100 * end for end in (row.difference.value, row.difference.low, row.difference.high))
    scores = f"{_share(row.new)} against {_share(row.old)}, 95 % interval {low:+.0f} to {high:+.0f} points"
    if row.verdict == "cannot tell":
        return f"These items cannot tell whether {name} adds anything over {rival} ({scores})"
    points = f"{abs(value):.0f} points" if abs(value) >= 1.5 else f"{abs(value):.1f} points"
    if row.verdict == "better":
        return f"{name} adds {points} over {rival} ({scores})"
    return f"{name} is {points} behind {rival}, which is free ({scores})"


def _doubt(row: MetricComparison) -> str:
    return ", within chance" if row.verdict == "cannot tell" else ""


def _share(share: Estimate) -> str:
    return "?" if share.value is None else f"{share.value:.2f}"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + (" and " if len(names) > 1 else "") + names[-1] if names else ""
