"""The upper half of reports/gold.html: one sentence, the table, what the numbers do not say."""

from collections.abc import Sequence
from html import escape

from lal.evaluation.report.parts import share_cell
from lal.evaluation.scores.results import HYBRID, SHIPPED, Result
from lal.evaluation.scores.scoreboard import GRADED, Column, Row, Scoreboard, graded
from lal.evaluation.statistics.intervals import Estimate
from lal.evaluation.verdict.comparison import Comparison

SLICES = {
    "known": "every word stands in the training lines: a table of words does these",
    "unseen": "at least one word stands in no training line",
    "context": "the right form depends on the sentence",
    "context-majority": "the reading that is commoner in training",
    "context-minority": "the rarer reading, which cannot be guessed",
    "keep": "nothing may change: names, French, lines that are modern already",
    "persona": "who Lal is, what it does and declines; checked for words it must and must not say",
}
"""What the slices of the gold set that comes with Lal are; other slices stand without a word."""

SOLVERS = {
    "copy": "does nothing",
    "rules": "a few spelling rules, applied to every word",
    "lexicon": "the most frequent modern form of each word in the training pairs",
    "lexicon+rules": "the same, with the rules for words it has never seen",
    "nearest": "the answer to the nearest question of the training set, found by BM25",
    "base": "the pretrained model before fine-tuning, shown solved examples and left to go on",
    SHIPPED: "the fine-tuned model",
    HYBRID: "the same answers, with a table's forms for the words that training leaves no doubt about",
}

MEASURES = {
    "word_accuracy": ("word accuracy", "share of the expected words it reproduces"),
    "changed_words": ("words that had to change", "the same, on those that the source spells otherwise"),
    "character_error_rate": ("character error rate", "edits for each expected character; less is better"),
}


def verdict_sentence(board: Scoreboard, solver: str) -> str:
    """The headline in plain words, such as `Lal gets 61 of 100 right; the best of the others, rules, gets 51.`."""
    row, rival = board.row(solver), board.rival(solver)
    if row is None or row.headline.value is None:
        return f"{display_name(solver)} has no headline score: not all of its slices were answered."
    sentence = f"{display_name(solver)} gets {_of_100(row.headline.value)} of 100 right"
    if rival is None:
        return sentence + "."
    return f"{sentence}; the best of the others, {rival.solver}, gets {_of_100(rival.headline.value)}."


def opening(
    board: Scoreboard, own: Sequence[Result], solver: str, comparison: Comparison | None, with_slices: bool = True
) -> str:
    """Headline sentence, how sure it is, and `with_slices` where the model is ahead and behind."""
    sources = {result.source for result in own}
    row, rival = board.row(solver), board.rival(solver)
    paragraphs = []
    if row and row.headline.value is not None:
        paragraphs.append(f"{_meaning(board, row.headline)} {_evidence(comparison)}")
    if row and rival and with_slices:
        paragraphs.append(_ahead_and_behind(board, row, rival))
    return (
        f'<header><p class="over">Gold set \N{MIDDLE DOT} {len(own)} items from {len(sources)} sources</p>'
        f"<h1>{escape(verdict_sentence(board, solver))}</h1>"
        + "".join(f'<p class="deck">{escape(text)}</p>' for text in paragraphs if text)
        + "</header>"
    )


def shares(board: Scoreboard, solver: str) -> str:
    """The table of slices and solvers; on a phone, a block a slice."""
    marks = {row.solver: ' class="own"' if row.solver == solver else "" for row in board.rows}
    head = "".join(f'<th scope="col"{mark}>{escape(name)}</th>' for name, mark in marks.items())
    cells = "".join(share_cell(row.headline, row.solver, row.solver == solver, counted=False) for row in board.rows)
    names = escape(_listed(board.headline_slices))
    lines = [f'<tr class="headline"><th scope="row">headline<small>mean of {names}</small></th>{cells}</tr>']
    lines += [_share_line(column, board, solver) for column in board.columns]
    return (
        '<section id="shares"><h2>Who gets how many right</h2><table class="shares">'
        "<caption>Share of right answers, the count behind it, and its 95 % interval on a line from 0 to 1.</caption>"
        f"<thead><tr><td></td>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table></section>"
    )


def notes(board: Scoreboard, solver: str, with_solvers: bool = True) -> str:
    """What the table does not say by itself, and `with_solvers` who they are."""
    names, row = {column.name for column in board.columns}, board.row(solver)
    told = []
    if row and row.guard:
        told.append(escape(row.guard))
    if board.row("lexicon") and names & {"unseen", "context-minority"}:
        told.append(
            "<em>unseen</em> and <em>context-minority</em> were chosen because a lexicon of all training lines cannot "
            "know them: it can hardly score there, by construction. <em>known</em> is its home ground."
        )
    told.append("What was not answered is left out of the share, never counted as wrong; a dash means not asked.")
    html = f'<aside class="notes">{"".join(f"<p>{note}</p>" for note in told)}</aside>'
    if not with_solvers:
        return html
    known = [(each.solver, SOLVERS[each.solver]) for each in board.rows if each.solver in SOLVERS]
    words = "".join(f"<dt>{escape(name)}</dt><dd>{escape(does)}</dd>" for name, does in known)
    return f'{html}<dl class="solvers">{words}</dl>'


def grades(own: Sequence[Result]) -> str:
    """Graded scores: how near the answers come, also where they are not right."""
    scores = {scorer: graded(own, scorer) for scorer in GRADED if any(scorer in result.scores for result in own)}
    if not scores:
        return ""
    head = "".join(f'<th scope="col">{MEASURES[key][0]}<small>{MEASURES[key][1]}</small></th>' for key in scores)
    lines = []
    for name in next(iter(scores.values())):
        cells = "".join(_grade_cell(score.get(name), MEASURES[key][0]) for key, score in scores.items())
        lines.append(f'<tr><th scope="row">{escape(name)}</th>{cells}</tr>')
    return (
        '<section><h2>How near it comes</h2><p class="quiet">Above, a line with one wrong letter is as wrong as any, '
        "here it is not. The intervals are from resampling the items.</p>"
        f'<table class="grades"><thead><tr><td></td>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table>'
        "</section>"
    )


def display_name(solver: str) -> str:
    """A solver's name at the start of a sentence."""
    return solver[:1].upper() + solver[1:]


def _meaning(board: Scoreboard, headline: Estimate) -> str:
    low, high = _of_100(headline.low), _of_100(headline.high)
    return (
        f"The score is the mean of {_listed(board.headline_slices)}, each with the same weight; {headline.num_scored} "
        f"items leave it between {low} and {high} (95 % interval)."
    )


def _evidence(comparison: Comparison | None) -> str:
    if comparison is None or not comparison.num_compared:
        return ""
    ending = {
        "better": "Item by item it is better, by more than chance explains",
        "worse": "Item by item it is worse, by more than chance explains",
        "cannot tell": "Chance alone could do that: these items cannot tell the two apart",
    }[comparison.verdict]
    p_value = "p < 0.001" if comparison.p_value < 0.001 else f"p = {comparison.p_value:.2g}"
    return (
        f"On them it gets {len(comparison.fixed)} right that the other gets wrong, and {len(comparison.broken)} "
        f"wrong that the other gets right. {ending} (exact McNemar, {p_value})."
    )


def _ahead_and_behind(board: Scoreboard, row: Row, rival: Row) -> str:
    names = [column.name for column in board.columns if not column.is_part]
    values = [(name, row.cells[name].value, rival.cells[name].value) for name in names]
    ahead = [
        f"{name} ({ours:.2f} against {theirs:.2f})"
        for name, ours, theirs in values
        if ours and theirs is not None and ours > theirs
    ]
    behind = [
        f"{name} ({ours:.2f} against {theirs:.2f})"
        for name, ours, theirs in values
        if theirs and ours is not None and ours < theirs
    ]
    told = [f"{word} on {_listed(found)}" for word, found in (("ahead", ahead), ("behind", behind)) if found]
    return f"Slice by slice, it is {', and '.join(told)}." if told else ""


def _share_line(column: Column, board: Scoreboard, solver: str) -> str:
    cells = "".join(share_cell(row.cells[column.name], row.solver, row.solver == solver) for row in board.rows)
    kind = ' class="part"' if column.is_part else ""
    words = SLICES.get(column.name, "")
    return f'<tr{kind}><th scope="row">{escape(column.name)}<small>{escape(words)}</small></th>{cells}</tr>'


def _grade_cell(share: Estimate | None, label: str) -> str:
    if share is None or share.value is None:
        return f'<td class="none" data-label="{label}">\N{EN DASH}</td>'
    interval = f"{share.low:.3f} to {share.high:.3f}, n = {share.num_scored}"
    return f'<td data-label="{label}"><b>{share.value:.3f}</b> <span class="count">{interval}</span></td>'


def _of_100(value: float | None) -> str:
    return "?" if value is None else f"{100 * value:.0f}"


def _listed(names: Sequence[str]) -> str:
    """`a, b and c`."""
    return ", ".join(names[:-1]) + (" and " if len(names) > 1 else "") + names[-1]
