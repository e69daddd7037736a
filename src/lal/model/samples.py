"""Continuing many beginnings at random, side by side: what a model writes when nobody asks it anything.

B beginnings        P ids in each        V vocabulary
"""

from collections.abc import Sequence

import torch

from lal.model.sampling import Sampling, draw
from lal.model.transformer import Transformer


@torch.inference_mode()
def continue_batch(
    model: Transformer,
    beginnings: Sequence[Sequence[int]],
    sampling: Sampling,
    max_new_tokens: int,
    end_id: int,
    seed: int,
) -> list[list[int]]:
    """Draws what follows each of several beginnings of the same length.

    Args:
        model: Computes in the type its `compute_dtype` says.
        beginnings: (B, P) ids, one beginning a row; P at most the model's context.
        sampling: How to draw.
        max_new_tokens: Longest continuation; the model's context may end it earlier.
        end_id: Ends a continuation, and is not part of it.
        seed: Start of the draws, which one generator makes for all rows in turn.

    Returns:
        New ids, one list a beginning.
    """
    if not beginnings:
        return []
    most = model.config.context_length
    assert len({len(row) for row in beginnings}) == 1, "beginnings of different lengths"
    assert 1 <= len(beginnings[0]) <= most, len(beginnings[0])
    generator = torch.Generator().manual_seed(seed)
    limit = min(max_new_tokens, most - len(beginnings[0]) + 1)
    cache = model.new_cache(len(beginnings), len(beginnings[0]) + limit)
    ids = torch.tensor([list(row) for row in beginnings], device=model.device)
    drawn: list[list[int]] = [[] for _ in beginnings]
    for step in range(limit):
        logits = model.head(model.hidden(ids, cache)[:, -1])
        chosen = [draw(row, sampling, generator) for row in logits]
        for row, token_id in zip(drawn, chosen, strict=True):
            row.append(token_id)
        if step + 1 < limit:
            ids = torch.tensor(chosen, device=model.device)[:, None]
    return [row[: row.index(end_id)] if end_id in row else row for row in drawn]
