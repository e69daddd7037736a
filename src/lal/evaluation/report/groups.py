"""The section of reports/gold.html that sorts the mistakes: what they have in common, what data would mend them."""

from collections.abc import Sequence
from html import escape

from lal.evaluation.failures.records import UNSAID, FailureGroup, Failures, Need
from lal.evaluation.failures.word_pairs import WordPair
from lal.evaluation.report.parts import item_card, proof
from lal.records import line_to_modernise

GROUPS_SHOWN = 8
"""Before the reader has to ask for more."""

PAIRS_SHOWN = 6

NEEDS: dict[Need, str] = {
    "new data": "Needs new data",
    "more of this reading": "Needs more of this reading",
    "more training": "Needs more training, not more data",
    "more examples": "Needs more examples",
}

WANTS: dict[Need, str] = {
    "new data": "want words that training does not have",
    "more of this reading": "want a reading that training has too seldom",
    "more training": "want longer training, not more data",
    "more examples": "want more examples of such answers",
}


def groups_section(failures: Failures) -> str:
    """Kinds of mistakes, the commonest first; an empty text if nothing was evaluated."""
    if not failures.num_items:
        return ""
    opening = '<section id="groups"><h2>Kinds of mistakes</h2>'
    if not failures.groups:
        return f"{opening}<p>None: all {failures.num_items} answers are right.</p></section>"
    told = (
        f"The {failures.num_failed} wrong answers of {failures.num_items}, sorted by program into "
        f"{len(failures.groups)} kinds. An answer with two mistakes stands under both."
    )
    cards = [f"<li>{_group(group)}</li>" for group in failures.groups]
    rest = cards[GROUPS_SHOWN:]
    more = (
        f'<details class="more"><summary>{len(rest)} more kinds</summary><ol class="groups">{"".join(rest)}</ol>'
        "</details>"
        if rest
        else ""
    )
    return (
        f'{opening}<p class="quiet">{told}</p><p>{escape(_needs_sentence(failures.groups))}</p>'
        f'<ol class="groups">{"".join(cards[:GROUPS_SHOWN])}</ol>{more}'
        '<p class="quiet"><code>lal iterate</code> writes a proposal of training rows from these kinds.</p></section>'
    )


def group_title(group: FailureGroup) -> str:
    """A kind of mistake in words, such as `left as it was: u > v`."""
    if group.error == UNSAID:
        return f"{group.error}: {' or '.join(group.pattern.strip(chr(39) + chr(34)).split('|'))}"
    return f"{group.error}: {group.pattern}" if group.pattern else group.error


def _needs_sentence(found: Sequence[FailureGroup]) -> str:
    """How many mistakes are for want of what, by what most words of their kind want."""
    counts = {need: sum(group.count for group in found if group.need == need) for need in WANTS}
    told = [f"{count} {WANTS[need]}" for need, count in counts.items() if count]
    return f"Of these {sum(counts.values())} mistakes {', '.join(told)}."


def _group(group: FailureGroup) -> str:
    items = "1 item" if group.count == 1 else f"{group.count} items"
    head = (
        f"<h3>{escape(group_title(group))} <small>{escape(group.slice)} \N{MIDDLE DOT} {items}, "
        f"{100 * group.share:.0f} % of the wrong answers</small></h3>"
    )
    example = group.examples[0]
    answer = proof(example.answer.strip(), example.expected) if example.expected else escape(example.answer)
    wanted = ("expected", escape(example.expected)) if example.expected else ("failed", escape(example.explanation))
    card = item_card(escape(example.source), [("answered", answer or "(nothing)"), wanted], example.item_id)
    proposal = f"<p><strong>{NEEDS[group.need]}.</strong> {escape(group.proposal)}</p>"
    return f"{head}{card}{proposal}{_evidence(group)}"


def _in_training(pairs: Sequence[WordPair]) -> str:
    """How often training shows the words at fault, as a sentence each."""
    told = [f"<li>{_seen(pair)}</li>" for pair in pairs[:PAIRS_SHOWN]]
    if rest := len(pairs) - PAIRS_SHOWN:
        told += [f"<li>and {rest} more words</li>"] if rest > 0 else []
    return f'<ul class="pairs">{"".join(told)}</ul>' if told else ""


def _seen(pair: WordPair) -> str:
    old, modern = (f'<span class="folio">{escape(word)}</span>' for word in (pair.old, pair.modern))
    if pair.evidence == "never seen":
        return f"{old} for {modern}: in no training line"
    return f"{old} for {modern}: {pair.num_seen:,} of the {pair.num_old:,} times that training has the word"


def _evidence(group: FailureGroup) -> str:
    """What the proposal rests on, for who asks: the words, and the training rows."""
    words, rows = _in_training(group.pairs), _near(group)
    names = [
        name for name, html in (("the words in training", words), ("the training rows nearest to these", rows)) if html
    ]
    return f"<details><summary>{' and '.join(names)}</summary>{words}{rows}</details>" if names else ""


def _near(group: FailureGroup) -> str:
    if not group.nearest:
        return ""
    pairs = [(row.id, line_to_modernise(row.prompt) or row.prompt, row.answer) for row in group.nearest]
    rows = "".join(
        f'<li class="folio">{escape(asked)} \N{RIGHTWARDS ARROW} {escape(answered)} '
        f'<span class="meta">{escape(identity)}</span></li>'
        for identity, asked, answered in pairs
    )
    return f"<p>Nearest training rows:</p><ul>{rows}</ul>"
