"""Generating text: many prompts at once for evaluation, one token at a time for a person who waits.

B rows side by side        C width of the stream        V vocabulary
"""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from lal.errors import ModelError, in_one_line
from lal.model.sampling import Sampling, draw
from lal.model.transformer import Cache, Transformer

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


class CompiledStep:
    """Reading one token a row, compiled: for whoever generates for longer than compiling takes.

    At one row and four layers a step is some 300 small operations, whose dispatch takes longer than their arithmetic.
    Compiling takes place here, so that nobody waits for it at the first token.

    Args:
        model: Its weights may change later, its place and compute type may not.
        num_rows: B, the same for every step.

    Raises:
        ModelError: torch.compile does not work on this computer.
    """

    def __init__(self, model: Transformer, num_rows: int) -> None:
        self.num_rows = num_rows

        def step(ids: Tensor, cache: Cache) -> Tensor:
            return model.head(model.hidden(ids[:, None], cache)[:, -1])

        self._step: Callable[[Tensor, Cache], Tensor] = torch.compile(step, fullgraph=True, dynamic=False)
        try:
            with torch.inference_mode():
                self(torch.zeros(num_rows, dtype=torch.long, device=model.device), self.new_cache(model))
        except Exception as error:  # Whatever goes wrong in the compiler, there is a way without it.
            raise ModelError(
                f"torch.compile does not work here ({in_one_line(error)})", "generate without a compiled step"
            ) from error

    def __call__(self, ids: Tensor, cache: Cache) -> Tensor:
        """(B,) ids -> (B, V) logits of what follows each."""
        return self._step(ids, cache)

    def new_cache(self, model: Transformer) -> Cache:
        """Room for the whole context, the one shape this step is compiled for."""
        return model.new_cache(self.num_rows, model.config.context_length, is_static=True)


@torch.inference_mode()
def generate_batch(
    model: Transformer,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
    end_id: int,
    batch_size: int = 64,
    compiled: CompiledStep | None = None,
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
        batch_size: Most rows B side by side; a compiled step brings its own number.
        compiled: A step of this model; rows that have ended then stay where they are, so that the shape does.

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
    batch_size = compiled.num_rows if compiled else batch_size
    for first in range(0, len(order), batch_size):
        group = order[first : first + batch_size]
        completed = _complete(model, [prompts[number] for number in group], max_new_tokens, end_id, compiled)
        answers.update(zip(group, completed, strict=True))
    return [answers[number] for number in range(len(prompts))]


@torch.inference_mode()
def stream(
    model: Transformer,
    prompt: Sequence[int],
    sampling: Sampling,
    max_new_tokens: int,
    end_id: int,
    seed: int = 0,
    compiled: CompiledStep | None = None,
) -> Generator[int, None, FinishReason]:
    """Yields the ids that follow a prompt as they are drawn, the end not included; returns why it stopped.

    A compiled step, if one is given, is of this model and for one row.

    Raises:
        ModelError: The prompt is longer than the model's context.
    """
    assert compiled is None or compiled.num_rows == 1, compiled
    _check_prompt(prompt, model)
    generator = torch.Generator().manual_seed(seed)
    limit = _room(len(prompt), model, max_new_tokens)
    logits, cache = _read(model, [prompt], limit, compiled)
    for number in range(1, limit + 1):
        token_id = draw(logits[0], sampling, generator)
        if token_id == end_id:
            return "stop"
        yield token_id
        if number < limit:
            logits = _step(model, compiled, torch.tensor([token_id], device=model.device), cache)
    return "length"


def next_token_logits(model: Transformer, prompt: Sequence[int]) -> torch.Tensor:
    """(V,) scores of the token after a prompt. Raises: see `stream`."""
    _check_prompt(prompt, model)
    with torch.inference_mode():
        return model.head(model.hidden(torch.tensor([list(prompt)], device=model.device))[0, -1])


def _complete(
    model: Transformer,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
    end_id: int,
    compiled: CompiledStep | None,
) -> list[Generated]:
    """Greedy answers to one batch of prompts; rows leave the batch when they end."""
    num_spare = compiled.num_rows - len(prompts) if compiled else 0
    rooms = [_room(len(prompt), model, max_new_tokens) for prompt in prompts]
    logits, cache = _read(model, [*prompts, *[[0]] * num_spare], max(rooms), compiled)
    answers: list[list[int]] = [[] for _ in prompts]
    reasons: list[FinishReason | None] = [None] * len(prompts)
    running = list(range(len(prompts)))
    while True:
        chosen = logits.argmax(dim=-1)
        for row, token_id in zip(running, chosen.tolist(), strict=compiled is None):
            if reasons[row] is None and token_id == end_id:
                reasons[row] = "stop"
            elif reasons[row] is None:
                answers[row].append(token_id)
                reasons[row] = "length" if len(answers[row]) == rooms[row] else None
        going = [reasons[row] is None for row in running] + [False] * num_spare
        if not any(going):
            break
        if not all(going):
            stays = torch.tensor(going, device=model.device)
            cache.keep(stays)
            if compiled is None:
                running, chosen = [row for row in running if reasons[row] is None], chosen[stays]
        logits = _step(model, compiled, chosen, cache)
    return [Generated(answer, reason or "length") for answer, reason in zip(answers, reasons, strict=True)]


def _read(
    model: Transformer, prompts: Sequence[Sequence[int]], most_new: int, compiled: CompiledStep | None
) -> tuple[Tensor, Cache]:
    """(B, V) logits of what follows each prompt, and what is remembered of it; shorter ones are filled up behind."""
    lengths = torch.tensor([len(prompt) for prompt in prompts], device=model.device)
    longest = int(lengths.max())
    filled_up = [[*prompt, *[0] * (longest - len(prompt))] for prompt in prompts]
    ids = torch.tensor(filled_up, device=model.device)
    cache = compiled.new_cache(model) if compiled else model.new_cache(len(prompts), longest + most_new)
    hidden = model.hidden(ids, cache)[torch.arange(len(prompts), device=model.device), lengths - 1]
    cache.lengths = lengths  # Forgets what filled the shorter ones up.
    return model.head(hidden), cache


def _step(model: Transformer, compiled: CompiledStep | None, ids: Tensor, cache: Cache) -> Tensor:
    """(B,) ids -> (B, V) logits of what follows each."""
    return compiled(ids, cache) if compiled else model.head(model.hidden(ids[:, None], cache)[:, -1])


def _room(prompt_length: int, model: Transformer, max_new_tokens: int) -> int:
    """Tokens that can follow: the last one need not be read, so one more than the context has places left."""
    return min(max_new_tokens, model.config.context_length - prompt_length + 1)


def _check_prompt(prompt: Sequence[int], model: Transformer) -> None:
    assert len(prompt), "a prompt has at least one id"
    most = model.config.context_length
    if len(prompt) > most:
        raise ModelError(f"the prompt has {len(prompt)} tokens, the model reads {most}", "shorten the text")
