"""The gold table as numbers: for each solver and slice the share of right answers, with its interval."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from lal.errors import ParamsError
from lal.evaluation.scores.results import HYBRID, Result, of_solver, solvers
from lal.evaluation.statistics.intervals import Estimate, macro, mean, proportion
from lal.gold_items import GoldItem

GUARDED_SLICE = "keep"
KEEP_GUARD = 0.95
"""Share of lines that need no change and must be left alone; a modernisation that breaks more of them does harm."""

MIN_PART_ITEMS = 20
"""A smaller part of a slice gets no column of its own: its interval would cover half of the scale."""

PASSES = ("exact", "checks")
"""Scorers of right and wrong; an item has one of them."""

BITS = "bits_per_byte"

TEXT_MODELS = ("unigram", "ngram")
"""Predict text and answer nothing, so they have bits per byte alone."""

TEXT_BITS, ANSWER_BITS, SIZE = BITS, "answer_bits_per_byte", "size"
"""Sections of metrics/evaluate.json beside the shares, each by name."""

HEADLINE, ALL = "headline", "all"
"""Names of the two sums over slices: the mean of the headline slices, and all items alike."""

GRADED = ("word_accuracy", "changed_words", "character_error_rate")

LARGEST = {"word_accuracy": 1.0, "changed_words": 1.0}
"""Of the graded scores that cannot be larger."""


@dataclass(frozen=True)
class Column:
    """A slice, or a part of one.

    Attributes:
        name: Unlike any other column's: the slice, the subslice, or both if another column is called like the subslice.
        slice: The slice.
        part: The subslice; empty for a whole slice. Its items are in the column of its slice too.
        num_items: Items of the gold set in it.
    """

    name: str
    slice: str
    part: str
    num_items: int

    @property
    def is_part(self) -> bool:
        """Whether it is a part of a slice."""
        return self.part != ""

    def has(self, result: Result) -> bool:
        """Whether a result counts in it."""
        return result.slice == self.slice and self.part in ("", result.subslice)


@dataclass(frozen=True)
class Row:
    """One solver's shares.

    Attributes:
        solver: Its name.
        headline: Unweighted mean over the headline slices; no value if it did not answer one of them.
        cells: Share of right answers by column name.
    """

    solver: str
    headline: Estimate
    cells: dict[str, Estimate]

    @property
    def keeps(self) -> bool | None:
        """Whether it leaves alone what must be left alone; None if there is no such slice or no answer to it."""
        cell = self.cells.get(GUARDED_SLICE)
        return None if cell is None or cell.value is None else cell.value >= KEEP_GUARD

    @property
    def guard(self) -> str:
        """The same in words, with the counts, since 0.947 and 0.95 look alike in a table; empty if there is none."""
        share = self.cells.get(GUARDED_SLICE)
        if share is None or share.value is None:
            return ""
        counts = f"{round(share.value * share.num_scored)} of {share.num_scored} ({share.value:.3f})"
        verdict = "meets it" if self.keeps else "MISSES it"
        return (
            f"Guard: {KEEP_GUARD} of {GUARDED_SLICE} must come back as it was; {self.solver} {verdict} with {counts}."
        )


@dataclass(frozen=True)
class Scoreboard:
    """All solvers on all slices."""

    columns: tuple[Column, ...]
    headline_slices: tuple[str, ...]
    rows: tuple[Row, ...]

    def row(self, solver: str) -> Row | None:
        """One solver's row, if it is there."""
        return next((row for row in self.rows if row.solver == solver), None)

    def rival(self, solver: str) -> Row | None:
        """The strongest of the others by headline; the hybrid has the model inside, and is nobody's rival."""
        others = [row for row in self.rows if row.solver not in (solver, HYBRID) and row.headline.value is not None]
        return max(others, key=lambda row: row.headline.value or 0.0, default=None)


def has_headline(metric: str, sizes: Sequence[int]) -> bool:
    """Whether a score has a headline: a mean over a slice with a handful of graded items would hang on those.

    Args:
        metric: The score.
        sizes: Items that have it, by headline slice.
    """
    return bool(sizes) and min(sizes) >= (1 if metric in PASSES else MIN_PART_ITEMS)


def score_weights(metric: str, sizes: Iterable[int]) -> list[float] | None:
    """What each item weighs in a mean: bits per byte of all is all bits over all bytes; otherwise all items alike.

    Args:
        metric: The score.
        sizes: `Result.num_bytes` of the items.
    """
    return [float(size) for size in sizes] if metric == BITS else None


def check_headline(headline_slices: Sequence[str], items: Sequence[GoldItem]) -> None:
    """Demands that each headline slice has items, before anything costly begins.

    Raises:
        ParamsError: Naming the slices that have none, and those there are.
    """
    there = list(dict.fromkeys(item.slice for item in items))
    missing = [name for name in headline_slices if name not in there]
    if missing:
        raise ParamsError(
            f"params.yaml: gold.headline names {', '.join(missing)}, but no gold item is in such a slice",
            f"name slices that exist: {', '.join(there)}",
        )


def build_scoreboard(results: Sequence[Result], headline_slices: Sequence[str]) -> Scoreboard:
    """Counts up results; a headline slice that no item belongs to leaves the headline empty."""
    columns = _columns(results)
    rows = []
    for solver in solvers(results):
        own = of_solver(results, solver)
        cells = {column.name: proportion(_passes(filter(column.has, own))) for column in columns}
        nothing = proportion([])
        rows.append(Row(solver, macro([cells.get(name, nothing) for name in headline_slices]), cells))
    return Scoreboard(columns, tuple(headline_slices), tuple(rows))


def graded(results: Sequence[Result], scorer: str) -> dict[str, Estimate]:
    """One solver's mean of a graded score: under `all`, and under each slice that the scorer applies to."""
    scored = [result for result in results if scorer in result.scores]
    groups = {"all": scored}
    for name in dict.fromkeys(result.slice for result in scored):
        groups[name] = [result for result in scored if result.slice == name]
    return {
        name: mean([result.scores[scorer] for result in group], most=LARGEST.get(scorer, math.inf))
        for name, group in groups.items()
        if group
    }


def mean_bits(own: Sequence[Result]) -> float | None:
    """Bits per byte of all right answers together, for one solver; None if none of them was scored."""
    scored = [(bits, row.num_bytes) for row in own if (bits := row.scores.get(BITS)) is not None]
    return mean([bits for bits, _ in scored], [size for _, size in scored]).value if scored else None


def metrics(results: Sequence[Result], headline_slices: Sequence[str], solver: str) -> dict[str, Any]:
    """The numbers for metrics/evaluate.json: every solver's shares, and one solver in detail.

    Shares stand under `exact` where the answer must be one of the right wordings, under `checks` where it must contain
    something. What was not scored is absent, never 0.
    """
    board = build_scoreboard(results, headline_slices)
    checks = [result for result in results if result.scorer == "checks"]
    checked = {column.name for column in board.columns if any(column.has(result) for result in checks)}
    shares: dict[str, Any] = {"headline": {metric_key(row.solver): _round(row.headline.value) for row in board.rows}}
    for scorer in ("exact", "checks"):
        shares[scorer] = {
            metric_key(row.solver): _values(
                {name: share for name, share in row.cells.items() if (name in checked) == (scorer == "checks")}
            )
            for row in board.rows
        }
    row = board.row(solver)
    pruned: dict[str, Any] = _prune(shares | ({metric_key(solver): _details(results, row)} if row else {}))
    return pruned


def _details(results: Sequence[Result], row: Row) -> dict[str, Any]:
    own = of_solver(results, row.solver)
    shares = {"headline": row.headline, **row.cells}
    return {
        "num_items": len(own),
        "num_unscored": sum(result.passed is None for result in own),
        "keep_guard_met": None if row.keeps is None else int(row.keeps),
        **{scorer: _values(graded(own, scorer)) for scorer in GRADED},
        "low": {metric_key(name): _round(share.low) for name, share in shares.items()},
        "high": {metric_key(name): _round(share.high) for name, share in shares.items()},
    }


def _columns(results: Sequence[Result]) -> tuple[Column, ...]:
    """Slices in the order of the gold set, each followed by its parts that are large enough."""
    items = {result.item_id: result for result in results}.values()
    sizes = Counter((item.slice, part) for item in items for part in {"", item.subslice} - {item.slice})
    slices = list(dict.fromkeys(item.slice for item in items))
    kept = [
        (name, part)
        for name in slices
        for part in sorted(part for whole, part in sizes if whole == name)
        if not part or sizes[name, part] >= MIN_PART_ITEMS
    ]
    names = Counter(part or name for name, part in kept)
    return tuple(
        Column(f"{name} {part}" if part and names[part] > 1 else part or name, name, part, sizes[name, part])
        for name, part in kept
    )


def _passes(results: Iterable[Result]) -> list[float | None]:
    return [None if result.passed is None else float(result.passed) for result in results]


def _values(shares: dict[str, Estimate]) -> dict[str, float | None]:
    return {metric_key(name): _round(share.value) for name, share in shares.items()}


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def metric_key(name: str) -> str:
    """A name as a key that metrics tools take: `lexicon+rules` becomes `lexicon_rules`."""
    return re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_") or "_"


def _prune(value: Any) -> Any:
    """Without keys that hold nothing."""
    if not isinstance(value, dict):
        return value
    pruned = {key: _prune(inner) for key, inner in value.items()}
    return {key: inner for key, inner in pruned.items() if inner is not None and inner != {}}
