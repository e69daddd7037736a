"""The pieces of reports/gold.html: a dot with its interval, a proof-read answer, an item."""

import difflib
import re
from collections.abc import Sequence
from html import escape

from lal.evaluation.scores.alignment import WORD, align
from lal.evaluation.scores.results import Result
from lal.evaluation.statistics.intervals import Estimate

_PIECE = re.compile(rf"\s+|{WORD.pattern}|.", re.DOTALL)
"""Words, spaces and single marks: what a proof-reader strikes out or puts in."""


def strip(share: Estimate, label: str) -> str:
    """A dot on a line from 0 to 1 with its 95 % interval, as inline SVG; nothing without a value."""
    if share.value is None or share.low is None or share.high is None:
        return ""
    at = [f"{2 + 96 * max(0.0, min(1.0, value)):.1f}" for value in (share.low, share.high, share.value)]
    title = f"{label}: {share.value:.2f}, 95 % interval {share.low:.2f} to {share.high:.2f}"
    low, high, value = at
    lines = (("axis", "2", "98"), ("range", low, high), ("dot", value, value))
    drawn = "".join(f'<line class="{kind}" x1="{start}" x2="{end}" y1="6" y2="6"/>' for kind, start, end in lines)
    return (
        '<svg class="strip" viewBox="0 0 100 12" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(title)}"><title>{escape(title)}</title>{drawn}</svg>'
    )


def share_cell(share: Estimate, solver: str, own: bool, counted: bool = True) -> str:
    """A table cell: the share, the count behind it unless it is a mean of shares, the strip."""
    kind = "own" if own else "none" if share.value is None else ""
    opening = f'<td class="{kind}" data-label="{escape(solver)}">'
    if share.value is None:
        return f'{opening}<span title="not asked">\N{EN DASH}</span></td>'
    passes = round(share.value * share.num_scored)
    count = f' <span class="count">{passes}/{share.num_scored}</span>' if counted else ""
    return f"{opening}<span><b>{share.value:.2f}</b>{count}</span>{strip(share, solver)}</td>"


def proof(answer: str, expected: str) -> str:
    """The answer as a proof-reader would mend it: what is wrong struck out, what belongs there put in."""
    written, right = _PIECE.findall(answer), _PIECE.findall(expected)
    html = []
    for kind, a, a_end, b, b_end in difflib.SequenceMatcher(None, written, right, autojunk=False).get_opcodes():
        wrong, put_in = "".join(written[a:a_end]), "".join(right[b:b_end])
        if kind == "equal":
            html.append(escape(wrong))
            continue
        html.append(f"<del>{escape(wrong)}</del>" if wrong else "")
        html.append(f"<ins>{escape(put_in)}</ins>" if put_in else "")
    return "".join(html)


def source_marked(source: str, expected: str) -> str:
    """The source line with the words that have to change underlined."""
    pieces, right = _PIECE.findall(source), _PIECE.findall(expected)
    partners = align(pieces, right)
    return "".join(
        escape(piece) if piece.isspace() or _is_kept(piece, partner, right) else f"<mark>{escape(piece)}</mark>"
        for piece, partner in zip(pieces, partners, strict=True)
    )


def verdict_word(passed: bool | None) -> str:
    """Right, wrong or not scored, with a sign, so that colour is not needed to tell them apart."""
    if passed is None:
        return '<span class="verdict quiet">not scored</span>'
    return (
        '<span class="verdict right">\N{CHECK MARK} right</span>'
        if passed
        else '<span class="verdict wrong">\N{MULTIPLICATION X} wrong</span>'
    )


def answer_html(result: Result) -> str:
    """What a solver said: proof-read where one wording was expected, plain otherwise."""
    if result.passed is None:
        return f'<span class="quiet">no answer ({escape(result.explanation or result.finish_reason)})</span>'
    text = result.text.strip() or "(nothing)"
    if result.scorer == "checks" or result.passed:
        return escape(text)
    nearest = max((result.expected, *result.alternatives), key=lambda wording: _likeness(result.text, wording))
    return proof(result.text.strip(), nearest)


def question_html(result: Result) -> str:
    """What was asked; of a line to modernise, the line, with what has to change marked."""
    return source_marked(result.task, result.expected) if result.is_line else escape(result.task)


def item_card(question: str, lines: Sequence[tuple[str, str]], meta: str, verdict: str = "") -> str:
    """A card of labelled lines.

    Args:
        question: The first line, as HTML.
        lines: (label, HTML) of the others.
        meta: A small line below, as text.
        verdict: What stands before it, as HTML.
    """
    rows = "".join(f'<dt>{escape(label)}</dt><dd class="folio">{html}</dd>' for label, html in lines)
    return (
        f'<div class="item"><dl><dt>asked</dt><dd class="folio">{question}</dd>{rows}</dl>'
        f'<p class="meta">{verdict} {escape(meta)}</p></div>'
    )


def _is_kept(piece: str, partner: int | None, right: Sequence[str]) -> bool:
    return partner is not None and right[partner] == piece


def _likeness(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, one, other, autojunk=False).ratio()
