"""The page: its frame, and the sections in their order."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from lal.evaluation.report import answers, scores
from lal.evaluation.report.style import SCRIPT, STYLE
from lal.evaluation.scores.results import Result, in_slices, of_solver
from lal.evaluation.scores.scoreboard import build_scoreboard
from lal.evaluation.verdict.comparison import compare
from lal.files import write_text

LINKS = {
    "ladder": "What is free",
    "verdict": "Verdict",
    "shares": "Scores",
    "groups": "Kinds of mistakes",
    "failures": "Failures",
    "wins": "Wins",
    "checked": "Checked answers",
    "copies": "Copies",
    "overlap": "Overlap",
    "training": "Training",
    "all": "All items",
}
"""Section id -> what the link to it says, in the order of the page."""

FOOTER = """Made by <code>dvc repro</code> from reports/gold.jsonl. <code>lal gold list --failed</code> shows the same
rows in a terminal, <code>lal compare OLD NEW</code> two runs side by side."""


def write_report(
    path: Path,
    results: Sequence[Result],
    headline_slices: Sequence[str],
    solver: str,
    more: Mapping[str, str] | None = None,
) -> None:
    """Writes the report about `solver`, with all others beside it; see `render_report`."""
    write_text(path, render_report(results, headline_slices, solver, more))


def render_report(
    results: Sequence[Result], headline_slices: Sequence[str], solver: str, more: Mapping[str, str] | None = None
) -> str:
    """The report as HTML: one file that loads nothing, and reads without its script.

    Args:
        results: All rows of a result file.
        headline_slices: Slices whose mean is the headline.
        solver: The solver that the report is about.
        more: HTML of the sections that are made from more than the results, by their ids in `LINKS`.
    """
    board = build_scoreboard(results, headline_slices)
    own = of_solver(results, solver)
    by_item: dict[str, dict[str, Result]] = {}
    for result in results:
        by_item.setdefault(result.item_id, {})[result.solver] = result
    rival = board.rival(solver)
    counted = in_slices(results, headline_slices)
    comparison = compare(of_solver(counted, rival.solver), of_solver(counted, solver)) if rival else None
    # The ladder says who the others are, and where the model is behind them.
    is_told = bool(more and more.get("ladder"))
    sections = {
        "shares": scores.shares(board, solver) + scores.notes(board, solver, not is_told) + scores.grades(own),
        "failures": answers.failures(own, solver),
        "wins": answers.wins(by_item, solver, rival.solver) if rival else "",
        "checked": answers.checked(own, solver),
        "all": answers.everything(by_item, board, solver),
        **(more or {}),
    }
    there = {key: sections[key] for key in LINKS if sections.get(key)}
    links = '<nav aria-label="Sections">' + "".join(f'<a href="#{key}">{LINKS[key]}</a>' for key in there) + "</nav>"
    opening = scores.opening(board, own, solver, comparison, with_slices=not is_told)
    title = f"{scores.display_name(solver)} on the gold set"
    return frame(title, "\n".join([opening, links, *there.values()]), FOOTER, SCRIPT)


def frame(title: str, body: str, footer: str, script: str = "") -> str:
    """A page that may load nothing and run no script but its own, whatever an answer says.

    Args:
        title: As text.
        body: HTML.
        footer: HTML.
        script: JavaScript; the page must read without it.
    """
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    if script:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        policy += f"; script-src 'sha256-{digest}'"
        script = f"<script>{script}</script>\n"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<title>{escape(title)}</title>
<style>{STYLE}</style>
</head>
<body><main>
{body}
<footer>{footer}</footer>
</main>
{script}</body>
</html>
"""
