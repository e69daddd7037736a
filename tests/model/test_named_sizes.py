"""Every size that params.yaml can name is transformers' Llama or Qwen3: logits, remembered logits, ids, gradients."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lal.model.generate import generate_batch
from lal.model.transformer import Config, Transformer
from lal.params import SHAPES, ModelParams
from tests.reference_model import reference

VOCABULARY = 270
NAMED = [
    pytest.param(
        (name, query_key_norm),
        marks=[pytest.mark.slow] if name in ("medium", "lal") else [],
        id=f"{name}-{'qwen3' if query_key_norm else 'llama'}",
    )
    for name in SHAPES
    for query_key_norm in (False, True)
]
"""Whole networks, 0.8 to 86 million weights; medium and lal take seconds to make."""


@dataclass(frozen=True)
class Pair:
    """The same weights twice."""

    ours: Transformer
    theirs: Any
    ids: Tensor


@pytest.fixture(scope="module", params=NAMED)
def pair(request: pytest.FixtureRequest) -> Pair:
    """A named size in either layout; the smallest one with shared key/value heads and a tied table besides."""
    name, query_key_norm = request.param
    is_grouped = name == "tiny"
    params = ModelParams(
        size=name, num_kv_heads=2 if is_grouped else None, query_key_norm=query_key_norm, tied_embeddings=is_grouped
    )
    model = Transformer(Config.from_params(params, VOCABULARY), seed=1)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for weight in model.parameters():
            scale = 0.1 if weight.ndim == 1 else weight.shape[1] ** -0.5
            weight.add_(torch.randn(weight.shape, generator=generator), alpha=scale)
    return Pair(model.eval(), reference(model), torch.randint(0, VOCABULARY, (2, 12), generator=generator))


@torch.inference_mode()
def test_logits_are_those_of_transformers(pair: Pair) -> None:
    logits = pair.ours(pair.ids)
    assert logits.std() > 0.5
    torch.testing.assert_close(logits, pair.theirs(pair.ids).logits, atol=1e-4, rtol=1e-4)


@torch.inference_mode()
def test_remembered_logits_are_those_of_transformers(pair: Pair) -> None:
    """Both read seven ids, then two, then one at a time; only what they remember tells them of those before."""
    cache, theirs_cache = pair.ours.new_cache(num_rows=2, num_positions=12), None
    for start, end in [(0, 7), (7, 9), (9, 10), (10, 11), (11, 12)]:
        read = pair.theirs(pair.ids[:, start:end], past_key_values=theirs_cache, use_cache=True)
        theirs_cache = read.past_key_values
        torch.testing.assert_close(pair.ours(pair.ids[:, start:end], cache), read.logits, atol=1e-4, rtol=1e-4)


def greedy(pair: Pair, num_new: int, use_cache: bool) -> list[list[int]]:
    generated = pair.theirs.generate(
        pair.ids,
        attention_mask=torch.ones_like(pair.ids),
        max_new_tokens=num_new,
        do_sample=False,
        use_cache=use_cache,
        eos_token_id=None,
        pad_token_id=0,
    )
    continuations: list[list[int]] = generated[:, pair.ids.shape[1] :].tolist()
    return continuations


@pytest.mark.parametrize("use_cache", [True, False])
@torch.inference_mode()
def test_greedy_ids_are_those_of_transformers(pair: Pair, use_cache: bool) -> None:
    ours = [answer.ids for answer in generate_batch(pair.ours, pair.ids.tolist(), max_new_tokens=10, end_id=-1)]
    assert ours == greedy(pair, num_new=10, use_cache=use_cache)
    whole = torch.cat([pair.ids, torch.tensor(ours)], dim=1)  # and those of reading everything anew
    assert pair.ours(whole)[:, 11:-1].argmax(dim=-1).tolist() == ours


def test_gradients_are_those_of_transformers(pair: Pair) -> None:
    def gradients(model: torch.nn.Module, logits: Callable[[], Tensor]) -> dict[str, Tensor]:
        model.zero_grad()
        loss = F.cross_entropy(logits()[:, :-1].flatten(0, 1), pair.ids[:, 1:].flatten())
        loss.backward()  # type: ignore[no-untyped-call]  # torch's decorator hides the types
        return {name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None}

    ours = gradients(pair.ours, lambda: pair.ours(pair.ids))
    theirs = gradients(pair.theirs, lambda: pair.theirs(pair.ids).logits)
    assert ours.keys() == theirs.keys() == dict(pair.ours.named_parameters()).keys()
    for name, gradient in ours.items():
        assert gradient.abs().max() > 0, name
        assert (gradient - theirs[name]).norm() < 1e-4 * gradient.norm(), name
