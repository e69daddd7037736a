"""From answers to results: every answer scored, beside the item it answers."""

from collections.abc import Iterable, Sequence

from lal.evaluation.results import Result
from lal.evaluation.scorers import score
from lal.gold_items import Answer, GoldItem


def score_answers(items: Sequence[GoldItem], answers: Iterable[Answer]) -> list[Result]:
    """Scores all answers and returns one row each, in the order of the items, then of the answers."""
    answered: dict[str, list[Answer]] = {item.id: [] for item in items}
    for answer in answers:
        answered[answer.item_id].append(answer)
    return [_result(item, answer) for item in items for answer in answered[item.id]]


def _result(item: GoldItem, answer: Answer) -> Result:
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
        scores={each.scorer: each.value for each in scores},
        explanation=scores[0].explanation,
    )
