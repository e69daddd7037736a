"""Before minutes are spent: what would go wrong is found in seconds, on copies.

Each check names what it found in numbers, and refuses with the remedy. The model, its optimizer and the random state of
the process are left as they were: what is trained afterwards is trained to the same bytes as without.
"""

import copy
import dataclasses
import datetime
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from lal.advice.footprint import footprint, free_bytes
from lal.errors import TrainingError
from lal.model.transformer import Config, Transformer, count_parameters
from lal.params import TrainingParams
from lal.reporting import Reporter
from lal.text.batches import NO_TARGET, Batch
from lal.train.loop import Plan, less_memory, memory_for, sum_of_losses, training_steps
from lal.train.optimizer import Optimizer

START_TOLERANCE = 0.5
"""Nats that a fresh model may be off ln V. A head of zeros is off by 0.000, a tied one of width 768 by 0.15."""

KNOWS_NATS = 0.01
"""A trained model is better than equal odds by at least this."""

LEARNED_SHARE = 0.25
"""One batch counts as learned when its loss has fallen to this share, which knowing how often each token occurs does
not reach: 5 to 40 steps at widths of 128 to 16."""

LEARNED_NATS = 0.1
"""Or below this, for a model that knew it already."""

LEARNING_STEPS = 60
LEARNING_TOKENS = 256
LARGE_PARAMETERS = 5_000_000
"""A larger model learns the batch as a twin of two layers: on a CPU, a step of 85 million parameters takes 10 s."""

RATES = {
    "muon": {"learning_rate": 0.02, "embedding_learning_rate": 0.02, "head_learning_rate": 0.01},
    "adamw": {"learning_rate": 0.003, "embedding_learning_rate": 0.01, "head_learning_rate": 0.01},
}
"""At which a batch must be learnable: data, loss and optimizer are checked here, not the rates of params.yaml."""

GRADIENT_TOLERANCE = 1e-5
"""Relative; central differences in float64 agree to about 1e-9, in float32 they would to 1e-3."""

MEMORY_MARGIN = 1.15
"""Measured peaks of seven runs were 0.97 to 1.12 times the forecast."""

MAX_LEFT_OUT = 0.5
"""Share of conversations longer than the context at which fine-tuning is refused: it would learn from the short ones,
which are not a fair draw of the task."""

TIMED_STEPS = 3
ENOUGH_SECONDS = 1.0
"""A second step that takes longer is taken as it is: more of them would cost more than they tell."""

COMPILED_SPEED = {torch.float32: (0.8, 1.0), torch.bfloat16: (0.55, 0.9)}
"""A compiled step's time in uncompiled ones, least and most: 0.83 in fp32, 0.6 in bf16 where that is native."""

COMPILE_SECONDS = (2.0, 30.0)
PLAIN_SPEED = (0.9, 1.3)
"""How much a run's steps differ from the first few, mostly for what else the computer does."""

GIB = 2**30


@dataclass(frozen=True)
class Start:
    """Weights that were trained before.

    Attributes:
        validation_loss: Nats a token that they scored then, on the text they were trained for; None if not recorded.
        num_used: Conversations that fit into the context.
        num_left_out: Those that do not.
    """

    validation_loss: float | None
    num_used: int
    num_left_out: int


def trained_loss(provenance: Mapping[str, Any]) -> float | None:
    """Nats a token on its own text that a model folder's lal.json tells of; None where it does not."""
    value = provenance.get("training", {}).get("validation", {}).get("nats_per_token")
    return float(value) if isinstance(value, (int, float)) else None


def preflight(
    model: Transformer, plan: Plan, held_out: Sequence[Batch], reporter: Reporter, start: Start | None = None
) -> None:
    """Checks that a run can work, says what it will take, and changes nothing.

    Args:
        model: On its device and in its type, before it is compiled.
        plan: What to learn from and how.
        held_out: Batches to validate on.
        reporter: Gets two or three lines, and the numbers as `preflight_...` at step 0.
        start: Of weights that were trained before; None for fresh ones.

    Raises:
        TrainingError: A check failed; names it, its numbers and the remedy.
    """
    cuda = [model.device] if model.device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):
        left_out = _check_left_out(plan, start)
        needed, free = _check_memory(model, plan)
        batch = plan.batches(0)
        with memory_for(f"{plan.section}: preflight's copy of the model", less_memory(plan)):
            loss = _check_start(model, plan, batch, start, reporter)
            learned = _check_learning(model, plan, batch)
            error = _check_gradient(model.config)
            validated = sum(held.inputs.size for held in held_out) / batch.inputs.size
            seconds = run_seconds(plan, seconds_per_step(model, plan, batch), validated, model.compute_dtype)
    reporter.numbers(
        {
            "preflight_initial_loss": loss,
            "preflight_learned_in_steps": learned.steps,
            "preflight_gradient_error": error,
            "preflight_needed_gib": needed / GIB,
            "preflight_free_gib": free / GIB,
            "preflight_left_out": left_out,
            "preflight_seconds_low": seconds[0],
            "preflight_seconds_high": seconds[1],
        },
        0,
    )
    chance = math.log(model.config.vocabulary_size)
    reporter.say(
        f"preflight: first loss {loss:.2f} nats a token (equal odds: {chance:.2f}); one batch learned in "
        f"{learned.steps} steps ({learned.first:.2f} -> {learned.last:.2f}); gradients right to {error:.0e}"
    )
    reporter.say(
        f"preflight: needs {needed / GIB:.1f} of {free / GIB:.1f} GiB; {plan.steps:,} steps take "
        f"{_range(seconds)}, until {_clock(seconds)}"
    )


@dataclass(frozen=True)
class Learned:
    """How a batch was learned: steps, and the loss before and after."""

    steps: int
    first: float
    last: float


def _check_left_out(plan: Plan, start: Start | None) -> float:
    """The share of conversations that do not fit; none of a text, which is cut into windows."""
    if start is None or not start.num_left_out:
        return 0.0
    share = start.num_left_out / (start.num_used + start.num_left_out)
    if share > MAX_LEFT_OUT:
        raise TrainingError(
            f"preflight, {plan.section}: {start.num_left_out:,} of {start.num_used + start.num_left_out:,} "
            f"conversations ({share:.0%}, at most {MAX_LEFT_OUT:.0%}) are longer than the context and "
            "would be left out",
            "raise context_length in model.size, or shorten the conversations",
        )
    return share


def _check_memory(model: Transformer, plan: Plan) -> tuple[int, int]:
    """Bytes that the run needs, weights aside, which are there already; and bytes that are free."""
    num_rows, num_positions = plan.batches(0).inputs.shape
    found = footprint(model, plan.params, num_rows, max(num_positions, 1))
    needed, free = round(MEMORY_MARGIN * (found.total - found.weights)), free_bytes(model.device)
    if needed > free:
        raise TrainingError(
            f"preflight, {plan.section}: training needs about {needed / GIB:.1f} GiB, of which "
            f"{found.working / GIB:.1f} for a batch of {num_rows} rows of {num_positions} tokens, and "
            f"{free / GIB:.1f} GiB are free",
            less_memory(plan),
        )
    return needed, free


def _check_start(model: Transformer, plan: Plan, batch: Batch, start: Start | None, reporter: Reporter) -> float:
    """The loss of the first batch: near ln V for fresh weights, below it for trained ones."""
    twin = copy.deepcopy(model).eval()
    with torch.no_grad():
        loss = sum_of_losses(twin, batch).item() / _num_targets(batch)
    chance = math.log(model.config.vocabulary_size)
    place = f"preflight, {plan.section}: the first batch costs {loss:.3f} nats a token"
    if not math.isfinite(loss):
        raise TrainingError(f"{place}: the weights are damaged", "make them anew: `dvc repro --force pretrain`")
    if start is None:
        if abs(loss - chance) > START_TOLERANCE:
            raise TrainingError(
                f"{place}, and a model that knows nothing ln {model.config.vocabulary_size} = {chance:.3f}: it does "
                "not begin with equal odds",
                "a change of lal.model's initial weights, or of its head, has broken them: take it back",
            )
    elif loss > chance - KNOWS_NATS:
        known = start.validation_loss
        if known is None or known > chance - KNOWS_NATS:
            raise TrainingError(
                f"{place}, no better than equal odds ({chance:.3f}): the base model has learned nothing",
                "train it for longer: raise pretrain.steps",
            )
        reporter.say(
            f"{place}, worse than equal odds ({chance:.3f}), where its own text cost it {known:.3f}: the conversations "
            "are of another kind than data.corpus"
        )
    return loss


def _check_learning(model: Transformer, plan: Plan, batch: Batch) -> Learned:
    """Learns a few rows by heart on a copy; what cannot be learned at all will not be learned in minutes either."""
    if count_parameters(model) > LARGE_PARAMETERS:
        twin = _twin(model.config, num_layers=min(2, model.config.num_layers)).to(model.device)
        twin.compute_dtype = model.compute_dtype
    else:
        twin = copy.deepcopy(model)
    few = _few_rows(batch)
    trial = _trial(plan, lambda _: few, LEARNING_STEPS)
    losses: list[float] = []
    for step in training_steps(twin, Optimizer(twin, trial.params, twin.compute_dtype), trial):
        losses.append(step.loss)
        if step.loss < max(LEARNED_SHARE * losses[0], LEARNED_NATS):
            return Learned(step.number, losses[0], step.loss)
    raise TrainingError(
        f"preflight, {plan.section}: {few.inputs.shape[0]} rows of the first batch were not learned in "
        f"{LEARNING_STEPS} steps: loss {losses[0]:.3f} -> {losses[-1]:.3f}, "
        f"expected at most {LEARNED_SHARE * losses[0]:.3f}",
        f"look at the training data, whose targets may not follow from their inputs; then at {plan.section}.optimizer",
    )


def _check_gradient(config: Config) -> float:
    """Autograd's derivative along random directions against central differences, on a small twin in float64."""
    heads, kv_heads = config.num_heads, config.num_kv_heads
    groups = heads // kv_heads
    small = _twin(
        dataclasses.replace(config, num_heads=2 * groups, num_kv_heads=2),
        num_layers=min(2, config.num_layers),
        width=16 * groups,
        feed_forward_width=32,
        vocabulary_size=min(32, config.vocabulary_size),
        context_length=8,
    ).double()
    small.compute_dtype = torch.float64
    generator = torch.Generator().manual_seed(0)
    weights = list(small.parameters())
    with torch.no_grad():  # What writes into the stream begins at zero, where most gradients are zero too.
        for weight in weights:
            weight.add_(0.3 * torch.randn(weight.shape, generator=generator, dtype=torch.float64))
    ids = np.random.default_rng(0).integers(small.config.vocabulary_size, size=(2, 9))
    batch = Batch(np.ascontiguousarray(ids[:, :-1]), np.ascontiguousarray(ids[:, 1:]))
    with _KeepDouble():
        gradients = torch.autograd.grad(sum_of_losses(small, batch), weights)
        error = max(_directional_error(small, batch, weights, gradients, generator) for _ in range(3))
    if not error < GRADIENT_TOLERANCE:
        raise TrainingError(
            f"preflight: gradients are wrong: autograd and central differences differ by {error:.1e} of their value, "
            f"at most {GRADIENT_TOLERANCE:.0e}",
            "a change of lal.model computes another derivative than its forward pass has: take it back",
        )
    return error


def _directional_error(
    model: Transformer, batch: Batch, weights: Sequence[Tensor], gradients: Sequence[Tensor], generator: torch.Generator
) -> float:
    """Relative difference of the two derivatives along one direction of all weights together."""
    direction = [torch.randn(weight.shape, generator=generator, dtype=torch.float64) for weight in weights]
    expected = sum((gradient * way).sum().item() for gradient, way in zip(gradients, direction, strict=True))
    step, losses = 1e-5, []
    with torch.no_grad():
        for shift in (step, -2 * step, step):
            for weight, way in zip(weights, direction, strict=True):
                weight.add_(way, alpha=shift)
            losses.append(sum_of_losses(model, batch).item())
    found = (losses[0] - losses[1]) / (2 * step)
    return abs(found - expected) / max(abs(found), abs(expected), 1e-3)


class _KeepDouble(TorchFunctionMode):
    """Inside, the model's `.float()`, there to lift bf16 to fp32, does not throw float64's digits away."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is Tensor.float and args[0].dtype == torch.float64:
            return args[0]
        return func(*args, **(kwargs or {}))


def seconds_per_step(model: Transformer, plan: Plan, batch: Batch) -> float:
    """The shortest of a few training steps on a copy, uncompiled."""
    twin = copy.deepcopy(model)
    trial = _trial(plan, lambda _: batch, 1 + TIMED_STEPS)
    times: list[float] = []
    begun = time.perf_counter()
    for _ in training_steps(twin, Optimizer(twin, trial.params, twin.compute_dtype), trial):
        now = time.perf_counter()
        times.append(now - begun)
        # The first one loads parts of torch that a process has not used before, which takes up to 10 s.
        if len(times) > 1 and times[-1] > ENOUGH_SECONDS:
            break
        begun = now
    return min(times)


def run_seconds(plan: Plan, seconds: float, validated: float, dtype: torch.dtype) -> tuple[float, float]:
    """Seconds that a run will take, least and most.

    Args:
        plan: The run.
        seconds: Of an uncompiled step.
        validated: Batches of a validation, each of which costs a third of a step.
        dtype: Of the activations.
    """
    num_validations = math.ceil(plan.steps / plan.params.validate_every) + 1
    stepping, validating = plan.steps * seconds, num_validations * validated * seconds / 3
    low, high = COMPILED_SPEED[dtype] if plan.params.compile else (1.0, 1.0)
    start = COMPILE_SECONDS if plan.params.compile else (0.0, 0.0)
    return (
        PLAIN_SPEED[0] * (low * stepping + validating) + start[0],
        PLAIN_SPEED[1] * (high * stepping + validating) + start[1],
    )


def _trial(plan: Plan, batches: Any, steps: int) -> Plan:
    """A plan of a few steps at rates that are known to work."""
    params: TrainingParams = plan.params.model_copy(
        update={**RATES[plan.params.optimizer], "warmup_fraction": 0.0, "decay_fraction": 0.0, "max_grad_norm": 10.0}
    )
    return Plan(plan.section, params, steps, batches)


def _twin(config: Config, **changes: Any) -> Transformer:
    return Transformer(dataclasses.replace(config, **changes), seed=0)


def _few_rows(batch: Batch) -> Batch:
    """The first rows that have targets, as many as `LEARNING_TOKENS` hold, at least one."""
    num_rows = max(1, LEARNING_TOKENS // batch.inputs.shape[1])
    rows = np.flatnonzero((batch.targets != NO_TARGET).any(axis=1))[:num_rows]
    return Batch(batch.inputs[rows], batch.targets[rows])


def _num_targets(batch: Batch) -> int:
    return int((batch.targets != NO_TARGET).sum())


def _range(seconds: tuple[float, float]) -> str:
    """`3:10 to 4:25 minutes`."""
    low, high = (f"{value // 60:.0f}:{value % 60:02.0f}" for value in map(round, seconds))
    return f"{low} to {high} minutes"


def _clock(seconds: tuple[float, float]) -> str:
    """`14:05 to 14:07`, of now and so many seconds later."""
    now = datetime.datetime.now().astimezone()
    low, high = (f"{now + datetime.timedelta(seconds=value):%H:%M}" for value in seconds)
    return low if low == high else f"{low} to {high}"
