"""The peer: the recipe that nanoGPT's README gives for a CPU, as a plain network and a plain loop.

Written anew from the published numbers: `config/train_shakespeare_char.py` (learning rate 1e-3, falling to 1e-4, 100
steps of warm-up, beta2 0.99) with the README's changes for a CPU (4 layers, 4 heads, 128 wide, context 64, batch 12,
2,000 steps, no dropout, no compilation), and the defaults of `train.py` for the rest (weight decay 0.1, gradients cut
at 1, beta1 0.9, no biases). Its README says what this must come to: 0.80M parameters, a loss of 1.88.

    B rows in a batch        T positions in a row        H heads        C width        V vocabulary

Source: Karpathy 2022, https://github.com/karpathy/nanoGPT; the network is GPT-2's: Radford et al. 2019, "Language
Models are Unsupervised Multitask Learners".
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lal.text.batches import NO_TARGET, Batch, Ids

DOCUMENTED_LOSS = 1.88
"""Of the CPU recipe, on random batches of the validation part."""

DOCUMENTED_A100_LOSS = 1.4697
"""Of the GPU recipe: 10.65M parameters, context 256, about 3 minutes on one A100."""


@dataclass(frozen=True)
class PeerConfig:
    """The published numbers."""

    num_layers: int = 4
    num_heads: int = 4
    width: int = 128
    context_length: int = 64
    batch_size: int = 12
    steps: int = 2000
    learning_rate: float = 1e-3
    final_learning_rate: float = 1e-4
    warmup_steps: int = 100
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.1
    max_grad_norm: float = 1.0


class PeerBlock(nn.Module):
    """GPT-2's layer without biases: norm, attention, norm, a feed-forward network four times as wide."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.attention_norm = nn.LayerNorm(width, bias=False)
        self.query_key_value = nn.Linear(width, 3 * width, bias=False)
        self.gather = nn.Linear(width, width, bias=False)
        self.thought_norm = nn.LayerNorm(width, bias=False)
        self.expand = nn.Linear(width, 4 * width, bias=False)
        self.contract = nn.Linear(4 * width, width, bias=False)

    def forward(self, stream: Tensor) -> Tensor:
        """(B, T, C) -> (B, T, C)."""
        queries, keys, values = (
            features.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)  # (B, H, T, C / H)
            for features in self.query_key_value(self.attention_norm(stream)).chunk(3, dim=-1)
        )
        mixed = F.scaled_dot_product_attention(queries, keys, values, is_causal=True)
        stream = stream + self.gather(mixed.transpose(1, 2).flatten(2))
        thought: Tensor = self.contract(F.gelu(self.expand(self.thought_norm(stream))))
        return stream + thought


class Peer(nn.Module):
    """GPT-2 in small: learned positions, the embedding table as output head.

    Args:
        config: Its shape.
        vocabulary_size: V.
    """

    def __init__(self, config: PeerConfig, vocabulary_size: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocabulary_size, config.width)
        self.positions = nn.Embedding(config.context_length, config.width)
        self.blocks = nn.ModuleList(PeerBlock(config.width, config.num_heads) for _ in range(config.num_layers))
        self.norm = nn.LayerNorm(config.width, bias=False)
        for name, weight in self.named_parameters():
            if weight.ndim == 2:
                is_residual = name.endswith(("gather.weight", "contract.weight"))
                nn.init.normal_(weight, std=0.02 / math.sqrt(2 * config.num_layers) if is_residual else 0.02)

    def forward(self, ids: Tensor) -> Tensor:
        """(B, T) ids -> (B, T, V) logits."""
        stream = self.tokens(ids) + self.positions.weight[: ids.shape[1]]
        for block in self.blocks:
            stream = block(stream)
        return F.linear(self.norm(stream), self.tokens.weight)

    def sum_of_losses(self, batch: Batch) -> Tensor:
        """Nats that a batch's targets cost, summed."""
        device = self.tokens.weight.device
        logits = self(torch.from_numpy(batch.inputs).to(device)).flatten(0, 1)
        targets = torch.from_numpy(batch.targets).to(device).flatten()
        return F.cross_entropy(logits, targets, ignore_index=NO_TARGET, reduction="sum")


def peer_steps(model: Peer, config: PeerConfig, training: Ids, seed: int) -> Iterator[float]:
    """Trains; yields the loss of each step, when the weights have moved."""
    matrices = [weight for weight in model.parameters() if weight.ndim == 2]
    gains = [weight for weight in model.parameters() if weight.ndim == 1]
    optimizer = torch.optim.AdamW(
        [
            {"params": matrices, "weight_decay": config.weight_decay},
            {"params": gains, "weight_decay": 0.0},
        ],
        lr=config.learning_rate,
        betas=config.betas,
    )
    batches = random_batches(training, config, seed)
    for step in range(config.steps):
        for group in optimizer.param_groups:
            group["lr"] = peer_rate(config, step)
        batch = next(batches)
        loss = model.sum_of_losses(batch) / batch.targets.size
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch's decorator hides the types
        nn.utils.clip_grad_norm_(model.parameters(), config.max_grad_norm)
        optimizer.step()
        yield loss.item()


def peer_rate(config: PeerConfig, step: int) -> float:
    """Learning rate of a step, counted from 0: a line up to the peak, then half a cosine down to the final rate.

    Example:
        >>> config = PeerConfig()
        >>> peer_rate(config, 100), round(peer_rate(config, 1999), 6)
        (0.001, 0.0001)
    """
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / (config.warmup_steps + 1)
    place = (step - config.warmup_steps) / (config.steps - config.warmup_steps)
    share = (1 + math.cos(math.pi * place)) / 2
    return config.final_learning_rate + share * (config.learning_rate - config.final_learning_rate)


def random_batches(part: Ids, config: PeerConfig, seed: int) -> Iterator[Batch]:
    """Windows from anywhere in a part, with replacement, as the recipe draws them to learn and to score."""
    generator = np.random.default_rng(seed)
    while True:
        starts = generator.integers(len(part) - config.context_length, size=config.batch_size)
        rows = part[starts[:, None] + np.arange(config.context_length + 1)]
        yield Batch(np.ascontiguousarray(rows[:, :-1]), np.ascontiguousarray(rows[:, 1:]))
