"""Which shape, batch and steps to train in given minutes: measured speeds, and the law of `lal.advice.forecast`.

Every candidate takes a few real steps on this machine, at the precision that `pretrain.precision` gives here; what fits
into the minutes is chosen by the loss that is foretold.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lal.advice.footprint import footprint, free_bytes
from lal.advice.forecast import (
    ANCHOR_BYTES,
    ANCHOR_HELD_OUT_BYTES,
    Range,
    Size,
    block_parameters,
    calibrated,
    measure_anchor,
)
from lal.advice.preflight import MEMORY_MARGIN, run_seconds, seconds_per_step
from lal.errors import DataError, TrainingError
from lal.files import read_json, sha256
from lal.model.transformer import Config, Transformer
from lal.params import SHAPES, Params, Shape
from lal.text.batches import WindowBatches
from lal.text.tokenizer import Tokenizer
from lal.train.loop import Plan
from lal.train.precision import prepare

WIDTHS = (64, 96, 128, 192, 256)
"""Of the candidates beside the named ones, with 4 layers, heads 32 wide, context 256: the shapes of the fitted runs."""

BATCHES = (4, 8, 16)
"""Rows; the middle one first, the others for the shape that is best with it."""

FEWEST_STEPS = 100
"""The fitted runs have no fewer: a shape that cannot make them in the minutes is not tried further."""


@dataclass(frozen=True)
class Material:
    """What is learned from, and what it is validated on.

    Attributes:
        training: (N,) ids.
        bytes_per_token: Of the training split.
        validation_tokens: Ids in the validation split.
        nats_per_bit: What turns bits a byte of the validation split into nats a token.
        anchor: See `lal.advice.forecast`.
        vocabulary_size: V.
        digest: SHA-256 of the training split.
    """

    training: np.memmap[Any, np.dtype[np.uint16]]
    bytes_per_token: float
    validation_tokens: int
    nats_per_bit: float
    anchor: float
    vocabulary_size: int
    digest: str

    @property
    def corpus_bytes(self) -> int:
        """Different bytes there are to learn from."""
        return round(self.bytes_per_token * len(self.training))


@dataclass(frozen=True)
class Proposal:
    """A run that would fill the minutes.

    Attributes:
        size: As params.yaml writes it: a name or a shape.
        batch_size: Rows.
        steps: Of the whole run.
        epochs: Passes over the corpus.
        bits_per_byte: Of the held-out text, foretold.
        nats_per_token: The same in the training loss's unit.
        minutes: Of the whole stage, foretold.
    """

    size: str | Shape
    batch_size: int
    steps: int
    epochs: float
    bits_per_byte: Range
    nats_per_token: Range
    minutes: Range

    @property
    def shape(self) -> Shape:
        """The size in numbers."""
        return SHAPES[self.size] if isinstance(self.size, str) else self.size


def read_material(tokens: Path, tokenizer: Path) -> Material:
    """Reads what the stage `tokenizer` made.

    Raises:
        DataError: It is not there, or of another tokenizer.
    """
    if not (tokens / "meta.json").exists():
        raise DataError(f"{tokens}: no tokens to plan for", "make them: `dvc repro tokenizer`")
    meta, vocabulary = read_json(tokens / "meta.json"), Tokenizer.load(tokenizer)
    if meta.get("tokenizer_sha256") != sha256(tokenizer / "tokenizer.json"):
        raise DataError(f"{tokens}: made with another tokenizer than {tokenizer}", "run `dvc repro tokenizer`")
    training, held_out = (
        np.memmap(tokens / f"{split}.bin", dtype="<u2", mode="r") for split in ("train", "validation")
    )
    texts = (
        _bytes(ids, vocabulary, most) for ids, most in ((training, ANCHOR_BYTES), (held_out, ANCHOR_HELD_OUT_BYTES))
    )
    return Material(
        training=training,
        bytes_per_token=meta["train"]["bytes"] / meta["train"]["tokens"],
        validation_tokens=len(held_out),
        nats_per_bit=math.log(2) * meta["validation"]["bytes"] / meta["validation"]["tokens"],
        anchor=measure_anchor(*texts),
        vocabulary_size=vocabulary.vocabulary_size,
        digest=sha256(tokens / "train.bin"),
    )


def propose(params: Params, material: Material, minutes: float) -> Iterator[Proposal]:
    """Yields what each candidate promises, the cheapest first; those that cannot make `FEWEST_STEPS` are left out.

    Args:
        params: `model` and `pretrain` say all that is not proposed.
        material: What to learn from.
        minutes: To fill.
    """
    found: list[Proposal] = []
    middle = BATCHES[1]
    for size in _sizes():
        shape = SHAPES[size] if isinstance(size, str) else size
        if found and _steps_by_size(found[-1], shape) < FEWEST_STEPS:
            break  # Not measured: a step of the largest would take longer than all others together.
        if proposal := _propose(params, material, minutes, size, middle):
            if proposal.steps < FEWEST_STEPS:
                break
            found.append(proposal)
            yield proposal
    if found:
        favourite = best(found).size
        for batch_size in BATCHES:
            if batch_size == middle:
                continue
            proposal = _propose(params, material, minutes, favourite, batch_size)
            if proposal and proposal.steps >= FEWEST_STEPS:
                yield proposal


def best(proposals: list[Proposal]) -> Proposal:
    """The one with the lowest loss.

    Raises:
        TrainingError: There are none.
    """
    if not proposals:
        raise TrainingError(
            f"no candidate can make {FEWEST_STEPS} steps in these minutes, or the corpus does not fill a batch",
            "give more minutes, or add text",
        )
    return min(proposals, key=lambda proposal: proposal.bits_per_byte.likely)


def _sizes() -> list[str | Shape]:
    """All candidates, the cheapest step first."""
    free = [Shape(num_layers=4, num_heads=width // 32, width=width, context_length=256) for width in WIDTHS]
    return sorted([*SHAPES, *free], key=lambda size: _work(SHAPES[size] if isinstance(size, str) else size))


def _work(shape: Shape) -> int:
    """What a step of one row costs, but for a constant."""
    return block_parameters(shape) * shape.context_length


def _propose(params: Params, material: Material, minutes: float, size: str | Shape, batch_size: int) -> Proposal | None:
    """What a candidate promises; None if it is too large for the memory, or does not suit text and params."""
    settings = params.pretrain.model_copy(update={"batch_size": batch_size})
    shape = SHAPES[size] if isinstance(size, str) else size
    tokens_a_step = shape.context_length * batch_size
    if len(material.training) <= tokens_a_step or shape.num_heads % (params.model.num_kv_heads or 1):
        return None
    wanted = params.model.model_copy(update={"size": size})
    with torch.random.fork_rng(devices=[]):
        model = Transformer(Config.from_params(wanted, material.vocabulary_size), seed=params.seed)
    prepare(model, settings)
    needed = footprint(model, settings, batch_size, shape.context_length).total
    if MEMORY_MARGIN * needed > free_bytes(model.device):
        return None
    batches = WindowBatches(material.training, shape.context_length, batch_size, params.seed)
    plan = Plan("pretrain", settings, FEWEST_STEPS, batches)
    seconds = seconds_per_step(model, plan, batches(0))
    validated = material.validation_tokens / tokens_a_step

    def lasting(steps: int) -> Range:
        low, high = run_seconds(Plan("pretrain", settings, steps, batches), seconds, validated, model.compute_dtype)
        return Range(low / 60, math.sqrt(low * high) / 60, high / 60)

    steps = max(1, _most_steps(lasting, minutes))
    seen = steps * tokens_a_step
    measures = Size(
        material.anchor,
        block_parameters(shape),
        material.corpus_bytes,
        seen * material.bytes_per_token,
        tokens_a_step * material.bytes_per_token,
    )
    bits = calibrated().bits_per_byte(measures)
    nats = Range(*(material.nats_per_bit * value for value in (bits.low, bits.likely, bits.high)))
    return Proposal(size, batch_size, steps, seen / len(material.training), bits, nats, lasting(steps))


def _steps_by_size(measured: Proposal, shape: Shape) -> float:
    """Steps in the same minutes, were time as the blocks' parameters times the tokens; larger shapes do better."""
    return measured.steps * _work(measured.shape) / _work(shape)


def _most_steps(lasting: Callable[[int], Range], minutes: float) -> int:
    """The most steps, in two digits, that likely end within the minutes; 0 if none do."""
    low, high = 0, 1
    while lasting(high).likely <= minutes:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if lasting(middle).likely <= minutes else (low, middle)
    scale: int = 10 ** max(0, len(str(low)) - 2)
    return low // scale * scale


def _bytes(ids: np.memmap[Any, np.dtype[np.uint16]], vocabulary: Tokenizer, most: int) -> bytes:
    """The text's first bytes; an id stands for at least one of them, control tokens for none."""
    return b"".join(vocabulary.token_bytes(token_id) for token_id in ids[:most].tolist())[:most]
