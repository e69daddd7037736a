"""The page: its frame, and the sections in their order."""

import base64
import hashlib
from collections.abc import Sequence
from html import escape
from pathlib import Path

from lal.evaluation.report import answers, scores
from lal.evaluation.report.style import SCRIPT, STYLE
from lal.evaluation.results import Result, in_slices, of_solver
from lal.evaluation.scoreboard import build_scoreboard
from lal.evaluation.verdict import compare
from lal.files import write_text

LINKS = {"shares": "Scores", "failures": "Failures", "wins": "Wins", "checked": "Checked answers", "all": "All items"}
"""Section id -> what the link to it says."""


def write_report(path: Path, results: Sequence[Result], headline_slices: Sequence[str], solver: str) -> None:
    """Writes the report about `solver`, with all others beside it."""
    write_text(path, render_report(results, headline_slices, solver))


def render_report(results: Sequence[Result], headline_slices: Sequence[str], solver: str) -> str:
    """The report as HTML: one file that loads nothing, and reads without its script."""
    board = build_scoreboard(results, headline_slices)
    own = of_solver(results, solver)
    by_item: dict[str, dict[str, Result]] = {}
    for result in results:
        by_item.setdefault(result.item_id, {})[result.solver] = result
    rival = board.rival(solver)
    counted = in_slices(results, headline_slices)
    comparison = compare(of_solver(counted, rival.solver), of_solver(counted, solver)) if rival else None
    sections = [
        scores.shares(board, solver),
        scores.notes(board, solver),
        scores.grades(own),
        answers.failures(own, solver),
        answers.wins(by_item, solver, rival.solver) if rival else "",
        answers.checked(own, solver),
        answers.everything(by_item, board, solver),
    ]
    opening = scores.opening(board, own, solver, comparison)
    return _frame(f"{scores.display_name(solver)} on the gold set", "\n".join([opening, _links(sections), *sections]))


def _links(sections: Sequence[str]) -> str:
    """Links to the sections that are there."""
    targets = [
        (key, label)
        for key, label in LINKS.items()
        if any(section.startswith(f'<section id="{key}"') for section in sections)
    ]
    return "<nav>" + "".join(f'<a href="#{key}">{label}</a>' for key, label in targets) + "</nav>"


def _frame(title: str, body: str) -> str:
    """A page that may load nothing and run no script but its own, whatever an answer says."""
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
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
<footer>Made by <code>dvc repro</code> from reports/gold.jsonl. <code>lal gold list --failed</code> shows the same rows
in a terminal, <code>lal gold compare OLD NEW</code> two runs side by side.</footer>
</main>
<script>{SCRIPT}</script>
</body>
</html>
"""
