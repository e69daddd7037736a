"""The one training loop."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from lal.errors import TrainingError
from lal.model.transformer import Transformer
from lal.text.batches import Batch, consecutive_windows, pad_rows
from lal.text.chat import Rendered
from lal.train.loop import Plan, memory_for, sum_of_losses, training_steps
from lal.train.optimizer import Optimizer
from tests.tiny_training import CONTEXT_LENGTH, new_model, new_plan, tokens


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


@pytest.mark.parametrize("query_key_norm", [True, False])
def test_a_padded_batch_costs_what_its_rows_cost_one_by_one(query_key_norm: bool) -> None:
    """And what the same conversations cost when nothing is padded, loss and gradient alike."""
    model = Transformer(replace(new_model().config, query_key_norm=query_key_norm), seed=1)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(0)), alpha=0.1)
    rows = [
        Rendered(ids=[5, 6, 7, 8, 9], is_answer=[False, False, True, True, True]),
        Rendered(ids=[9, 1, 4], is_answer=[False, True, True]),
        Rendered(ids=[*range(20, 36)], is_answer=[False] * 6 + [True] * 10),
    ]

    def learn(batches: Sequence[Batch]) -> tuple[float, list[torch.Tensor]]:
        model.zero_grad()
        losses = [sum_of_losses(model, batch) for batch in batches]
        torch.stack(losses).sum().backward()  # type: ignore[no-untyped-call]
        return sum(loss.item() for loss in losses), [each.grad for each in model.parameters() if each.grad is not None]

    padded, gradients = learn([pad_rows(rows, width=15, batch_size=5, pad_id=3)])
    alone, expected = learn([pad_rows([row], width=len(row.ids) - 1, batch_size=1, pad_id=3) for row in rows])
    assert padded == pytest.approx(alone, rel=1e-6)
    for gradient, other in zip(gradients, expected, strict=True):
        torch.testing.assert_close(gradient, other, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("num_tokens", [17, 100, 129])
def test_a_text_costs_the_same_however_many_windows_stand_side_by_side(num_tokens: int) -> None:
    """What does not fill the last batch is padding, and costs nothing."""
    model = new_model()
    with torch.no_grad():
        model.lm_head.weight.normal_(generator=torch.Generator().manual_seed(0))

    def cost(batch_size: int) -> float:
        windows = consecutive_windows(tokens()[:num_tokens], CONTEXT_LENGTH, batch_size)
        return sum(sum_of_losses(model, batch).item() for batch in windows)

    assert cost(4) == pytest.approx(cost(1), rel=1e-6)


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
