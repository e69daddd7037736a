"""From answers to results: every answer scored, beside the item it answers."""

from collections.abc import Iterable, Mapping, Sequence

from lal.evaluation.scores.results import Result
from lal.evaluation.scores.scorers import DIGITS, score
from lal.gold_items import Answer, GoldItem

Bits = Mapping[str, Mapping[str, float | None]]
"""Solver -> item id -> bits per byte of the right answer, see `lal.evaluation.solvers.likelihood.answer_bits`."""


def score_answers(items: Sequence[GoldItem], answers: Iterable[Answer], bits: Bits | None = None) -> list[Result]:
    """Scores all answers and returns one row each, in the order of the items, then of the answers.

    Args:
        items: What was asked.
        answers: What was said.
        bits: Of those solvers that are language models: how likely they find what should be said.
    """
    answered: dict[str, list[Answer]] = {item.id: [] for item in items}
    for answer in answers:
        answered[answer.item_id].append(answer)
    return [_result(item, answer, bits or {}) for item in items for answer in answered[item.id]]


def _result(item: GoldItem, answer: Answer, bits: Bits) -> Result:
    scores = score(item, answer)
    return Result(
        item_id=item.id,
        solver=answer.solver,
        slice=item.slice,
        subslice=item.subslice,
        source=item.source,
        scorer=item.scorer,
        prompt=item.prompt,
        expected=item.expected,
        alternatives=item.alternatives,
        text=answer.text,
        finish_reason=answer.finish_reason,
        num_tokens=answer.num_tokens,
        scores={each.scorer: each.value for each in scores} | _likelihood(item, bits.get(answer.solver, {})),
        explanation=scores[0].explanation,
        difficulty=item.difficulty,
    )


def _likelihood(item: GoldItem, bits: Mapping[str, float | None]) -> dict[str, float | None]:
    """The score `bits_per_byte`, where there is one right text and a model to ask."""
    if item.id not in bits:
        return {}
    value = bits[item.id]
    return {"bits_per_byte": None if value is None else round(value, DIGITS)}
