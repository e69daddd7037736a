"""How likely a model finds a text: bits per byte of held-out text, and of the right answer to a question.

Whether an answer is right is yes or no; how likely the right answer was is a number for every item, and moves long
before an answer flips. Of what can be measured on small models it is the most sensitive.

What is counted, so that two models can be compared whatever their tokenizers:

- Nats are summed over the tokens of the text and the end after it: a model that does not know when to stop pays. The
  prompt costs nothing.
- Bytes are those of the text in UTF-8; the end has none.
- Where several wordings are right, their probabilities add up: it counts that one of them is said, not which. Bytes are
  those of the expected one, so that the unit does not change from model to model.
- Float32, in a fixed order, so that the numbers repeat; a sum of logarithms in float64.

    B rows side by side        T positions in a row        V vocabulary
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from lal.evaluation.solvers.solver import ModelSolver
from lal.gold_items import GoldItem
from lal.model.folder import LoadedModel
from lal.model.transformer import Cache, Transformer
from lal.text.batches import NO_TARGET, Batch, consecutive_windows
from lal.text.tokenizer import Tokenizer

Rows = Sequence[tuple[Sequence[int], Sequence[int]]]
"""(prompt ids, ids that follow) of each row; neither is empty."""

WINDOWS_A_BATCH = 8
"""Of 256 tokens; 64 side by side leave the processor's cache, and take a fifth longer."""

MIN_SHARED_IDS = 32
"""Shortest common beginning of prompts worth reading apart: solved examples are, the words of a template are not."""


@dataclass(frozen=True)
class TextCost:
    """What a text cost a model.

    Attributes:
        nats: Sum of -log(probability) over its tokens and ends.
        num_bytes: Bytes of the text in UTF-8.
    """

    nats: float
    num_bytes: int

    @property
    def bits_per_byte(self) -> float:
        """The unit that crosses tokenizers."""
        return bits_per_byte(self.nats, self.num_bytes)


def bits_per_byte(nats: float, num_bytes: int) -> float:
    """Nats of a text in bits, for each of its bytes.

    Example:
        >>> bits_per_byte(8 * math.log(2), 4)
        2.0
    """
    return nats / math.log(2) / num_bytes


def answer_bits(solver: ModelSolver, items: Sequence[GoldItem]) -> dict[str, float | None]:
    """Bits per byte of the right answer to each item that has one, asked as the solver asks it.

    Returns:
        By item id, for items scored by `exact`; None where question and answer together are longer than the context.
    """
    encode, most = solver.loaded.tokenizer.encode, solver.loaded.model.config.context_length
    asked = [(item, solver.ask(item)) for item in items if item.scorer == "exact"]
    places: list[tuple[str, list[int]]] = []
    rows: list[tuple[list[int], list[int]]] = []
    for item, prompt in asked:
        wordings = dict.fromkeys((item.expected, *item.alternatives))
        answers = [[*encode(wording), solver.end_id] for wording in wordings]
        if all(len(prompt) + len(answer) - 1 <= most for answer in answers):
            places.append((item.id, list(range(len(rows), len(rows) + len(answers)))))
            rows += [(prompt, answer) for answer in answers]
    nats = continuation_nats(solver.loaded.model, rows, solver.batch_size)
    costs = {key: _nats_of_any([nats[place] for place in found]) for key, found in places}
    return {
        item.id: bits_per_byte(costs[item.id], len(item.expected.encode())) if item.id in costs else None
        for item, _ in asked
    }


@torch.inference_mode()
def continuation_nats(model: Transformer, rows: Rows, batch_size: int) -> list[float]:
    """-log of the probability that a model says exactly these ids after that prompt, for each row.

    Rows of similar length go side by side; a row's number depends on its neighbours only through the order in which a
    matrix product adds up, less than 1e-4 nats.

    Args:
        model: Computes in float32.
        rows: Prompt and continuation; both, less one id, fit the context.
        batch_size: Most rows B side by side.
    """
    assert model.compute_dtype == torch.float32, "bfloat16 moves two items in three by the batch they are in"
    order = sorted(range(len(rows)), key=lambda number: sum(map(len, rows[number])))
    nats: dict[int, float] = {}
    for first in range(0, len(order), batch_size):
        group = order[first : first + batch_size]
        nats.update(zip(group, _group_nats(model, [rows[number] for number in group]), strict=True))
    return [nats[number] for number in range(len(rows))]


def _group_nats(model: Transformer, rows: Rows) -> list[float]:
    """One batch of `continuation_nats`; a long beginning that all prompts share is read once."""
    shared = _shared_ids([prompt for prompt, _ in rows])
    lengths = [len(prompt) + len(answer) - 1 - shared for prompt, answer in rows]
    inputs = torch.zeros(len(rows), max(lengths), dtype=torch.long)
    targets = torch.full_like(inputs, NO_TARGET)
    for place, (prompt, answer) in enumerate(rows):
        inputs[place, : lengths[place]] = torch.tensor([*prompt, *answer][shared:-1])
        targets[place, len(prompt) - 1 - shared : lengths[place]] = torch.tensor(answer)
    if not shared:
        return _nats_by_row(model, inputs, targets)
    before = model.new_cache(1, shared + inputs.shape[1])
    model.hidden(torch.tensor([list(rows[0][0][:shared])], device=model.device), before)
    before.keep(torch.zeros(len(rows), dtype=torch.long, device=model.device))  # Its one row, once for each of ours.
    return _nats_by_row(model, inputs, targets, before)


def _shared_ids(prompts: Sequence[Sequence[int]]) -> int:
    """How many first ids to read once: all that the prompts have in common but the last, or 0 if not worth it."""
    most = min(map(len, prompts)) - 1
    shared = next((place for place in range(most) if len({prompt[place] for prompt in prompts}) > 1), most)
    return shared if shared >= MIN_SHARED_IDS else 0


def text_cost(loaded: LoadedModel, texts: Sequence[str]) -> TextCost:
    """What texts cost a network, in windows of its context one after the other, each token a target once.

    An end stands before the first text and after each, as in pretraining. A window begins with little to go by, which
    is how the network was trained and validated.

    Args:
        loaded: Network and tokenizer.
        texts: Held out from training; at least one that is not empty.
    """
    tokenizer = loaded.tokenizer
    ids = [tokenizer.end_id]
    for encoded in tokenizer.encode_batch(texts):
        ids += [*encoded, tokenizer.end_id]
    tokens = torch.tensor(ids).numpy()
    windows = list(consecutive_windows(tokens, loaded.model.config.context_length, WINDOWS_A_BATCH))
    num_bytes = sum(len(text.encode()) for text in texts)
    assert sum(_bytes_of(batch, tokenizer) for batch in windows) == num_bytes, "not every byte was scored, or one twice"
    with torch.inference_mode():
        nats = math.fsum(
            cost
            for batch in windows
            for cost in _nats_by_row(loaded.model, torch.from_numpy(batch.inputs), torch.from_numpy(batch.targets))
        )
    return TextCost(nats, num_bytes)


def _nats_by_row(
    model: Transformer, inputs: torch.Tensor, targets: torch.Tensor, before: Cache | None = None
) -> list[float]:
    """(B, T) ids and targets -> B sums over the positions with a target; `before` holds what stands before them."""
    counted = targets != NO_TARGET
    # With a cache the network takes the fused attention, in two thirds of the time.
    cache = before or model.new_cache(*inputs.shape)
    hidden = model.hidden(inputs.to(model.device), cache)[counted.to(model.device)]
    found = F.cross_entropy(model.head(hidden).cpu(), targets[counted], reduction="none").double()
    rows = counted.nonzero()[:, 0]
    sums: list[float] = torch.zeros(len(inputs), dtype=torch.float64).index_add(0, rows, found).tolist()
    return sums


def _nats_of_any(nats: Sequence[float]) -> float:
    """-log of the summed probabilities of several wordings."""
    least = min(nats)
    return least - math.log(math.fsum(math.exp(least - cost) for cost in nats))


def _bytes_of(batch: Batch, tokenizer: Tokenizer) -> int:
    return tokenizer.count_bytes(batch.targets[batch.targets != NO_TARGET])
