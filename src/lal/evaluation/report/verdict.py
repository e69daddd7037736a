"""The gate in reports/gold.html: passed or not in a sentence, each condition, and the champion item by item."""

from collections.abc import Sequence
from html import escape

from lal.evaluation.report.parts import answer_html, item_card, question_html
from lal.evaluation.scores.results import Result
from lal.evaluation.scores.scoreboard import ALL, HEADLINE, PASSES
from lal.evaluation.statistics.paired import Difference
from lal.evaluation.verdict.champion import Champion
from lal.evaluation.verdict.comparison import LOWER_IS_BETTER, Comparison, MetricComparison
from lal.evaluation.verdict.judgement import GateVerdict, Judgement, Outcome

ITEMS_SHOWN = 6
"""Of the fixed and of the broken items, before the reader has to ask for more."""

REQUIRED = {
    "shown": "required, and must be shown",
    "not_refuted": "required: must not be shown false",
    "observed": "required, as counted",
    False: "told, never decides",
}

SIGNS: dict[Outcome, str] = {
    "met": "\N{CHECK MARK} met",
    "unmet": "\N{MULTIPLICATION X} not met",
    "cannot tell": "? cannot tell",
    "no champion": "\N{EN DASH} no champion yet",
}

VERDICTS = {
    "better": ("right", "\N{UPWARDS ARROW} better"),
    "worse": ("wrong", "\N{DOWNWARDS ARROW} worse"),
    "cannot tell": ("quiet", "? cannot tell"),
}
"""Class and words with a sign, so that colour is not needed to tell them apart."""


def verdict_section(
    verdict: GateVerdict, comparison: Comparison | None, champion: Champion | None, noise: str = ""
) -> str:
    """The whole section.

    Args:
        verdict: What the gate says.
        comparison: The champion's answers (old) and the model's (new); None before the first promotion.
        champion: The champion itself; None likewise.
        noise: What is known of the spread between trainings, in a sentence.
    """
    kind, sign = ("right", "\N{CHECK MARK}") if verdict.passed else ("wrong", "\N{MULTIPLICATION X}")
    return (
        '<section id="verdict"><h2>May it take the champion\N{RIGHT SINGLE QUOTATION MARK}s place?</h2>'
        f'<p class="deck"><span class="verdict {kind}">{sign}</span> {escape(verdict.sentence)}</p>'
        f"{_failed(verdict)}{_conditions(verdict)}{_quiet(noise)}{_against(comparison, champion)}</section>"
    )


def difference_strip(difference: Difference, reach: float, label: str) -> str:
    """A dot on a line from -reach to reach with its interval and a mark at 0, as inline SVG."""
    low, high, value = (
        f"{50 + 48 * max(-1.0, min(1.0, number / reach)):.1f}"
        for number in (difference.low, difference.high, difference.value)
    )
    lines = "".join(
        f'<line class="{kind}" x1="{start}" x2="{end}" y1="{top}" y2="{bottom}"/>'
        for kind, start, end, top, bottom in (
            ("axis", "2", "98", 6, 6),
            ("zero", "50", "50", 0, 12),
            ("range", low, high, 6, 6),
            ("dot", value, value, 6, 6),
        )
    )
    title = escape(f"{label}: {_interval(difference)}")
    return (
        '<svg class="strip" viewBox="0 0 100 12" preserveAspectRatio="none" role="img" '
        f'aria-label="{title}"><title>{title}</title>{lines}</svg>'
    )


def _quiet(text: str) -> str:
    return f'<p class="quiet">{escape(text)}</p>' if text else ""


def _failed(verdict: GateVerdict) -> str:
    """What keeps the model out, in full, before the table."""
    if not verdict.failed:
        return ""
    return "<ul>" + "".join(f"<li>{escape(each.sentence)}</li>" for each in verdict.failed) + "</ul>"


def _conditions(verdict: GateVerdict) -> str:
    if not verdict.conditions:
        return ""
    found = [each.difference for each in verdict.conditions if each.difference]
    reach = _reach(found)
    lines = "".join(_condition(each, reach) for each in verdict.conditions)
    return (
        '<table class="gate"><caption>Each condition of <code>gate.conditions</code>. Right of the mark, the model is '
        f"better; the line is from \N{MINUS SIGN}{reach:.2g} to +{reach:.2g}. Each interval is wider than a "
        "95\N{NO-BREAK SPACE}% one, so that all of them together are right 95 times in 100.</caption>"
        '<thead><tr><td></td><th scope="col">this model, limit</th><th scope="col">difference</th>'
        f'<th scope="col">outcome</th></tr></thead><tbody>{lines}</tbody></table>'
    )


def _condition(judged: Judgement, reach: float) -> str:
    bound = "at most" if judged.metric in LOWER_IS_BETTER else "at least"
    against = f"{bound if judged.is_floor else 'against'} {judged.against}"
    margin = f", margin {judged.margin:g}" if judged.margin else ""
    head = (
        f'<th scope="row">{escape(f"{judged.metric} on {judged.slice}")}'
        f"<small>{escape(against + margin)}; {REQUIRED[judged.required]}</small></th>"
    )
    kind = "quiet" if judged.required is False else "right" if judged.passed else "wrong"
    outcome = f'<td data-label="outcome"><span class="verdict {kind}">{_outcome(judged)}</span></td>'
    if judged.difference is None or judged.value is None or judged.limit is None:
        why = escape(judged.sentence.partition(": ")[2])
        return f'<tr>{head}<td colspan="2" class="none" data-label="">{why}</td>{outcome}</tr>'
    seeds = "" if judged.noise_units is None else f", {abs(judged.noise_units):.1f} units of seed noise"
    return (
        f'<tr>{head}<td data-label="now, limit"><span><b>{judged.value:.3f}</b> '
        f'<span class="count">{judged.limit:.3f}</span></span></td>'
        f'<td data-label="difference"><span><b>{_signed(judged.difference.value)}</b> '
        f'<span class="count">{_interval(judged.difference)}{seeds}</span></span>'
        f"{difference_strip(judged.difference, reach, judged.name)}</td>{outcome}</tr>"
    )


def _outcome(judged: Judgement) -> str:
    """The outcome; where it is `cannot tell`, whether that is enough."""
    if judged.outcome == "cannot tell" and not judged.passed:
        return "\N{MULTIPLICATION X} not shown: cannot tell"
    if judged.outcome == "cannot tell" and judged.required is not False:
        return f"{SIGNS[judged.outcome]}: allowed"
    return SIGNS[judged.outcome]


def _against(comparison: Comparison | None, champion: Champion | None) -> str:
    title = "<h3>Against the champion</h3>"
    if comparison is None or champion is None:
        return f'{title}<p class="quiet">None yet: <code>lal promote</code> makes a model the first one.</p>'
    facts = champion.facts
    why = f", because: {facts.reason}" if facts.reason else ""
    who = f"Promoted on {facts.promoted_on}{why}; model {facts.model_sha256[:12]}."
    if not comparison.num_compared:
        return (
            f'{title}<p class="quiet">{escape(who)}</p><p>It answered none of these items: nothing can be compared.</p>'
        )
    fixed, broken = len(comparison.fixed), len(comparison.broken)
    same = comparison.num_both_right + comparison.num_both_wrong
    left_out = f" {len(comparison.left_out)} items only one of the two answered." if comparison.left_out else ""
    told = f"{fixed} items fixed, {broken} broken, {same} as right or wrong as before.{left_out}"
    return (
        f'{title}<p class="quiet">{escape(who)}</p><p>{told}</p>{_slices(comparison.rows)}'
        + _items("Broken", comparison.broken)
        + _items("Fixed", comparison.fixed)
    )


def _slices(rows: Sequence[MetricComparison]) -> str:
    """Every metric and slice, better and worse alike; of the graded metrics, the whole alone."""
    shown = [row for row in rows if row.metric in PASSES or row.slice in (HEADLINE, ALL)]
    if not shown:
        return ""
    lines = "".join(_slice(row) for row in shown)
    counts = ", ".join(f"{sum(row.verdict == verdict for row in shown)} {verdict}" for verdict in VERDICTS)
    return (
        f'<details class="more"><summary>Slice by slice, {len(shown)} comparisons: {counts}</summary>'
        '<table class="gate"><caption>The champion, then this model, with the 95\N{NO-BREAK SPACE}% interval of the '
        "difference and a verdict that allows for the number of lines.</caption>"
        '<thead><tr><td></td><th scope="col">champion, then now</th><th scope="col">difference</th>'
        f'<th scope="col">verdict</th></tr></thead><tbody>{lines}</tbody></table></details>'
    )


def _slice(row: MetricComparison) -> str:
    kind, words = VERDICTS[row.verdict]
    before, now = (f"{each.value:.3f}" if each.value is not None else "\N{EN DASH}" for each in (row.old, row.new))
    less = "; less is better" if row.lower_is_better else ""
    more = f"<small>{row.more_items:,} more items would tell</small>" if row.more_items else ""
    seeds = "" if row.noise_units is None else f", {abs(row.noise_units):.1f} units of seed noise"
    return (
        f'<tr><th scope="row">{escape(row.slice)}<small>{escape(row.metric)}{less}, {row.difference.num_pairs} items'
        f'</small></th><td data-label="then, now"><span>{before} <b>{now}</b></span></td>'
        f'<td data-label="difference"><span><b>{_signed(row.difference.value)}</b> '
        f'<span class="count">{_interval(row.difference)}{seeds}</span></span></td>'
        f'<td data-label="verdict"><span class="verdict {kind}">{words}</span>{more}</td></tr>'
    )


def _items(title: str, pairs: Sequence[tuple[Result, Result]]) -> str:
    if not pairs:
        return ""
    head = f"<h3>{title} <small>{len(pairs)} items</small></h3>"
    cards = [f"<li>{_card(old, new)}</li>" for old, new in pairs]
    html = f'{head}<ol class="items two">{"".join(cards[:ITEMS_SHOWN])}</ol>'
    if rest := cards[ITEMS_SHOWN:]:
        more = f'<ol class="items two">{"".join(rest)}</ol>'
        html += f'<details class="more"><summary>{len(rest)} more {title.lower()}</summary>{more}</details>'
    return html


def _card(old: Result, new: Result) -> str:
    lines = [("champion", answer_html(old)), ("now", answer_html(new))]
    return item_card(question_html(new), lines, f"{new.item_id}, {new.subslice or new.slice}, {new.source}")


def _reach(differences: Sequence[Difference]) -> float:
    """How far a line goes to either side so that every interval is on it, in steps of 0.05."""
    furthest = max((max(abs(each.low), abs(each.high)) for each in differences), default=0.0)
    return max(0.05, 0.05 * -(-furthest // 0.05))


def _interval(difference: Difference) -> str:
    return f"{_signed(difference.low)} to {_signed(difference.high)}"


def _signed(number: float) -> str:
    return f"{number:+.3f}".replace("-", "\N{MINUS SIGN}")
