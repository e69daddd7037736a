"""The first section of reports/gold.html: what is free, rung by rung, and what the network adds to it."""

from html import escape

from lal.evaluation.report.parts import share_cell
from lal.evaluation.report.scores import SOLVERS
from lal.evaluation.scores.results import HYBRID
from lal.evaluation.scores.scoreboard import TEXT_MODELS
from lal.evaluation.verdict.ladder import CHAMPION, Ladder, Rung

UNITS = {
    "copy": "",
    "rules": "rules",
    "nearest": "conversations",
    "lexicon": "entries",
    "lexicon+rules": "entries",
    HYBRID: "parameters and entries",
}
"""What the size of a rung counts; parameters where it is not named here."""

RUNGS = SOLVERS | {
    "unigram": "how often each byte occurs",
    "ngram": "which byte follows the six before it, counted: Kneser-Ney 7-gram",
    CHAMPION: "the model that was promoted last",
}

NONE = "\N{EN DASH}"


def ladder_section(ladder: Ladder) -> str:
    """The sentence, and the table behind it."""
    lines = "".join(_line(rung, ladder) for rung in ladder.rungs)
    heads = (
        ("headline", "right answers, the mean of the headline slices"),
        ("size", "what it consists of"),
        ("held-out text", "bits per byte; less is better"),
        ("right answers", "bits per byte, the question given; less is better"),
    )
    head = "".join(f'<th scope="col">{name}<small>{words}</small></th>' for name, words in heads)
    return (
        f'<section id="ladder"><h2>What is free, and what the network adds</h2>'
        f'<p class="deck">{escape(ladder.sentence)}</p>'
        f'<table class="ladder"><thead><tr><td></td>{head}</tr></thead><tbody>{lines}</tbody></table>'
        f"{_notes(ladder)}</section>"
    )


def _line(rung: Rung, ladder: Ladder) -> str:
    own = rung.kind == "own"
    kind = ' class="best"' if rung.name == ladder.best else ""
    words = RUNGS.get(rung.name, "")
    mark = " \N{LEFTWARDS ARROW} the best of what is free" if rung.name == ladder.best else ""
    headline = (
        share_cell(rung.headline, "headline", own, counted=False)
        if rung.headline
        else _cell("headline", NONE, "predicts text, answers nothing")
    )
    return (
        f'<tr{kind}><th scope="row"{_own(own)}>{escape(rung.name)}<small>{escape(words + mark)}</small></th>{headline}'
        f"{_cell('size', *_size(rung))}{_cell('held-out text', _bits(rung.text_bits))}"
        f"{_cell('right answers', _bits(rung.answer_bits))}</tr>"
    )


def _cell(label: str, value: str, words: str = "") -> str:
    kind = ' class="none"' if value == NONE else ""
    more = f' <span class="count">{escape(words)}</span>' if words else ""
    return f'<td{kind} data-label="{label}"><span><b>{value}</b>{more}</span></td>'


def _own(own: bool) -> str:
    return ' class="own"' if own else ""


def _size(rung: Rung) -> tuple[str, str]:
    if rung.size is None:
        return NONE, ""
    unit = "entries" if rung.name in TEXT_MODELS else UNITS.get(rung.name, "parameters")
    return f"{rung.size:,}", unit


def _bits(value: float | None) -> str:
    return NONE if value is None else f"{value:.3f}"


def _notes(ladder: Ladder) -> str:
    """What the table does not say by itself; empty if it has no such numbers."""
    told = []
    if any(rung.text_bits is not None for rung in ladder.rungs):
        told.append(
            "Held-out text: all are scored on the same bytes of the validation split, ends of documents included. The "
            "fine-tuned model was taught to answer, not to go on with a text: what it lost there is the price."
        )
    if any(rung.answer_bits is not None for rung in ladder.rungs):
        told.append(
            "Right answers: how likely each model found what it should say, and to end there; where several wordings "
            "are right, together. It moves long before an answer does."
        )
    return f'<aside class="notes">{"".join(f"<p>{note}</p>" for note in told)}</aside>' if told else ""
