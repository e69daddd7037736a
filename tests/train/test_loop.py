"""The one training loop."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from lal.errors import TrainingError
from lal.model.transformer import Transformer
from lal.text.batches import Batch
from lal.train.loop import Plan, memory_for, sum_of_losses, training_steps
from lal.train.optimizer import Optimizer
from tests.tiny_training import new_model, new_plan


def optimizer_of(model: Transformer, plan: Plan) -> Optimizer:
    return Optimizer(model, plan.params, torch.float32)


def test_steps_count_from_one_and_follow_the_schedule() -> None:
    model, plan = new_model(), new_plan(steps=10, warmup_fraction=0.2, decay_fraction=0.2)
    steps = list(training_steps(model, optimizer_of(model, plan), plan))
    assert [step.number for step in steps] == list(range(1, 11))
    assert [step.learning_rate for step in steps] == pytest.approx([0.01] + [0.02] * 8 + [0.01])
    assert all(step.num_tokens == 32 for step in steps)
    assert steps[0].loss == pytest.approx(math.log(model.config.vocabulary_size), rel=1e-6)


def test_one_batch_is_learned_by_heart() -> None:
    model, plan = new_model(), new_plan(steps=150, head_learning_rate=0.02)
    only = plan.batches(0)
    plan = Plan(plan.section, plan.params, plan.steps, lambda _: only)
    steps = list(training_steps(model, optimizer_of(model, plan), plan))
    assert steps[-1].loss < 0.02 < 1 < steps[0].loss


def test_the_loss_is_the_mean_over_positions_with_a_target() -> None:
    model = new_model()
    with torch.no_grad():
        model.lm_head.weight.normal_(generator=torch.Generator().manual_seed(0))
    inputs = np.array([[1, 2, 3, 4], [5, 6, 7, 8]])
    targets = np.array([[-1, 9, -1, 3], [-1, -1, 2, -1]])
    expected = torch.nn.functional.cross_entropy(
        model(torch.from_numpy(inputs)).flatten(0, 1), torch.from_numpy(targets).flatten(), ignore_index=-1
    )
    assert sum_of_losses(model, Batch(inputs, targets)).item() / 3 == pytest.approx(expected.item(), rel=1e-6)


def test_what_has_no_target_leaves_no_gradient() -> None:
    def gradients(inputs: list[int], targets: list[int]) -> list[torch.Tensor]:
        model = new_model()
        with torch.no_grad():
            model.lm_head.weight.normal_(generator=torch.Generator().manual_seed(0))
        sum_of_losses(model, Batch(np.array([inputs]), np.array([targets]))).backward()  # type: ignore[no-untyped-call]
        return [weight.grad for weight in model.parameters() if weight.grad is not None]

    # What stands behind the last target (padding) has no influence whatever it is ...
    padded, other = gradients([1, 2, 3, 9], [-1, 4, -1, -1]), gradients([1, 2, 8, 7], [-1, 4, -1, -1])
    vocabulary_rows = [0, 1, 2, 4, 5, 6]
    assert torch.allclose(padded[0][vocabulary_rows], other[0][vocabulary_rows], atol=1e-7)
    assert not padded[0][[3, 9]].any()
    # ... and the same position with a target has.
    assert gradients([1, 2, 3, 9], [-1, 4, 5, -1])[0][3].any()


def test_a_long_gradient_is_shortened_before_it_moves_the_weights() -> None:
    model, plan = new_model(), new_plan(max_grad_norm=0.001)
    first = next(training_steps(model, optimizer_of(model, plan), plan))
    clipped = torch.stack([w.grad.norm() for w in model.parameters() if w.grad is not None]).norm()
    assert first.grad_norm > 0.001
    assert clipped.item() == pytest.approx(0.001, rel=1e-3)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_stops_training_and_names_the_remedy(value: float) -> None:
    model, plan = new_model(), new_plan()
    steps = training_steps(model, optimizer_of(model, plan), plan)
    next(steps)
    with torch.no_grad():
        model.lm_head.weight[0, 0] = value
    before = model.model.norm.weight.clone()
    with pytest.raises(TrainingError) as caught:
        next(steps)
    assert "step 2 of 12: loss nan" in str(caught.value)
    assert "lower pretrain.learning_rate" in caught.value.remedy
    assert torch.equal(model.model.norm.weight, before)


def test_a_learning_rate_that_is_far_too_high_is_found() -> None:
    model, plan = new_model(), new_plan(steps=3, warmup_fraction=0.0)
    steps = training_steps(model, optimizer_of(model, plan), plan)
    next(steps)
    with torch.no_grad():
        model.model.embed_tokens.weight.mul_(1e38)
    with pytest.raises(TrainingError, match="diverged"):
        list(steps)


def out_of_memory_on_a_card() -> None:
    raise torch.OutOfMemoryError("CUDA out of memory")


def numpy_array_without_end() -> None:
    np.zeros(2**58)


@pytest.mark.parametrize(
    "act",
    [out_of_memory_on_a_card, numpy_array_without_end, lambda: torch.empty(2**58), lambda: torch.empty(2**40, 2**30)],
)
def test_running_out_of_memory_is_an_error_that_says_what_for(act: Callable[[], object]) -> None:
    with (
        pytest.raises(TrainingError, match="pretrain: the model does not fit into the memory") as caught,
        memory_for("pretrain: the model", "lower it"),
    ):
        act()
    assert caught.value.remedy == "lower it"


def test_another_error_of_torch_is_not_taken_for_a_lack_of_memory() -> None:
    with pytest.raises(RuntimeError, match="shapes"), memory_for("pretrain: the model", "lower it"):
        torch.ones(2, 3) @ torch.ones(2, 3)
