"""How well a model predicts text it has not learned from, in units that can be compared across tokenizers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from lal.model.transformer import Transformer
from lal.text.batches import NO_TARGET, Batch
from lal.text.tokenizer import Tokenizer
from lal.train.loop import sum_of_losses
from lal.train.processes import ALONE, Processes


@dataclass(frozen=True)
class Validation:
    """What some text cost a model.

    Attributes:
        nats: Sum of -log(probability) over all targets, <|end|> included.
        num_tokens: Targets.
        num_characters: Unicode characters the targets stand for.
        num_bytes: Bytes of UTF-8 the targets stand for.
    """

    nats: float
    num_tokens: int
    num_characters: int
    num_bytes: int

    @property
    def nats_per_token(self) -> float:
        """The training loss's unit; depends on the tokenizer."""
        return self.nats / self.num_tokens

    @property
    def nats_per_character(self) -> float:
        """The unit in which character models are published."""
        return self.nats / max(1, self.num_characters)

    @property
    def bits_per_byte(self) -> float:
        """The unit that crosses tokenizers and languages."""
        return self.nats / math.log(2) / max(1, self.num_bytes)

    def metrics(self) -> dict[str, float]:
        """The three rates by name."""
        return {
            "nats_per_token": self.nats_per_token,
            "nats_per_character": self.nats_per_character,
            "bits_per_byte": self.bits_per_byte,
        }


@torch.no_grad()
def validate(
    model: Transformer, batches: Sequence[Batch], tokenizer: Tokenizer, processes: Processes = ALONE
) -> Validation:
    """Scores every target of the batches, in the model's compute type; several processes share the rows of each.

    Not compiled: the shapes differ from training's, and each would cost seconds.
    """
    with torch.compiler.set_stance("force_eager"):
        # float64, in a fixed order: the sum is the same each time, however many tokens there are.
        own = math.fsum(sum_of_losses(model, processes.share(batch)).item() for batch in batches)
    processes.forget_unsharded(model)
    nats = processes.sum(own)
    counts = sum(
        (
            np.bincount(batch.targets[batch.targets != NO_TARGET], minlength=tokenizer.vocabulary_size)
            for batch in batches
        ),
        np.zeros(tokenizer.vocabulary_size, dtype=np.int64),
    )
    pieces = [tokenizer.token_bytes(token_id) for token_id in range(tokenizer.vocabulary_size)]
    return Validation(
        nats=nats,
        num_tokens=int(counts.sum()),
        num_characters=int(counts @ np.array([_count_characters(piece) for piece in pieces])),
        num_bytes=int(counts @ np.array([len(piece) for piece in pieces])),
    )


def _count_characters(piece: bytes) -> int:
    """Characters that begin in a piece of UTF-8: the bytes that do not continue one."""
    return sum(byte & 0b1100_0000 != 0b1000_0000 for byte in piece)
