"""Parity: does what was written give the same numbers and the same answers as what was measured?"""

from collections.abc import Mapping, Sequence

import torch

from lal.errors import ExportError
from lal.model.generate import generate_batch
from lal.model.transformer import Transformer
from lal.text.tokenizer import Tokenizer


@torch.inference_mode()
def largest_logit_difference(first: Transformer, second: Transformer, prompts: Sequence[Sequence[int]]) -> float:
    """Largest absolute difference of any logit of any position of the prompts; 0 for the same weights."""
    differences = [(first(ids) - second(ids)).abs().max() for ids in (torch.tensor([prompt]) for prompt in prompts)]
    return float(torch.stack(differences).max())


def flipped_answers(
    model: Transformer, tokenizer: Tokenizer, prompts: Mapping[str, list[int]], measured: Mapping[str, str], limit: int
) -> list[str]:
    """Ids of the gold items that the model answers differently from what was measured.

    Args:
        model: What was written, read back.
        tokenizer: The same.
        prompts: Ids of each item's prompt.
        measured: The answers that were scored, by item.
        limit: Longest answer in tokens, as in the evaluation.
    """
    answers = generate_batch(model, list(prompts.values()), limit, tokenizer.end_id)
    return [
        item for item, answer in zip(prompts, answers, strict=True) if tokenizer.decode(answer.ids) != measured[item]
    ]


def demand_parity(difference: float, tolerance: float, flipped: Sequence[str], num_items: int) -> None:
    """Refuses an export that is not the model that was measured.

    Raises:
        ExportError: A logit differs by more than the tolerance, or a gold answer changed.
    """
    if not difference <= tolerance:  # also refuses NaN
        raise ExportError(
            f"the exported model's logits are off by up to {difference:.3g}, at most {tolerance} is allowed",
            "run `dvc repro -f export`; if it happens again, the folder models/instruct is damaged",
        )
    if flipped:
        shown = ", ".join(flipped[:5])
        raise ExportError(
            f"the exported model answers {len(flipped)} of {num_items} gold items differently: {shown}",
            "set export.dtype to float32: the scores were measured on those weights",
        )
