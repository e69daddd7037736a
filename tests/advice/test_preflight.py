"""Preflight: it passes what works, refuses what cannot, and leaves everything as it was."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from lal.advice.footprint import footprint
from lal.advice.preflight import Start, preflight, trained_loss
from lal.errors import TrainingError
from lal.model.transformer import Transformer
from lal.text.batches import Batch
from lal.train.optimizer import Optimizer
from tests.tiny_training import Listener, held_out, new_model, new_plan, tokenizer

TRAINED = Start(validation_loss=2.0, num_used=10, num_left_out=0)


def test_what_works_passes_and_is_told_in_two_lines() -> None:
    listener = Listener()
    preflight(new_model(), new_plan(), held_out(), listener)
    assert len(listener.lines) == 2
    assert "one batch learned in" in listener.lines[0]
    assert "GiB; 12 steps take" in listener.lines[1]
    [(step, numbers)] = listener.points
    assert step == 0
    assert numbers["preflight_initial_loss"] == pytest.approx(math.log(tokenizer().vocabulary_size), rel=1e-5)
    assert numbers["preflight_gradient_error"] < 1e-6
    assert 0 < numbers["preflight_seconds_low"] <= numbers["preflight_seconds_high"]


def test_nothing_is_touched() -> None:
    model, plan = new_model(), new_plan()
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state(legacy=False)  # noqa: NPY002
    preflight(model, plan, held_out(), Listener())
    assert all(torch.equal(weight, before[name]) for name, weight in model.named_parameters())
    assert all(weight.grad is None for weight in model.parameters())
    assert model.training
    assert torch.equal(torch.get_rng_state(), torch_state)
    np.testing.assert_equal(np.random.get_state(legacy=False), numpy_state)  # noqa: NPY002


def test_fresh_weights_that_do_not_begin_with_equal_odds_are_refused() -> None:
    model = new_model()
    with torch.no_grad():
        model.lm_head.weight.normal_(std=3.0)
    with pytest.raises(TrainingError, match=r"preflight, pretrain: the first batch costs .* ln 270 = 5\.598"):
        preflight(model, new_plan(), held_out(), Listener())


def test_a_base_that_has_learned_nothing_is_refused_and_one_of_another_domain_is_told() -> None:
    untrained = Start(validation_loss=None, num_used=10, num_left_out=0)
    with pytest.raises(TrainingError, match="has learned nothing") as caught:
        preflight(new_model(), new_plan(), held_out(), Listener(), untrained)
    assert "pretrain.steps" in caught.value.remedy
    listener = Listener()
    with torch.no_grad():
        (model := new_model()).lm_head.weight.normal_(std=1.0)
    preflight(model, new_plan(), held_out(), listener, TRAINED)
    assert "of another kind than data.corpus" in listener.lines[0]


def test_damaged_weights_are_refused() -> None:
    with torch.no_grad():
        (model := new_model()).lm_head.weight[0, 0] = math.nan
    with pytest.raises(TrainingError, match="the weights are damaged"):
        preflight(model, new_plan(), held_out(), Listener(), TRAINED)


def test_targets_that_follow_from_nothing_are_refused() -> None:
    """All inputs alike, all targets different: no model can tell them apart but by position, and here are few."""
    inputs = np.zeros((16, 1), dtype=np.int64)
    batch = Batch(inputs, np.arange(16, dtype=np.int64)[:, None] * 16)
    with pytest.raises(TrainingError, match="were not learned in 60 steps"):
        preflight(new_model(), replace(new_plan(), batches=lambda _: batch), held_out(), Listener())


def test_a_wrong_gradient_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from lal.model import layers

    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(_: object, features: torch.Tensor) -> torch.Tensor:
            return features.clone()

        @staticmethod
        def backward(_: object, gradient: torch.Tensor) -> torch.Tensor:
            return 1.01 * gradient

    right: Callable[..., torch.Tensor] = layers.FeedForward.forward
    monkeypatch.setattr(layers.FeedForward, "forward", lambda self, stream: Wrong.apply(right(self, stream)))  # type: ignore[no-untyped-call]
    with pytest.raises(TrainingError, match="gradients are wrong"):
        preflight(new_model(), new_plan(), held_out(), Listener())


def test_more_memory_than_is_free_is_refused_with_the_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lal.advice.preflight.free_bytes", lambda _: 1000)
    with pytest.raises(TrainingError, match=r"training needs about .* GiB are free") as caught:
        preflight(new_model(), new_plan(), held_out(), Listener())
    assert "pretrain.batch_size (now 2)" in caught.value.remedy


def test_most_conversations_left_out_is_refused() -> None:
    with pytest.raises(TrainingError, match=r"6 of 10 conversations \(60%"):
        preflight(new_model(), new_plan(), held_out(), Listener(), Start(2.0, num_used=4, num_left_out=6))


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_weights_gradients_and_optimizer_are_counted_to_the_byte(optimizer: str) -> None:
    model, plan = new_model(), new_plan(optimizer=optimizer)
    found = footprint(model, plan.params, 2, 16)
    size = sum(weight.nbytes for weight in model.parameters())
    state = Optimizer(model, plan.params, torch.float32).state()
    held = sum(value.nbytes for name, value in state.items() if not name.endswith(".step"))
    assert (found.weights, found.gradients, found.best, found.optimizer) == (size, size, size, held)


@pytest.mark.parametrize("num_positions", [16, 128])  # At 128, what is kept of each pair of them tells.
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_activations_are_forecast_as_autograd_keeps_them(dtype: torch.dtype, num_positions: int) -> None:
    model = Transformer(replace(new_model().config, context_length=num_positions))
    model.compute_dtype = dtype
    plan = new_plan()
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    ids = torch.zeros(8, num_positions, dtype=torch.long)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = torch.nn.functional.cross_entropy(model(ids).flatten(0, 1), ids.flatten())
    weights = {weight.untyped_storage().data_ptr() for weight in model.parameters()}
    measured = sum(size for pointer, size in kept.items() if pointer not in weights)
    assert loss.isfinite()
    # The forecast also counts the logits' gradient and softmax, and scores in the making: of so small a model, much.
    assert 0.8 * measured < footprint(model, plan.params, 8, num_positions).working < 2.5 * measured


def test_a_folders_provenance_tells_its_loss_or_does_not() -> None:
    assert trained_loss({"training": {"validation": {"nats_per_token": 2.5}}}) == 2.5
    assert trained_loss({"stage": "imported"}) is None
