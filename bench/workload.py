"""A training step to be timed: the loop that trains, the params that the project trains with, on random tokens."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from lal.model.layers import feed_forward_width
from lal.model.transformer import Config, Transformer
from lal.params import PretrainParams, load_params
from lal.reporting import NullReporter
from lal.text.batches import Batch
from lal.train.loop import Plan, training_steps
from lal.train.optimizer import Optimizer
from lal.train.precision import compile_blocks, prepare

PARAMS = Path("params.yaml")


@dataclass(frozen=True)
class Shape:
    """What decides the cost of a step; the defaults are the project's.

    Attributes:
        width: C, a multiple of 32.
        num_layers: Blocks.
        context_length: T.
        batch_size: Windows B.
        vocabulary_size: V.
    """

    width: int = 128
    num_layers: int = 4
    context_length: int = 256
    batch_size: int = 8
    vocabulary_size: int = 512

    @property
    def config(self) -> Config:
        """The network, with heads 32 wide as the default's."""
        return Config(
            vocabulary_size=self.vocabulary_size,
            num_layers=self.num_layers,
            num_heads=self.width // 32,
            num_kv_heads=self.width // 32,
            width=self.width,
            feed_forward_width=feed_forward_width(self.width),
            context_length=self.context_length,
            query_key_norm=True,
            tied_embeddings=False,
        )

    @property
    def num_tokens(self) -> int:
        """Of a batch."""
        return self.batch_size * self.context_length

    def batch(self) -> Batch:
        """Random ids."""
        ids = np.random.default_rng(0).integers(self.vocabulary_size, size=(self.batch_size, self.context_length + 1))
        return Batch(np.ascontiguousarray(ids[:, :-1]), np.ascontiguousarray(ids[:, 1:]))


class Training:
    """A network that trains, step by step, under a clock.

    Args:
        shape: Of the network and, unless there are `batches`, of what it learns from.
        is_compiled: Whether `torch.compile` has had its turn.
        batches: Gives the batch of a step.
    """

    def __init__(self, shape: Shape, is_compiled: bool = False, batches: Callable[[int], Batch] | None = None) -> None:
        self.params: PretrainParams = load_params(PARAMS).pretrain
        self.shape, self.model = shape, Transformer(shape.config)
        self.machine = prepare(self.model, self.params)
        batch = shape.batch()
        self._batches = batches or (lambda _: batch)
        self.optimizer = Optimizer(self.model, self.params, self.model.compute_dtype)
        if is_compiled:
            compile_blocks(self.model, self._batches(0), NullReporter(), self.model.device)

    def run(self, num_steps: int) -> list[float]:
        """Trains; gives the seconds of each step, from batch to moved weights."""
        plan = Plan("pretrain", self.params, num_steps, self._batches)
        seconds: list[float] = []
        start = time.perf_counter()
        for _ in training_steps(self.model, self.optimizer, plan):
            if self.model.device.type == "cuda":
                torch.cuda.synchronize()
            seconds.append(time.perf_counter() - start)
            start = time.perf_counter()
        return seconds


def clean(seconds: list[float]) -> float:
    """The 25th percentile: what a step takes when nothing else runs."""
    return float(np.percentile(seconds, 25))
