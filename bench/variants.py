"""What Lal's Transformer might have been: parts exchanged in a model that is already built, for the ablation only.

None of them is a knob of Lal's: a network with one of these would not load as Qwen3 or Llama anywhere else. Each
variant has as many parameters as the default, or says how many it lacks.

    B rows in a batch        T positions in a row        C width        F width inside the feed-forward network
"""

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lal.model.layers import NORM_EPSILON, FeedForward, Linear
from lal.model.transformer import Block, Transformer


class TwoMatrices(nn.Module):
    """A feed-forward network without a gate: out, an activation, back; as many weights as the SwiGLU it replaces.

    Args:
        replaced: Gives C and F; with two matrices for three, the inner width is 3/2 F.
        activation: Applied to each inner feature.
        generator: Draws the weights.
    """

    def __init__(
        self, replaced: FeedForward, activation: Callable[[Tensor], Tensor], generator: torch.Generator
    ) -> None:
        super().__init__()
        inner_width, width = replaced.gate_proj.weight.shape
        self.up_proj = Linear(width, 3 * inner_width // 2)
        self.down_proj = Linear(3 * inner_width // 2, width)
        self.activation = activation
        nn.init.normal_(self.up_proj.weight, std=width**-0.5, generator=generator)

    def forward(self, stream: Tensor) -> Tensor:
        """(B, T, C) -> (B, T, C)."""
        thought: Tensor = self.down_proj(self.activation(self.up_proj(stream)))
        return thought


class PlacedEmbedding(nn.Embedding):
    """A table of tokens and one of positions, added: GPT-2's way to tell a position where it stands.

    Args:
        replaced: The table of tokens.
        num_positions: Most positions there will be.
        generator: Draws the positions, as large as the tokens are.
    """

    def __init__(self, replaced: nn.Embedding, num_positions: int, generator: torch.Generator) -> None:
        super().__init__(replaced.num_embeddings, replaced.embedding_dim, _weight=replaced.weight.detach())
        self.positions = nn.Parameter(torch.zeros(num_positions, replaced.embedding_dim))
        nn.init.normal_(self.positions, std=float(replaced.weight.detach().std()), generator=generator)

    def forward(self, ids: Tensor) -> Tensor:
        """(B, T) ids -> (B, T, C)."""
        return super().forward(ids) + self.positions[: ids.shape[1]]


def gelu(model: Transformer, generator: torch.Generator) -> None:
    """GPT-2's activation in place of SwiGLU."""
    for block in _blocks(model):
        block.register_module("mlp", TwoMatrices(block.mlp, F.gelu, generator))


def squared_relu(model: Transformer, generator: torch.Generator) -> None:
    """max(0, x)^2 in place of SwiGLU: So et al. 2021, "Primer", https://arxiv.org/abs/2109.08668."""
    for block in _blocks(model):
        block.register_module("mlp", TwoMatrices(block.mlp, lambda features: F.relu(features).square(), generator))


def layer_norm(model: Transformer, _: torch.Generator) -> None:
    """LayerNorm with gain and bias wherever the stream is normalised; queries and keys keep their RMSNorm."""
    width = model.config.width
    for block in _blocks(model):
        block.register_module("input_layernorm", nn.LayerNorm(width, NORM_EPSILON))
        block.register_module("post_attention_layernorm", nn.LayerNorm(width, NORM_EPSILON))
    model.model.register_module("norm", nn.LayerNorm(width, NORM_EPSILON))


def no_positions(model: Transformer, _: torch.Generator) -> None:
    """Nothing but the causal mask tells the order: vectors are turned by an angle of 0."""
    nn.init.ones_(model.model.cosines)
    nn.init.zeros_(model.model.sines)


def learned_positions(model: Transformer, generator: torch.Generator) -> None:
    """A learned vector a position in place of the rotation: 33k parameters more at context 256 and width 128."""
    no_positions(model, generator)
    model.model.embed_tokens = PlacedEmbedding(model.model.embed_tokens, model.config.context_length, generator)


def _blocks(model: Transformer) -> Iterator[Block]:
    for block in model.model.layers:
        assert isinstance(block, Block)
        yield block
