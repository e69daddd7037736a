"""What the overlap with the training data is worth: scores with and without these items, and both places of each."""

from collections.abc import Sequence
from html import escape

from lal.data.overlap_list import ListedOverlap
from lal.evaluation.report.parts import item_card, share_cell, verdict_word
from lal.evaluation.scores.results import Result, of_solver
from lal.evaluation.scores.scoreboard import Row, build_scoreboard

METHODS = {
    "exact": "the same letters",
    "letter sequences": "of its letter sequences, in whatever spelling",
    "near-duplicate": "of the words of either, in whatever order",
}


def overlap_section(
    results: Sequence[Result], overlaps: Sequence[ListedOverlap], headline_slices: Sequence[str], solver: str
) -> str:
    """The section `overlap`: of the solver and the best of the others, side by side.

    Args:
        results: All rows of the evaluation.
        overlaps: What the validate stage listed, of both splits.
        headline_slices: Slices whose mean is the headline.
        solver: Whom the report is about.
    """
    answered = {result.item_id for result in results}
    shown = [overlap for overlap in overlaps if overlap.item_id in answered]
    sealed = sum(overlap.split == "sealed" for overlap in overlaps)
    body = [f'<p class="quiet">{escape(_summary(len(shown), len(answered), sealed))}</p>']
    if shown:
        body.append(_table(results, shown, headline_slices, solver))
        body.append(_list(results, shown, solver))
    return f'<section id="overlap"><h2>Gold items that are like something trained on</h2>{"".join(body)}</section>'


def _summary(num_shown: int, num_items: int, num_sealed: int) -> str:
    found = f"{num_shown} of {num_items} items" if num_shown else f"None of {num_items} items"
    text = (
        f"{found} share half or more of their letter sequences, or six in ten of their words, with a text of the "
        "training data. A copy stops the pipeline; these are turns of phrase, and not counting them shows what they "
        "are worth."
    )
    if num_sealed:
        text += f" So {'does' if num_sealed == 1 else 'do'} {num_sealed} of the sealed items; they are not shown."
    return text


def _table(
    results: Sequence[Result], overlaps: Sequence[ListedOverlap], headline_slices: Sequence[str], solver: str
) -> str:
    """A row a slice that has an overlap, after the headline: two columns a solver, all items and those without."""
    listed = {overlap.item_id for overlap in overlaps}
    board = build_scoreboard(results, headline_slices)
    rest = build_scoreboard([result for result in results if result.item_id not in listed], headline_slices)
    rival = board.rival(solver)
    pairs = [(row, rest.row(row.solver)) for row in (board.row(solver), rival) if row]
    head = "".join(
        f'<th scope="col"{_mark(row, solver)}>{escape(row.solver)}, {what}</th>'
        for row, _ in pairs
        for what in ("all", "without")
    )
    counts = {
        name: len({result.item_id for result in results if result.item_id in listed and result.slice == name})
        for name in dict.fromkeys(result.slice for result in results)
    }
    lines = [_line("headline", sum(counts.get(name, 0) for name in headline_slices), pairs, solver)]
    lines += [_line(name, count, pairs, solver) for name, count in counts.items() if count]
    return (
        '<table class="shares"><caption>Share of right answers with all items, and without those listed.</caption>'
        f"<thead><tr><td></td>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
    )


def _line(name: str, count: int, pairs: Sequence[tuple[Row, Row | None]], solver: str) -> str:
    cells = []
    for row, rest in pairs:
        for label, each in (("all", row), ("without", rest)):
            share = None if each is None else each.headline if name == "headline" else each.cells.get(name)
            title = f"{row.solver}, {label}"
            own, counted = row.solver == solver, name != "headline"
            cells.append(
                share_cell(share, title, own, counted)
                if share
                else f'<td class="none" data-label="{escape(title)}"><span>\N{EN DASH}</span></td>'
            )
    kind = ' class="headline"' if name == "headline" else ""
    return f'<tr{kind}><th scope="row">{escape(name)}<small>{count} left out</small></th>{"".join(cells)}</tr>'


def _list(results: Sequence[Result], overlaps: Sequence[ListedOverlap], solver: str) -> str:
    own = {result.item_id: result for result in of_solver(results, solver)}
    cards = "".join(f"<li>{_card(overlap, own.get(overlap.item_id))}</li>" for overlap in overlaps)
    plural = "s" if len(overlaps) > 1 else ""
    return (
        f'<details class="more"><summary>The {len(overlaps)} item{plural}, each with the text trained on</summary>'
        f'<ol class="items two">{cards}</ol></details>'
    )


def _card(overlap: ListedOverlap, own: Result | None) -> str:
    others = f", and {overlap.num_places - 1} more" if overlap.num_places > 1 else ""
    lines = [
        ("trained on", escape(overlap.training_text)),
        ("places", f'<span class="meta">{escape(overlap.gold_place)}<br>{escape(overlap.place)}{others}</span>'),
    ]
    meta = f"{overlap.item_id}: {100 * overlap.share:.0f} % {METHODS[overlap.method]}"
    return item_card(escape(overlap.gold_text), lines, meta, verdict_word(own.passed) if own else "")


def _mark(row: Row, solver: str) -> str:
    return ' class="own"' if row.solver == solver else ""
