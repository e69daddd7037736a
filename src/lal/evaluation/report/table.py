"""The gold table as plain text, for a terminal."""

from collections.abc import Sequence

from lal.evaluation.scores.results import Result, in_slices, of_solver
from lal.evaluation.scores.scoreboard import Scoreboard, build_scoreboard
from lal.evaluation.statistics.intervals import Estimate
from lal.evaluation.verdict.comparison import Comparison, compare
from lal.evaluation.verdict.ladder import build_ladder

INDENT = "  "


def render_table(results: Sequence[Result], headline_slices: Sequence[str], solver: str) -> str:
    """Slices down, solvers across, one solver's intervals at the right, and below it what the numbers mean.

    Args:
        results: All rows of a result file.
        headline_slices: Slices whose mean is the headline.
        solver: The solver that the table is about, compared with the others.
    """
    board = build_scoreboard(results, headline_slices)
    return "\n".join([*_align(_cells(board, solver)), "", *_legend(results, board, solver)])


def describe(comparison: Comparison, new: str, old: str) -> str:
    """One sentence: `lal is better than lexicon: 31 fixed, 12 broken of 240 (p = 0.005)`."""
    counts = (
        f"{len(comparison.fixed)} fixed, {len(comparison.broken)} broken of {comparison.num_compared} "
        f"(exact McNemar p = {comparison.p_value:.2g})"
    )
    if comparison.verdict == "cannot tell":
        return f"cannot tell whether {new} is better than {old}: {counts}"
    return f"{new} is {comparison.verdict} than {old}: {counts}"


def _cells(board: Scoreboard, solver: str) -> list[list[str]]:
    own = board.row(solver)
    head = ["", "n", *(row.solver for row in board.rows)] + ([f"{solver}, 95 % interval"] if own else [])
    whole = [column for column in board.columns if not column.is_part]
    counted = sum(column.num_items for column in whole if column.name in board.headline_slices)
    headline = own.headline if own else None
    lines = [["headline", str(counted), *(_share(row.headline) for row in board.rows), _interval(headline)]]
    for column in board.columns:
        shares = [row.cells[column.name] for row in board.rows]
        name = INDENT + column.name if column.is_part else column.name
        lines.append(
            [name, str(column.num_items), *map(_share, shares), _interval(own.cells[column.name] if own else None)]
        )
    return [head, *(line[: len(head)] for line in lines)]


def _align(lines: Sequence[Sequence[str]]) -> list[str]:
    """Columns of equal width: the first to the left, the rest to the right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    first, rest = widths[0], widths[1:]
    return [
        "  ".join([line[0].ljust(first), *(cell.rjust(width) for cell, width in zip(line[1:], rest, strict=True))])
        for line in lines
    ]


def _legend(results: Sequence[Result], board: Scoreboard, solver: str) -> list[str]:
    lines = [f"Share of right answers; headline: the mean of {', '.join(board.headline_slices)}; - : not asked."]
    names = {column.name for column in board.columns}
    if board.row("lexicon") and names & {"unseen", "context-minority"}:
        lines.append(
            "unseen and context-minority were chosen for what a lexicon cannot know: it can hardly score there."
        )
    unscored = sum(result.passed is None for result in of_solver(results, solver))
    if unscored:
        lines.append(f"{solver} gave no answer to {unscored} items; they are left out, not counted as wrong.")
    if (own := board.row(solver)) is None:
        return lines
    lines.append(build_ladder(results, board.headline_slices, solver).sentence)
    if own.guard:
        lines.append(own.guard)
    if rival := board.rival(solver):
        counted = in_slices(results, board.headline_slices)
        comparison = compare(of_solver(counted, rival.solver), of_solver(counted, solver))
        lines.append(f"Item by item of the headline slices, {describe(comparison, solver, rival.solver)}.")
    return lines


def _share(share: Estimate) -> str:
    return "-" if share.value is None else f"{share.value:.2f}"


def _interval(share: Estimate | None) -> str:
    return "-" if share is None or share.low is None or share.high is None else f"{share.low:.2f} to {share.high:.2f}"
