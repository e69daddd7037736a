"""Generating text: many prompts at once for evaluation, one token at a time for a person who waits.

B rows side by side        C width of the stream        V vocabulary
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from lal.errors import ModelError
from lal.model.sampling import Sampling, draw
from lal.model.transformer import Transformer

FinishReason = Literal["stop", "length"]
"""stop: the model said <|end|>. length: the limit came first, that of the caller or the model's context."""


@dataclass(frozen=True)
class Generated:
    """What followed a prompt.

    Attributes:
        ids: New ids, the end not included.
        finish_reason: Why it is no longer.
    """

    ids: list[int]
    finish_reason: FinishReason


@torch.inference_mode()
def generate_batch(
    model: Transformer, prompts: Sequence[Sequence[int]], max_new_tokens: int, end_id: int, batch_size: int = 64
) -> list[Generated]:
    """Answers many prompts, each with its likeliest token at every step (greedy).

    Prompts of similar length go side by side, shorter ones filled up behind their end, where nothing looks. A row's
    numbers depend on its neighbours only through the order in which a matrix product adds up, about 1e-6 of a logit.
    (Putting only prompts of equal length side by side would need no filling up, but 300 gold items have 86 lengths.)

    Args:
        model: Computes in the type its `compute_dtype` says; float32 for numbers that must repeat.
        prompts: Ids, at least one each.
        max_new_tokens: Longest answer, in tokens; at least 1.
        end_id: Ends an answer.
        batch_size: Most rows B side by side.

    Returns:
        One result a prompt, in their order.

    Raises:
        ModelError: A prompt is longer than the model's context.
    """
    assert max_new_tokens >= 1, max_new_tokens
    for prompt in prompts:
        _check_prompt(prompt, model)
    order = sorted(range(len(prompts)), key=lambda number: len(prompts[number]))
    answers: dict[int, Generated] = {}
    for first in range(0, len(order), batch_size):
        group = order[first : first + batch_size]
        completed = _complete(model, [prompts[number] for number in group], max_new_tokens, end_id)
        answers.update(zip(group, completed, strict=True))
    return [answers[number] for number in range(len(prompts))]


@torch.inference_mode()
def stream(
    model: Transformer, prompt: Sequence[int], sampling: Sampling, max_new_tokens: int, end_id: int, seed: int = 0
) -> Generator[int, None, FinishReason]:
    """Yields the ids that follow a prompt as they are drawn, the end not included; returns why it stopped.

    Raises:
        ModelError: The prompt is longer than the model's context.
    """
    _check_prompt(prompt, model)
    generator = torch.Generator().manual_seed(seed)
    limit = _room(len(prompt), model, max_new_tokens)
    cache = model.new_cache(1, len(prompt) + limit)
    ids = torch.tensor([list(prompt)], device=model.device)
    for _ in range(limit):
        token_id = draw(model.head(model.hidden(ids, cache)[0, -1]), sampling, generator)
        if token_id == end_id:
            return "stop"
        yield token_id
        ids = torch.tensor([[token_id]], device=model.device)
    return "length"


def next_token_logits(model: Transformer, prompt: Sequence[int]) -> torch.Tensor:
    """(V,) scores of the token after a prompt. Raises: see `stream`."""
    _check_prompt(prompt, model)
    with torch.inference_mode():
        return model.head(model.hidden(torch.tensor([list(prompt)], device=model.device))[0, -1])


def _complete(
    model: Transformer, prompts: Sequence[Sequence[int]], max_new_tokens: int, end_id: int
) -> list[Generated]:
    """Greedy answers to one batch of prompts; rows leave the batch when they end."""
    lengths = torch.tensor([len(prompt) for prompt in prompts], device=model.device)
    longest = int(lengths.max())
    filled_up = [[*prompt, *[0] * (longest - len(prompt))] for prompt in prompts]
    ids = torch.tensor(filled_up, device=model.device)
    rooms = [_room(len(prompt), model, max_new_tokens) for prompt in prompts]
    cache = model.new_cache(len(prompts), longest + max(rooms))
    hidden = model.hidden(ids, cache)[torch.arange(len(prompts), device=model.device), lengths - 1]
    cache.lengths = lengths  # Forgets what filled the shorter ones up.
    answers: list[list[int]] = [[] for _ in prompts]
    reasons: list[FinishReason] = ["length"] * len(prompts)
    running = list(range(len(prompts)))
    while running:
        chosen = model.head(hidden).argmax(dim=-1)
        for row, token_id in zip(running, chosen.tolist(), strict=True):
            if token_id == end_id:
                reasons[row] = "stop"
            else:
                answers[row].append(token_id)
        going = [reasons[row] == "length" and len(answers[row]) < rooms[row] for row in running]
        if not all(going):
            running = [row for row, goes in zip(running, going, strict=True) if goes]
            stays = torch.tensor(going, device=model.device)
            chosen = chosen[stays]
            cache.keep(stays)
        if running:
            hidden = model.hidden(chosen[:, None], cache)[:, -1]
    return [Generated(answer, reason) for answer, reason in zip(answers, reasons, strict=True)]


def _room(prompt_length: int, model: Transformer, max_new_tokens: int) -> int:
    """Tokens that can follow: the last one need not be read, so one more than the context has places left."""
    return min(max_new_tokens, model.config.context_length - prompt_length + 1)


def _check_prompt(prompt: Sequence[int], model: Transformer) -> None:
    assert len(prompt), "a prompt has at least one id"
    most = model.config.context_length
    if len(prompt) > most:
        raise ModelError(f"the prompt has {len(prompt)} tokens, the model reads {most}", "shorten the text")
