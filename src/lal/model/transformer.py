"""The Transformer: given some tokens, the odds of each possible next one.

    B rows in a batch        T positions         V vocabulary
    C width of the stream    D width of a head

Read from the bottom of the network to its top: embedding -> blocks of attention and feed-forward -> norm -> head. The
names of the parts are those of transformers' Qwen3ForCausalLM (with query-key norm) and LlamaForCausalLM (without), and
so is the arithmetic: what is saved from here loads there without custom code.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lal.model.attention import Attention, LayerCache, Where, rotation_table
from lal.model.layers import FeedForward, Linear, RMSNorm, feed_forward_width
from lal.params import ModelParams

ROPE_BASE = 10000.0
"""How much slower the last feature turns than the first; enough for the few hundred positions we look back."""


@dataclass(frozen=True)
class Config:
    """A network's shape; everything needed to build it, and nothing about training it.

    Attributes:
        vocabulary_size: V.
        num_layers: Blocks.
        num_heads: Query heads.
        num_kv_heads: Key/value heads, a divisor of `num_heads`.
        width: C, a multiple of `num_heads`.
        feed_forward_width: Width inside the feed-forward network.
        context_length: Most positions the network looks at.
        query_key_norm: Qwen3's layout when true, Llama's when false.
        tied_embeddings: The embedding table is the output head, too.
    """

    vocabulary_size: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    width: int
    feed_forward_width: int
    context_length: int
    query_key_norm: bool
    tied_embeddings: bool

    @classmethod
    def from_params(cls, params: ModelParams, vocabulary_size: int) -> "Config":
        """The shape that params.yaml asks for."""
        shape = params.shape
        return cls(
            vocabulary_size=vocabulary_size,
            num_layers=shape.num_layers,
            num_heads=shape.num_heads,
            num_kv_heads=params.num_kv_heads or shape.num_heads,
            width=shape.width,
            feed_forward_width=feed_forward_width(shape.width),
            context_length=shape.context_length,
            query_key_norm=params.query_key_norm,
            tied_embeddings=params.tied_embeddings,
        )

    @property
    def head_width(self) -> int:
        """D."""
        return self.width // self.num_heads


class Cache:
    """What generation remembers of the positions it has seen; each row may have seen another number of them.

    Attributes:
        lengths: (B,) positions each row has seen. Making one smaller forgets what came after, such as padding.

    Args:
        config: The network's shape.
        num_rows: B.
        num_positions: Most positions there will be.
        like: Has the type and place of keys and values.
        is_static: Each step looks at all the room there is, most of it masked, instead of what has been filled so far:
            more arithmetic, but always of the same shape, as compiled code wants it.
    """

    def __init__(self, config: Config, num_rows: int, num_positions: int, like: Tensor, is_static: bool) -> None:
        self.num_positions, self.is_static = num_positions, is_static
        shape = (num_rows, config.num_kv_heads, num_positions, config.head_width)
        self.layers = [LayerCache(like.new_zeros(shape), like.new_zeros(shape)) for _ in range(config.num_layers)]
        self.lengths = torch.zeros(num_rows, dtype=torch.long, device=like.device)

    def keep(self, rows: Tensor) -> None:
        """Forgets rows: (B,) true for those that stay. In a static cache their places remain, empty."""
        if self.is_static:
            self.lengths = self.lengths * rows
            return
        self.lengths = self.lengths[rows]
        for layer in self.layers:
            layer.keys, layer.values = layer.keys[rows], layer.values[rows]


class Block(nn.Module):
    """One layer: each position gathers from the others, then thinks by itself; both add to the stream."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(config.width)
        self.self_attn = Attention(config.width, config.num_heads, config.num_kv_heads, config.query_key_norm)
        self.post_attention_layernorm = RMSNorm(config.width)
        self.mlp = FeedForward(config.width, config.feed_forward_width)

    def forward(self, stream: Tensor, where: Where, cache: LayerCache | None) -> Tensor:
        """(B, T, C) -> (B, T, C)."""
        stream = stream + self.self_attn(self.input_layernorm(stream), where, cache)
        thought: Tensor = self.mlp(self.post_attention_layernorm(stream))
        return stream + thought


class Decoder(nn.Module):
    """Everything below the output head."""

    cosines: Tensor
    sines: Tensor
    causal: Tensor

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocabulary_size, config.width)
        self.layers = nn.ModuleList(Block(config) for _ in range(config.num_layers))
        self.norm = RMSNorm(config.width)
        cosines, sines = rotation_table(config.context_length, config.head_width, ROPE_BASE)
        self.register_buffer("cosines", cosines, persistent=False)
        self.register_buffer("sines", sines, persistent=False)
        causal = torch.full((config.context_length, config.context_length), float("-inf")).triu(diagonal=1)
        self.register_buffer("causal", causal, persistent=False)

    def forward(self, ids: Tensor, dtype: torch.dtype, cache: Cache | None = None) -> Tensor:
        """(B, T) ids -> (B, T, C); with a cache, the ids follow those that it remembers."""
        stream = self.embed_tokens(ids).to(dtype)
        where = self._place(ids.shape[1], cache)
        for number, block in enumerate(self.layers):
            stream = block(stream, where, cache.layers[number] if cache else None)
        if cache:
            cache.lengths = cache.lengths + ids.shape[1]
        normed: Tensor = self.norm(stream)
        return normed

    def _place(self, num_positions: int, cache: Cache | None) -> Where:
        """Where T new positions stand: at the beginning, or behind what each row of the cache remembers."""
        if cache is None:
            assert num_positions <= len(self.cosines), f"{num_positions} positions, the context has {len(self.cosines)}"
            here = slice(num_positions)
            return Where(self.cosines[here], self.sines[here], self.causal[here, here])
        positions = cache.lengths[:, None] + torch.arange(num_positions, device=cache.lengths.device)
        seen = cache.num_positions if cache.is_static else int(positions.max()) + 1
        mask = self.causal[positions, :seen]
        return Where(self.cosines[positions][:, None], self.sines[positions][:, None], mask[:, None], positions)


class Transformer(nn.Module):
    """A decoder-only language model.

    Args:
        config: Its shape.
        seed: Start of the random weights.

    Attributes:
        compute_dtype: Type of the activations; the weights stay in float32. `torch.bfloat16` makes training about three
            times as fast on processors that compute it natively.
    """

    def __init__(self, config: Config, seed: int = 0) -> None:
        super().__init__()
        self.config = config
        self.compute_dtype = torch.float32
        self.model = Decoder(config)
        if not config.tied_embeddings:
            self.lm_head = Linear(config.width, config.vocabulary_size)
        self._initialise(torch.Generator().manual_seed(seed))

    def forward(self, ids: Tensor, cache: Cache | None = None) -> Tensor:
        """Scores of the token after each position.

        Args:
            ids: (B, T), with T at most `context_length`, counting what the cache holds.
            cache: What generation remembers; grows by T.

        Returns:
            (B, T, V) logits in float32.
        """
        return self.head(self.hidden(ids, cache))

    def new_cache(self, num_rows: int, num_positions: int, is_static: bool = False) -> Cache:
        """Room for what generation remembers: rows side by side, and the most positions there will be."""
        like = torch.empty(0, dtype=self.compute_dtype, device=self.device)
        return Cache(self.config, num_rows, num_positions, like, is_static)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.model.embed_tokens.weight.device

    def hidden(self, ids: Tensor, cache: Cache | None = None) -> Tensor:
        """(B, T) ids -> (B, T, C): the stream after the last norm, where each position knows what comes next."""
        hidden: Tensor = self.model(ids, self.compute_dtype, cache)
        return hidden

    def head(self, hidden: Tensor) -> Tensor:
        """(..., C) -> (..., V) logits in float32; training calls it for the positions that have a target only."""
        table = self.model.embed_tokens.weight if self.config.tied_embeddings else self.lm_head.weight
        return F.linear(hidden, table.to(hidden.dtype)).float()

    @torch.no_grad()
    def _initialise(self, generator: torch.Generator) -> None:
        """Matrices of unit gain; what writes into the stream starts at zero, so that every block begins as identity.

        A head of zeros begins with equal odds for all tokens. A tied one cannot, so its table starts small instead.
        """
        config = self.config
        for name, weight in self.named_parameters():
            if "embed_tokens" in name:
                weight.normal_(std=0.02 if config.tied_embeddings else 1.0, generator=generator)
            elif weight.ndim == 2 and not name.endswith(("o_proj.weight", "down_proj.weight", "lm_head.weight")):
                weight.normal_(std=weight.shape[1] ** -0.5, generator=generator)


def count_parameters(model: nn.Module) -> int:
    """Learned numbers in a model; a tied table counts once."""
    return sum(parameter.numel() for parameter in model.parameters())
