"""The smallest parts: a linear map, a norm, the feed-forward network.

    C width of the residual stream        F width inside the feed-forward network

Weights stay in float32, where small updates are not lost; each part computes in the type of what comes in, so bfloat16
activations make bfloat16 matrix products.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

NORM_EPSILON = 1e-6


class Linear(nn.Module):
    """A linear map without bias.

    Args:
        inputs: Features that come in.
        outputs: Features that go out.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(outputs, inputs))

    def forward(self, features: Tensor) -> Tensor:
        """(..., inputs) -> (..., outputs)."""
        return F.linear(features, self.weight.to(features.dtype))


class RMSNorm(nn.Module):
    """Scales vectors to the same length, then each feature by a learned gain.

    Args:
        width: Features of a vector.

    Source: Zhang and Sennrich 2019, "Root Mean Square Layer Normalization", https://arxiv.org/abs/1910.07467
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, vectors: Tensor) -> Tensor:
        """(..., width) -> (..., width)."""
        exact = vectors.float()  # Squares of bfloat16 would lose most of their digits.
        scale = torch.rsqrt(exact.square().mean(dim=-1, keepdim=True) + NORM_EPSILON)
        return (self.weight * (exact * scale)).to(vectors.dtype)


class FeedForward(nn.Module):
    """SwiGLU: what to add to the stream, position by position.

    Args:
        width: C.
        inner_width: F.

    Source: Shazeer 2020, "GLU Variants Improve Transformer", https://arxiv.org/abs/2002.05202
    """

    def __init__(self, width: int, inner_width: int) -> None:
        super().__init__()
        self.gate_proj = Linear(width, inner_width)
        self.up_proj = Linear(width, inner_width)
        self.down_proj = Linear(inner_width, width)

    def forward(self, stream: Tensor) -> Tensor:
        """(B, T, C) -> (B, T, C)."""
        thought: Tensor = self.down_proj(F.silu(self.gate_proj(stream)) * self.up_proj(stream))
        return thought


def feed_forward_width(width: int) -> int:
    """F for a stream of width C: 8/3 C, so that three matrices weigh what two of 4 C would, rounded up to 32."""
    return -(-8 * width // (3 * 32)) * 32
