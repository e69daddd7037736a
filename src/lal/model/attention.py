"""Attention: each position looks back at what came before and takes from it what it needs.

B rows in a batch        T positions asking         S positions looked at (S = T while training)
H query heads            K key/value heads          D width of a head
C width of the residual stream = H D
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lal.model.layers import Linear, RMSNorm

MOST_POSITIONS_WRITTEN_OUT = 512


class LayerCache:
    """Keys and values one layer has computed, so that a new token costs one position instead of all.

    Args:
        keys: (B, K, S, D) room for all positions there will be.
        values: (B, K, S, D) likewise.
    """

    def __init__(self, keys: Tensor, values: Tensor) -> None:
        self.keys, self.values = keys, values

    def extend(self, keys: Tensor, values: Tensor, positions: Tensor, end: int) -> tuple[Tensor, Tensor]:
        """Writes (B, K, T, D) keys and values at the (B, T) `positions` of their rows; returns all before `end`."""
        rows = torch.arange(len(positions), device=positions.device)[:, None]
        self.keys[rows, :, positions] = keys.transpose(1, 2)
        self.values[rows, :, positions] = values.transpose(1, 2)
        return self.keys[:, :, :end], self.values[:, :, :end]


@dataclass(frozen=True)
class Where:
    """Where the positions of a forward pass stand, and what they may see; the same for all layers.

    Attributes:
        cosines: (T, D/2), or (B, 1, T, D/2) where rows stand at different positions.
        sines: Likewise.
        mask: (T, S) or (B, 1, T, S) in float32, 0 where a position may look, minus infinity where it may not.
        positions: (B, T), only with a cache.
    """

    cosines: Tensor
    sines: Tensor
    mask: Tensor
    positions: Tensor | None = None


def attend(queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> Tensor:
    """softmax(Q K^T / sqrt(D) + M) V, written out: what every other way of computing it must agree with.

    Args:
        queries: (B, H, T, D) what each position asks.
        keys: (B, H, S, D) what each position offers to be found by.
        values: (B, H, S, D) what each position gives when found.
        mask: M, (T, S) or (B, 1, T, S), 0 where a position may look, minus infinity where it may not.

    Returns:
        (B, H, T, D): for each position the average of the values, weighted by how well the keys fit its query.

    Source: Vaswani et al. 2017, "Attention Is All You Need", equation 1, https://arxiv.org/abs/1706.03762
    """
    scores = (queries @ keys.transpose(-2, -1)).float() * queries.shape[-1] ** -0.5 + mask  # (B, H, T, S)
    return torch.matmul(scores.softmax(dim=-1).to(values.dtype), values)


class AttendOnCpu(torch.autograd.Function):
    """`attend` with the backward pass by hand: it remembers the odds P alone, in the type of the activations.

    Left to itself, autograd remembers the softmax in float32 as well, and reads it again.

        dP = dO V^T        dS = P (dP - sum(P dP)) / sqrt(D), row by row        dQ = dS K    dK = dS^T Q    dV = P^T dO
    """

    @staticmethod
    def forward(ctx: Any, queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> Tensor:
        """Arguments and result as those of `attend`."""
        scores = (queries @ keys.transpose(-2, -1)).float() * queries.shape[-1] ** -0.5 + mask  # (B, H, T, S)
        odds: Tensor = scores.softmax(dim=-1).to(values.dtype)
        ctx.save_for_backward(queries, keys, values, odds)
        return odds @ values

    @staticmethod
    def backward(ctx: Any, d_mixed: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        """(B, H, T, D) -> gradients of queries, keys and values; the mask learns nothing."""
        queries, keys, values, odds = ctx.saved_tensors
        d_odds = (d_mixed @ values.transpose(-2, -1)).float()
        d_scores = torch._softmax_backward_data(d_odds, odds.float(), -1, torch.float32) * queries.shape[-1] ** -0.5
        d_scores = d_scores.to(queries.dtype)
        return d_scores @ keys, d_scores.transpose(-2, -1) @ queries, odds.transpose(-2, -1) @ d_mixed, None


def is_written_out(device: torch.device, dtype: torch.dtype, num_positions: int) -> bool:
    """Whether training attends by `AttendOnCpu`, or by torch's fused attention, which never holds all pairs' odds.

    In bf16 on a processor the former takes .45 of the latter's time at T = 256, .7 at 512, and more than all of it from
    768 on, inside a compiled block; uncompiled .9 and 1.3. In fp32 the fused one is faster uncompiled, and the two tie
    compiled.
    """
    return device.type == "cpu" and dtype is torch.bfloat16 and num_positions <= MOST_POSITIONS_WRITTEN_OUT


def rotate(vectors: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    """Turns each vector by an angle that grows with its position, so that a query meets a key by their distance.

    Args:
        vectors: (B, H, T, D) queries or keys.
        cosines: (T, D/2) or (B, 1, T, D/2), taken from `rotation_table`.
        sines: (T, D/2) likewise.

    Source: Su et al. 2021, "RoFormer", https://arxiv.org/abs/2104.09864, in the half-split order of transformers:
        features i and i + D/2 are the two coordinates that turn together.
    """
    first, second = vectors.float().chunk(2, dim=-1)
    turned = torch.cat([first * cosines - second * sines, second * cosines + first * sines], dim=-1)
    return turned.to(vectors.dtype)


def rotation_table(num_positions: int, head_width: int, base: float) -> tuple[Tensor, Tensor]:
    """Cosines and sines, each (num_positions, head_width / 2).

    The first pair of features turns by one radian a position, each further one slower, the last almost `base` times.
    """
    frequencies = 1.0 / base ** (torch.arange(0, head_width, 2).float() / head_width)
    angles = torch.arange(num_positions).float()[:, None] * frequencies
    return angles.cos(), angles.sin()


class Attention(nn.Module):
    """Many heads of attention side by side; several query heads may share a key/value head (grouped-query attention).

    Args:
        width: C.
        num_heads: H.
        num_kv_heads: K, a divisor of H.
        query_key_norm: Normalise queries and keys before they meet, which keeps the scores in bounds.

    Source: Ainslie et al. 2023, "GQA", https://arxiv.org/abs/2305.13245;
        Henry et al. 2020, "Query-Key Normalization for Transformers", https://arxiv.org/abs/2010.04245
    """

    def __init__(self, width: int, num_heads: int, num_kv_heads: int, query_key_norm: bool) -> None:
        super().__init__()
        self.head_width = width // num_heads
        self.q_proj = Linear(width, num_heads * self.head_width)
        self.k_proj = Linear(width, num_kv_heads * self.head_width)
        self.v_proj = Linear(width, num_kv_heads * self.head_width)
        self.o_proj = Linear(num_heads * self.head_width, width)
        if query_key_norm:
            self.q_norm = RMSNorm(self.head_width)
            self.k_norm = RMSNorm(self.head_width)
        self.query_key_norm = query_key_norm

    def forward(self, stream: Tensor, where: Where, cache: LayerCache | None) -> Tensor:
        """(B, T, C) -> (B, T, C); with a cache, positions also look back on what stands in it."""
        queries, keys, values = (
            self._split_heads(projection(stream)) for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        if self.query_key_norm:
            queries, keys = self.q_norm(queries), self.k_norm(keys)
        queries, keys = rotate(queries, where.cosines, where.sines), rotate(keys, where.cosines, where.sines)
        if cache is not None and where.positions is not None:
            keys, values = cache.extend(keys, values, where.positions, where.mask.shape[-1])
        keys, values = _repeat(keys, queries.shape[1]), _repeat(values, queries.shape[1])
        if cache is not None:
            mixed = F.scaled_dot_product_attention(queries, keys, values, attn_mask=where.mask.to(queries.dtype))
        elif is_written_out(queries.device, queries.dtype, queries.shape[2]):
            mixed = AttendOnCpu.apply(queries, keys, values, where.mask)  # type: ignore[no-untyped-call]  # torch's
        else:
            mixed = F.scaled_dot_product_attention(queries, keys, values, is_causal=True)
        gathered: Tensor = self.o_proj(mixed.transpose(1, 2).flatten(2))
        return gathered

    def _split_heads(self, features: Tensor) -> Tensor:
        """(B, T, H D) -> (B, H, T, D)."""
        return features.reshape(*features.shape[:2], -1, self.head_width).transpose(1, 2)


def _repeat(heads: Tensor, num_heads: int) -> Tensor:
    """(B, K, S, D) -> (B, H, S, D): each key/value head once for every query head that shares it."""
    copies = num_heads // heads.shape[1]
    return heads if copies == 1 else heads.repeat_interleave(copies, dim=1)
