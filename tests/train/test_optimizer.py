"""Muon and AdamW against torch's own, and their state."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from lal.params import TrainingParams
from lal.train.optimizer import (
    ADAMW_BETAS,
    MUON_MOMENTUM,
    NEWTON_SCHULZ_COEFFICIENTS,
    NEWTON_SCHULZ_STEPS,
    AdamW,
    Muon,
    Optimizer,
    orthogonalise,
)
from tests.tiny_training import new_plan

SHAPES = {"square.a": (8, 8), "square.b": (8, 8), "tall": (16, 8), "wide": (8, 16)}


def matrices() -> dict[str, nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    return {name: nn.Parameter(torch.randn(shape, generator=generator)) for name, shape in SHAPES.items()}


def give_gradients(parameters: dict[str, nn.Parameter], seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for parameter in parameters.values():
        parameter.grad = torch.randn(parameter.shape, generator=generator)


def params(optimizer: str, weight_decay: float = 0.0) -> TrainingParams:
    rates = {"learning_rate": 0.02, "embedding_learning_rate": 0.01, "head_learning_rate": 0.002}
    return new_plan(optimizer=optimizer, weight_decay=weight_decay, **rates).params


class Named(nn.Module):
    """Parameters under the names a model gives them."""

    def __init__(self) -> None:
        super().__init__()
        self.model = nn.Module()
        self.model.embed_tokens = nn.Embedding(12, 8)
        block = nn.Module()
        block.norm = nn.RMSNorm(8)
        block.up = nn.Linear(8, 16, bias=False)
        self.model.layers = nn.ModuleList([block])
        self.lm_head = nn.Linear(8, 12, bias=False)


def test_orthogonalise_brings_every_singular_value_close_to_one() -> None:
    for shape in [(3, 6, 6), (2, 12, 5), (2, 5, 12)]:
        values = torch.linalg.svdvals(orthogonalise(torch.randn(shape, generator=torch.Generator().manual_seed(1))))
        assert values.min() > 0.3
        assert values.max() < 1.3


def test_orthogonalise_keeps_directions_and_survives_zeros() -> None:
    matrix = torch.diag(torch.tensor([4.0, -2.0, 1.0]))[None]
    assert torch.equal(orthogonalise(matrix)[0].sign(), matrix[0].sign())
    assert torch.equal(orthogonalise(torch.zeros(1, 3, 4)), torch.zeros(1, 3, 4))


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_muon_moves_matrices_as_torchs_muon_does(weight_decay: float) -> None:
    ours, theirs = matrices(), matrices()
    muon = Muon(ours, learning_rate=0.02, weight_decay=weight_decay, dtype=torch.bfloat16)
    reference = torch.optim.Muon(list(theirs.values()), lr=0.02, weight_decay=weight_decay, momentum=0.95)
    for step in range(5):
        give_gradients(ours, seed=step)
        give_gradients(theirs, seed=step)
        muon.step(1.0)
        reference.step()  # type: ignore[no-untyped-call]  # torch's decorator hides the types
    for name in SHAPES:
        moved = (theirs[name] - matrices()[name]).norm()
        # Batched and single bf16 products round differently; 8 bits of mantissa leave a few thousandths of the way.
        assert (ours[name] - theirs[name]).norm() < 0.02 * moved


def test_muon_in_fp32_is_torchs_muon_to_the_last_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch's always rounds to bf16; with that one call taken out, both compute the same to float32's precision."""
    monkeypatch.setattr(torch.Tensor, "bfloat16", torch.Tensor.clone)
    ours, theirs = matrices(), matrices()
    muon = Muon(ours, learning_rate=0.02, weight_decay=0.1, dtype=torch.float32)
    reference = torch.optim.Muon(
        list(theirs.values()),
        lr=0.02,
        weight_decay=0.1,
        momentum=MUON_MOMENTUM,
        nesterov=True,
        ns_coefficients=NEWTON_SCHULZ_COEFFICIENTS,
        ns_steps=NEWTON_SCHULZ_STEPS,
        adjust_lr_fn="original",
    )
    for step, multiplier in enumerate((0.1, 1.0, 1.0, 0.5, 0.01)):
        give_gradients(ours, seed=step)
        give_gradients(theirs, seed=step)
        muon.step(multiplier)
        reference.param_groups[0]["lr"] = 0.02 * multiplier
        reference.step()  # type: ignore[no-untyped-call]  # torch's decorator hides the types
    for name, start in matrices().items():
        assert (ours[name] - theirs[name]).norm() < 1e-5 * (theirs[name] - start).norm()
    momenta = dict(zip(SHAPES, [reference.state[matrix]["momentum_buffer"] for matrix in theirs.values()], strict=True))
    for name, momentum in momenta.items():
        torch.testing.assert_close(muon.state()[f"{name}.momentum"], momentum)


def test_adamw_is_the_papers_algorithm() -> None:
    """Algorithm 2 of Loshchilov and Hutter, in float64, with the rates and decays of two groups."""
    settings = {"first": (0.02, 0.0), "second": (0.005, 0.1)}
    generator = torch.Generator().manual_seed(0)
    weights = {name: nn.Parameter(torch.randn(5, 3, generator=generator)) for name in settings}
    expected = {name: weight.detach().double() for name, weight in weights.items()}
    averages = {name: (torch.zeros(5, 3).double(), torch.zeros(5, 3).double()) for name in settings}
    adamw = AdamW([({name: weights[name]}, *settings[name]) for name in settings])
    beta1, beta2 = ADAMW_BETAS
    for step, multiplier in enumerate((0.1, 1.0, 1.0, 0.5, 0.01), start=1):
        give_gradients(weights, seed=step)
        for name, (peak, decay) in settings.items():
            gradient, rate = weights[name].grad, peak * multiplier
            assert gradient is not None
            mean = beta1 * averages[name][0] + (1 - beta1) * gradient.double()
            square = beta2 * averages[name][1] + (1 - beta2) * gradient.double() ** 2
            averages[name] = mean, square
            direction = (mean / (1 - beta1**step)) / ((square / (1 - beta2**step)).sqrt() + 1e-8)
            expected[name] = expected[name] - rate * decay * expected[name] - rate * direction
        adamw.step(multiplier)
    for name, weight in weights.items():
        torch.testing.assert_close(weight.detach().double(), expected[name], atol=1e-6, rtol=1e-6)


def test_muon_in_fp32_and_bf16_go_the_same_way() -> None:
    ours, theirs = matrices(), matrices()
    for group, dtype in ((ours, torch.float32), (theirs, torch.bfloat16)):
        give_gradients(group, seed=1)
        Muon(group, 0.02, 0.0, dtype).step(1.0)
    for name in SHAPES:
        assert (ours[name] - theirs[name]).norm() < 0.05 * (ours[name] - matrices()[name]).norm()


def test_each_group_of_weights_moves_at_its_own_rate() -> None:
    model = Named()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    give_gradients(dict(model.named_parameters()), seed=3)
    Optimizer(model, params("adamw"), torch.float32).step(0.5)
    # Adam's first step is the rate itself, whatever the gradient.
    moved = {name: (p - before[name]).abs().mean().item() for name, p in model.named_parameters()}
    assert moved["model.layers.0.up.weight"] == pytest.approx(0.02 / 2, rel=1e-3)
    assert moved["model.embed_tokens.weight"] == pytest.approx(0.01 / 2, rel=1e-3)
    assert moved["model.layers.0.norm.weight"] == pytest.approx(0.002 / 2, rel=1e-3)
    assert moved["lm_head.weight"] == pytest.approx(0.002 / 2, rel=1e-3)


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_weight_decay_shrinks_the_matrices_inside_the_blocks_and_nothing_else(optimizer: str) -> None:
    def after(weight_decay: float) -> dict[str, torch.Tensor]:
        torch.manual_seed(0)
        model = Named()
        give_gradients(dict(model.named_parameters()), seed=3)
        Optimizer(model, params(optimizer, weight_decay), torch.float32).step(1.0)
        return {name: p.detach() for name, p in model.named_parameters()}

    plain, decayed = after(0.0), after(0.5)
    changed = {name for name in plain if not torch.equal(plain[name], decayed[name])}
    assert changed == {"model.layers.0.up.weight"}


def _muon_and_adamw(model: Named) -> Optimizer:
    return Optimizer(model, params("muon"), torch.float32)


def _only_adamw(model: Named) -> Optimizer:
    return Optimizer(model, params("adamw"), torch.float32)


@pytest.mark.parametrize("build", [_muon_and_adamw, _only_adamw])
def test_a_restored_optimizer_goes_on_bit_for_bit(build: Callable[[Named], Optimizer]) -> None:
    torch.manual_seed(0)
    straight, first = Named(), Named()
    first.load_state_dict(straight.state_dict())
    optimizer = build(straight)
    for step in range(4):
        give_gradients(dict(straight.named_parameters()), seed=step)
        optimizer.step(1.0)

    interrupted = build(first)
    for step in range(2):
        give_gradients(dict(first.named_parameters()), seed=step)
        interrupted.step(1.0)
    saved = {name: value.clone() for name, value in interrupted.state().items()}
    second = Named()
    second.load_state_dict(first.state_dict())
    resumed = build(second)
    for name, value in resumed.state().items():
        value.copy_(saved[name])
    for step in range(2, 4):
        give_gradients(dict(second.named_parameters()), seed=step)
        resumed.step(1.0)
    for name, value in straight.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]), name
    for name, value in optimizer.state().items():
        assert torch.equal(value, resumed.state()[name]), name


def test_adamw_leaves_out_groups_without_parameters() -> None:
    weight = nn.Parameter(torch.ones(2))
    weight.grad = torch.ones(2)
    AdamW([({}, 1.0, 0.0), ({"w": weight}, 0.1, 0.0)]).step(1.0)
    assert weight.tolist() == pytest.approx([0.9, 0.9])
