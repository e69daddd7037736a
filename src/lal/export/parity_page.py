"""reports/parity.html: how far each format is from what was measured, and every gold item it answers otherwise."""

import math
from collections.abc import Sequence
from html import escape

from lal.evaluation.report.page import frame
from lal.evaluation.report.parts import item_card, proof, verdict_word
from lal.export.agreement import Agreement, Flip, problems_of
from lal.export.opened import NUM_LOGIT_PROMPTS
from lal.sections import ParityParams

_COLUMNS = (
    "largest difference of a log-probability",
    "gold items in other words",
    "of these",
    "texts and prompts",
    "limits",
)

_FOOTER = "Made by <code>dvc repro</code> from models/instruct, models/export and reports/gold.jsonl."


def render_parity(found: Sequence[Agreement], params: ParityParams) -> str:
    """The page, one file that loads nothing.

    Args:
        found: The formats that were opened; the others that there are limits for are listed as absent.
        params: The limits.
    """
    problems = [problem for each in found for problem in _problems(each, params)]
    title = "Some formats are beyond their limits" if problems else "Every format is within its limits"
    by_name = {each.name: each for each in found}
    rows = "".join(_row(name, by_name.get(name), params) for name in params.tolerances.by_name())
    head = "<th></th>" + "".join(f"<th>{column}</th>" for column in _COLUMNS)
    listed = "".join(f"<li>{escape(problem)}</li>" for problem in problems)
    body = (
        f'<p class="over">Parity</p><h1>{title}</h1>\n'
        f'<p class="deck">Each format of the bundle, opened by the program it is for, beside the checkpoint that was '
        f"measured, in float32: the next token's odds after {NUM_LOGIT_PROMPTS} fixed prompts, the answers to the gold "
        f"items, the ids of awkward texts, and the chat template.</p>\n"
        + (f'<ul class="notes">{listed}</ul>\n' if problems else "")
        + f'<table class="ladder"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>\n'
        + "".join(map(_flips, found))
    )
    return frame(f"Parity: {title}", body, _FOOTER)


def _problems(found: Agreement, params: ParityParams) -> list[str]:
    return problems_of(found, params.tolerances.by_name()[found.name], params.flipped.by_name()[found.name])


def _row(name: str, found: Agreement | None, params: ParityParams) -> str:
    """What was found, each with its limit."""
    limits = params.tolerances.by_name()[name], params.flipped.by_name()[name]
    if found is None:
        cells = [f"(at most {limits[0]:g})", f"(at most {limits[1]:g})", "", "", "not there"]
    else:
        difference = f"{found.difference:.2g}" if math.isfinite(found.difference) else "no bound"
        wrong, right = found.count(True, False), found.count(False, True)
        cells = [
            f"<b>{difference}</b> <span class='count'>at most {limits[0]:g}</span>",
            f"<b>{len(found.flips)}</b> of {found.num_items} <span class='count'>at most {limits[1]:g}</span>",
            f"{wrong} right to wrong, {right} wrong to right",
            _read_otherwise(found),
            "fails" if _problems(found, params) else "holds",
        ]
    labelled = "".join(
        f'<td data-label="{column}"><span>{cell}</span></td>' for column, cell in zip(_COLUMNS, cells, strict=True)
    )
    return f"<tr><th>{escape(name)}</th>{labelled}</tr>"


def _read_otherwise(found: Agreement) -> str:
    if found.mismatches is None:
        return "takes ids"
    return f"{len(found.mismatches)} otherwise" if found.mismatches else "the same"


def _flips(found: Agreement) -> str:
    if not found.flips:
        return ""
    cards = "".join(f"<li>{_card(flip)}</li>" for flip in found.flips)
    return f'<h2>{escape(found.name)}: in other words</h2><ol class="items two">{cards}</ol>\n'


def _card(flip: Flip) -> str:
    measured = flip.question.measured
    lines = [
        ("measured", f"{escape(measured.text)} {verdict_word(flip.was_right)}"),
        ("now", f"{proof(measured.text, flip.text)} {verdict_word(flip.is_right)}"),
    ]
    return item_card(escape(measured.task), lines, f"{flip.question.item.id}, {measured.slice}")
