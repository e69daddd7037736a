"""A comparison as text for a terminal of 100 columns, and as JSON: the same rows, the same verdicts."""

import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

from lal.evaluation.scores.results import Result
from lal.evaluation.scores.scoreboard import ALL, HEADLINE, PASSES
from lal.evaluation.statistics.intervals import Estimate
from lal.evaluation.verdict.comparison import Comparison, MetricComparison

INDENT = " "
HEAD = ["", "n", "base", "candidate", "difference", "p", "verdict", "seeds"]
LEGEND = (
    "Scores and differences times 100, each with its 95 % interval. p: exact McNemar for right and wrong, sign flips "
    "for the rest, adjusted for the other slices (Holm). The verdict goes by p; an interval is of its line alone, and "
    "may leave out 0 where the verdict cannot tell."
)
SEEDS = "seeds: the difference in standard deviations between two trainings that differ in the seed alone."

WIDTH = 100
"""Columns of the terminal it is made for."""

MARKS = {"better": "better", "worse": "WORSE", "cannot tell": "cannot tell"}


def headline_sentence(comparison: Comparison, base: str, candidate: str) -> str:
    """The answer in a sentence: by the headline if there is one, else by all items that pass or fail."""
    row = _first_row(comparison)
    if row is None:
        return f"nothing can be compared: no item was answered by both {base} and {candidate}."
    difference = row.difference
    what = "the headline" if row.slice == HEADLINE else f"{row.metric} on {row.slice}"
    found = (
        f"{what} changes by {100 * difference.value:+.1f} of 100 [{100 * difference.low:+.1f}, "
        f"{100 * difference.high:+.1f}], {difference.num_pairs} items, p {_p(row.adjusted_p, '= ')}"
    )
    counts = f"{len(comparison.fixed)} items fixed, {len(comparison.broken)} broken."
    if row.verdict == "cannot tell":
        return f"cannot tell whether {candidate} is better than {base}: {found}. {counts}"
    return f"{candidate} is {row.verdict} than {base}: {found}. {counts}"


def slices_sentence(comparison: Comparison) -> str:
    """Where it is better and where worse, with the losses first; empty if nowhere by more than chance."""
    told = []
    for verdict in ("worse", "better"):
        names = [
            row.slice if row.metric in PASSES else f"{row.slice} ({row.metric})"
            for row in comparison.rows
            if row.verdict == verdict and row.slice not in (HEADLINE, ALL)
        ]
        if names:
            told.append(f"{verdict} on {', '.join(names)}")
    return f"Slice by slice: {'; '.join(told)}." if told else ""


def render_rows(rows: Sequence[MetricComparison], size: float | None) -> list[str]:
    """The table, metric by metric, what its columns are, and how many more items would settle what is open.

    Args:
        rows: The lines.
        size: The true difference that `more_items` is about; None for the difference seen.
    """
    has_seeds = any(row.noise_units is not None for row in rows)
    lines: list[list[str]] = [HEAD if has_seeds else HEAD[:-1]]
    for metric in dict.fromkeys(row.metric for row in rows):
        own = [row for row in rows if row.metric == metric]
        lines.append([metric.replace("_", " ") + (", less is better" if own[0].lower_is_better else "")])
        lines += [_cells(row)[: len(lines[0])] for row in own]
    return [*_align(lines), "", *_legend(has_seeds), *_settling(rows, size)]


def comparison_json(comparison: Comparison, base: str, candidate: str) -> dict[str, Any]:
    """All of it for a program: what the text says, unrounded."""
    row = _first_row(comparison)
    return {
        "base": base,
        "candidate": candidate,
        "verdict": row.verdict if row else None,
        "sentence": headline_sentence(comparison, base, candidate),
        "rows": [_row_json(row) for row in comparison.rows],
        "fixed": [_item_json(*pair) for pair in comparison.fixed],
        "broken": [_item_json(*pair) for pair in comparison.broken],
        "num_both_right": comparison.num_both_right,
        "num_both_wrong": comparison.num_both_wrong,
        "left_out": dict(comparison.left_out),
    }


def wrap(text: str, indent: str = "") -> list[str]:
    """Lines of at most `WIDTH`; a path that is longer stays whole."""
    return textwrap.wrap(
        text, WIDTH, initial_indent=indent, subsequent_indent=2 * indent, break_long_words=False, break_on_hyphens=False
    )


def _first_row(comparison: Comparison) -> MetricComparison | None:
    """The row that answers the question."""
    return next((row for row in comparison.rows if row.slice == HEADLINE), next(iter(comparison.rows), None))


def _cells(row: MetricComparison) -> list[str]:
    found = row.difference
    low, high = 100 * found.low, 100 * found.high
    return [
        INDENT + row.slice,
        str(found.num_pairs),
        _score(row.old),
        _score(row.new),
        f"{100 * found.value:+.1f} [{low:+.1f},{high:+.1f}]",
        _p(row.adjusted_p),
        MARKS[row.verdict],
        "" if row.noise_units is None else f"{row.noise_units:+.1f}",
    ]


def _score(score: Estimate) -> str:
    if score.value is None or score.low is None or score.high is None:
        return "-"
    # A rate of a few in a hundred needs the digit that a share does without.
    digits = 1 if score.high < 0.1 else 0
    return f"{100 * score.value:.1f} [{100 * score.low:.{digits}f},{100 * score.high:.{digits}f}]"


def _align(lines: Sequence[Sequence[str]]) -> list[str]:
    """Columns of equal width, the first to the left, the rest to the right; a line of one cell stands across."""
    table = [line for line in lines if len(line) > 1]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    # Narrow gaps where the eye needs no help leave room for long slice names in 100 columns.
    gaps = ["", " ", " ", " ", "  ", " ", "  ", "  "]
    return [
        line[0]
        if len(line) == 1
        else line[0].ljust(widths[0])
        + "".join(
            gap + cell.rjust(width) for cell, width, gap in zip(line[1:], widths[1:], gaps[1:], strict=False)
        ).rstrip()
        for line in lines
    ]


def _legend(has_seeds: bool) -> list[str]:
    return [*wrap(LEGEND), *(wrap(SEEDS) if has_seeds else [])]


def _settling(rows: Sequence[MetricComparison], size: float | None) -> Iterable[str]:
    what = "the difference seen" if size is None else f"a true difference of {100 * size:g} (times 100)"
    title = f"\nMore items that would show {what} with 80 % power, where it is known:"
    for metric in dict.fromkeys(row.metric for row in rows):
        told = [
            f"{row.slice} {row.more_items:,}" for row in rows if row.metric == metric and row.more_items is not None
        ]
        if told:
            yield from filter(None, [title])
            title = ""
            yield from textwrap.wrap(
                f"{metric}: {', '.join(told)}", 98, initial_indent=INDENT, subsequent_indent="    "
            )


def _p(value: float, equals: str = "") -> str:
    return "<.001" if value < 0.001 else equals + f"{value:.3f}".removeprefix("0")


def _row_json(row: MetricComparison) -> dict[str, Any]:
    return {
        "metric": row.metric,
        "slice": row.slice,
        "num_pairs": row.difference.num_pairs,
        **{
            side: {"value": score.value, "low": score.low, "high": score.high}
            for side, score in (("base", row.old), ("candidate", row.new))
        },
        "difference": {"value": row.difference.value, "low": row.difference.low, "high": row.difference.high},
        "p_value": row.difference.p_value,
        "adjusted_p": row.adjusted_p,
        "verdict": row.verdict,
        "more_items": row.more_items,
        "noise_units": row.noise_units,
        "lower_is_better": row.lower_is_better,
    }


def _item_json(old: Result, new: Result) -> dict[str, Any]:
    return {
        "item": new.item_id,
        "slice": new.subslice or new.slice,
        "prompt": new.prompt,
        "expected": new.expected,
        "alternatives": list(new.alternatives),
        "base": old.text,
        "candidate": new.text,
    }
