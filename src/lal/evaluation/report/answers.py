"""The lower half of reports/gold.html: the answers themselves, failures first."""

from collections.abc import Mapping, Sequence
from html import escape

from lal.evaluation.report.parts import answer_html, item_card, question_html, verdict_word
from lal.evaluation.scores.results import Result
from lal.evaluation.scores.scoreboard import Scoreboard

FAILURES_SHOWN = 6
"""Of each slice, before the reader has to ask for more."""

WINS_SHOWN = 8

PROOF = "<del>struck out</del> is what it wrote, <ins>underlined</ins> what belongs there."


def failures(own: Sequence[Result], solver: str) -> str:
    """Wrong answers to exact questions by slice, the ones furthest off first."""
    wrong = [result for result in own if result.scorer == "exact" and result.passed is False]
    told = f'<p class="quiet">Worst first. In the answers, {PROOF} What had to change is <mark>dotted</mark>.</p>'
    parts = []
    for name in dict.fromkeys(result.slice for result in own if result.scorer == "exact"):
        found = sorted((result for result in wrong if result.slice == name), key=_how_wrong)
        total = sum(result.slice == name for result in own)
        parts.append(f"<h3>{escape(name)} <small>{len(found)} of {total} wrong</small></h3>")
        cards = [f"<li>{_failure_card(result, solver)}</li>" for result in found]
        parts.append(
            f'<ol class="items two">{"".join(cards[:FAILURES_SHOWN])}</ol>' if cards else '<p class="quiet">None.</p>'
        )
        if rest := cards[FAILURES_SHOWN:]:
            more = f'<ol class="items two">{"".join(rest)}</ol>'
            parts.append(f'<details class="more"><summary>{len(rest)} more of {escape(name)}</summary>{more}</details>')
    return f'<section id="failures"><h2>Where it is wrong</h2>{told if wrong else ""}{"".join(parts)}</section>'


def wins(by_item: Mapping[str, Mapping[str, Result]], solver: str, against: str) -> str:
    """Items that the model gets right and the strongest of the others does not, from all slices in turn."""
    pairs = [(answers[solver], answers[against]) for answers in by_item.values() if {solver, against} <= answers.keys()]
    won = [pair for pair in pairs if pair[0].passed and pair[1].passed is False]
    told = f"{len(won)} items that {solver} gets right and {against} does not"
    if not won:
        none = f"There are {told.replace('0 items', 'no items')}."
        return f'<section id="wins"><h2>Where it wins</h2><p>{escape(none)}</p></section>'
    by_slice: dict[str, int] = {}
    turns = []
    for pair in won:
        turns.append((by_slice.setdefault(pair[0].slice, 0), pair))
        by_slice[pair[0].slice] += 1
    shown = [pair for _, pair in sorted(turns, key=lambda turn: turn[0])][:WINS_SHOWN]
    cards = "".join(f"<li>{_pair_card(ours, theirs)}</li>" for ours, theirs in shown)
    some = f", {len(shown)} of them here" if len(shown) < len(won) else ""
    return (
        f'<section id="wins"><h2>Where it wins</h2><p class="quiet">{escape(told)}{some}. In the answers, {PROOF}</p>'
        f'<ol class="items two">{cards}</ol></section>'
    )


def checked(own: Sequence[Result], solver: str) -> str:
    """Answers that are checked for what they say, such as the persona's, failed ones first, the others on demand."""
    answers = [result for result in own if result.scorer == "checks"]
    if not answers:
        return ""
    cards: dict[bool, list[str]] = {False: [], True: []}
    for result in answers:
        said = f"{answer_html(result)}"
        meta = f"{result.item_id}" + (f": {result.explanation}" if result.explanation else "")
        verdict = verdict_word(result.passed)
        card = item_card(question_html(result), [(solver, said)], meta, verdict)
        cards[bool(result.passed)].append(f"<li>{card}</li>")
    right = cards[True]
    failed = f'<ol class="items two">{"".join(cards[False])}</ol>' if cards[False] else ""
    passed = f'<ol class="items two">{"".join(right)}</ol>'
    more = f'<details class="more"><summary>{len(right)} that pass</summary>{passed}</details>' if right else ""
    return (
        f'<section id="checked"><h2>What it says for itself</h2><p class="quiet">{len(right)} of {len(answers)} pass. '
        "An answer passes if it contains what it must and nothing that it must not; of words with | between them, one "
        f"is enough.</p>{failed}{more}</section>"
    )


def everything(by_item: Mapping[str, Mapping[str, Result]], board: Scoreboard, solver: str) -> str:
    """All items, each with what everyone answered; the script adds search and filters."""
    options = "".join(
        f'<option value="{number}">{escape(column.name)}</option>' for number, column in enumerate(board.columns)
    )
    form = (
        '<form hidden><label>Contains<input type="search" name="words" placeholder="a word of question or answer">'
        f'</label><label>Slice<select name="slice"><option value="">all</option>{options}</select></label>'
        f'<label class="tick"><input type="checkbox" name="failed"> {escape(solver)} is wrong</label>'
        '<output id="shown" class="quiet"></output></form>'
    )
    rows = "".join(_item_row(answers, board, solver) for answers in by_item.values())
    told = '<p class="quiet">Open one to see what everyone answered.</p>'
    return f'<section id="all"><h2>All items</h2>{told}{form}{rows}</section>'


def _item_row(answers: Mapping[str, Result], board: Scoreboard, solver: str) -> str:
    first = next(iter(answers.values()))
    own = answers.get(solver)
    text = " ".join([first.prompt, first.expected, own.text if own else ""]).lower()
    failed = int(own is not None and own.passed is False)
    slices = " ".join(str(number) for number, column in enumerate(board.columns) if column.has(first))
    lines = [("expected", escape(first.expected))] if first.expected else []
    lines += [("or", escape(wording)) for wording in first.alternatives]
    lines += [(name, f"{answer_html(result)} {verdict_word(result.passed)}") for name, result in answers.items()]
    card = item_card(question_html(first), lines, _meta(first))
    verdict = verdict_word(own.passed) if own else ""
    tag = escape(first.subslice or first.slice)
    return (
        f'<details data-text="{escape(text)}" data-slices="{slices}" data-failed="{failed}"><summary>'
        f'<span class="folio">{escape(first.task)}</span><span class="tag">{tag}</span>{verdict}</summary>'
        f"{card}</details>"
    )


def _pair_card(ours: Result, theirs: Result) -> str:
    lines = [(result.solver, answer_html(result)) for result in (ours, theirs)]
    return item_card(question_html(ours), lines, _meta(ours))


def _failure_card(result: Result, solver: str) -> str:
    lines = [("expected", escape(result.expected)), (solver, answer_html(result))]
    return item_card(question_html(result), lines, _meta(result))


def _how_wrong(result: Result) -> tuple[float, str]:
    return -(result.scores.get("character_error_rate") or 0.0), result.item_id


def _meta(result: Result) -> str:
    return " \N{MIDDLE DOT} ".join([result.item_id, result.source, result.subslice or result.slice])
