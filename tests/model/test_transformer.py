"""The Transformer is transformers' Qwen3 and Llama, looks back only, and remembers what it computed."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from lal.model.layers import feed_forward_width
from lal.model.transformer import Config, Transformer, count_parameters
from lal.params import ModelParams
from tests.reference_model import reference

NewModel = Callable[..., Transformer]
LAYOUTS = [
    {"query_key_norm": query_key_norm, "num_kv_heads": num_kv_heads, "tied_embeddings": tied}
    for query_key_norm in (True, False)
    for num_kv_heads in (4, 2, 1)
    for tied in (False, True)
]


@pytest.mark.parametrize("layout", LAYOUTS)
@torch.inference_mode()
def test_logits_are_those_of_transformers(new_model: NewModel, ids: Tensor, layout: dict[str, Any]) -> None:
    model = new_model(**layout)
    logits = model(ids)
    assert logits.std() > 0.5
    # Llama's own norm epsilon is 1e-6 as well; logits are of order 1-10.
    torch.testing.assert_close(logits, reference(model)(ids).logits, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("layout", LAYOUTS[::3])
@torch.inference_mode()
def test_remembered_positions_give_the_logits_of_reading_all(
    new_model: NewModel, ids: Tensor, layout: dict[str, Any]
) -> None:
    model = new_model(**layout)
    cache = model.new_cache(num_rows=3, num_positions=24)
    parts = [model(ids[:, :7], cache), model(ids[:, 7:9], cache)]
    parts += [model(ids[:, place : place + 1], cache) for place in range(9, 24)]
    torch.testing.assert_close(torch.cat(parts, dim=1), model(ids), atol=1e-5, rtol=1e-5)


@torch.inference_mode()
def test_rows_of_a_cache_may_stand_at_different_positions(new_model: NewModel, ids: Tensor) -> None:
    model = new_model()
    whole = model(ids)
    cache = model.new_cache(num_rows=3, num_positions=20)
    model(ids[:, :10], cache)
    cache.lengths = torch.tensor([4, 10, 7])
    following = model(torch.stack([ids[0, 4:5], ids[1, 10:11], ids[2, 7:8]]), cache)[:, 0]
    torch.testing.assert_close(following, whole[[0, 1, 2], [4, 10, 7]], atol=1e-5, rtol=1e-5)
    cache.keep(torch.tensor([True, False, True]))
    following = model(torch.stack([ids[0, 5:6], ids[2, 8:9]]), cache)[:, 0]
    torch.testing.assert_close(following, whole[[0, 2], [5, 8]], atol=1e-5, rtol=1e-5)


@torch.inference_mode()
def test_a_position_sees_nothing_that_comes_after_it(new_model: NewModel, ids: Tensor) -> None:
    model = new_model()
    before = model(ids)
    for place in (0, 5, 23):
        changed = ids.clone()
        changed[:, place] = (changed[:, place] + 1) % 266
        after = model(changed)
        assert torch.equal(before[:, :place], after[:, :place])
        assert not torch.allclose(before[:, place:], after[:, place:])


@pytest.mark.parametrize("query_key_norm", [True, False])
def test_no_gradient_flows_back_from_a_position_to_one_after_it(
    new_model: NewModel, ids: Tensor, query_key_norm: bool
) -> None:
    model = new_model(query_key_norm=query_key_norm)
    embedded: list[Tensor] = []
    model.model.embed_tokens.register_forward_hook(lambda _, __, stream: embedded.append(stream))
    logits = model(ids)
    for place in (0, 5, 23):
        (gradient,) = torch.autograd.grad(logits[:, place].logsumexp(dim=-1).sum(), embedded[0], retain_graph=True)
        reaches = gradient.abs().amax(dim=(0, 2)) > 0
        assert reaches.tolist() == [other <= place for other in range(24)]


@torch.inference_mode()
def test_bfloat16_stays_near_float32(new_model: NewModel, ids: Tensor) -> None:
    model = new_model()
    exact = model(ids)
    model.compute_dtype = torch.bfloat16
    rounded = model(ids)
    assert rounded.dtype == torch.float32
    assert 0 < (rounded - exact).abs().mean() < 0.02 * exact.std()


def test_gradients_reach_every_weight_in_float32(new_model: NewModel, ids: Tensor) -> None:
    model = new_model()
    model.compute_dtype = torch.bfloat16
    model(ids).logsumexp(dim=-1).sum().backward()
    for name, weight in model.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.dtype == torch.float32
        assert weight.grad.abs().sum() > 0, name


def test_a_new_model_gives_all_tokens_the_same_odds(ids: Tensor) -> None:
    model = Transformer(Config(270, 2, 4, 4, 32, 64, 24, query_key_norm=True, tied_embeddings=False), seed=0)
    assert torch.equal(model(ids), torch.zeros(3, 24, 270))


def test_the_seed_decides_the_weights() -> None:
    config = Config(270, 1, 2, 2, 8, 32, 8, query_key_norm=True, tied_embeddings=True)
    first, same, other = (Transformer(config, seed=seed).model.embed_tokens.weight for seed in (1, 1, 2))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)
    assert first.std() < 0.03  # tied: the table is the head, whose scores must start small


def test_the_shape_comes_from_params() -> None:
    params = ModelParams(size="small", num_kv_heads=2, query_key_norm=False, tied_embeddings=True)
    config = Config.from_params(params, vocabulary_size=1024)
    assert (config.num_layers, config.num_heads, config.num_kv_heads, config.width) == (6, 6, 2, 384)
    assert (config.context_length, config.feed_forward_width, config.head_width) == (256, 1024, 64)


@pytest.mark.parametrize(("width", "inner"), [(128, 352), (192, 512), (384, 1024), (512, 1376), (768, 2048)])
def test_the_feed_forward_width_is_eight_thirds_rounded_up(width: int, inner: int) -> None:
    assert feed_forward_width(width) == inner


@pytest.mark.parametrize("tied", [True, False])
def test_parameters_are_counted_once(new_model: NewModel, tied: bool) -> None:
    table, attention, feed_forward, norms = 270 * 32, 4 * 32 * 32, 3 * 32 * 64, 2 * 32 + 2 * 8
    expected = table * (1 if tied else 2) + 2 * (attention + feed_forward + norms) + 32
    assert count_parameters(new_model(tied_embeddings=tied)) == expected


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # torch's compiler imports deprecated parts of itself
def test_compiled_blocks_compute_the_same_and_keep_their_names(new_model: NewModel, ids: Tensor) -> None:
    model, plain = new_model(), new_model()
    for block in model.model.layers:
        block.compile(dynamic=False, fullgraph=True)
    torch.testing.assert_close(model(ids), plain(ids), atol=1e-4, rtol=1e-4)
    assert model.state_dict().keys() == plain.state_dict().keys()
