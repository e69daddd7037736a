"""The one training loop: predict, compare, learn, for pretraining and fine-tuning alike.

B rows in a batch        T positions in a row        N positions that have a target
"""

import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lal.errors import TrainingError
from lal.model.transformer import Transformer
from lal.params import TrainingParams
from lal.text.batches import NO_TARGET, Batch
from lal.train.optimizer import Optimizer
from lal.train.processes import ALONE, Processes, whole
from lal.train.schedule import rate_multiplier

_NO_MEMORY = ("can't allocate memory", "not enough memory", "out of memory", "Storage size calculation overflowed")
"""How torch says it on Linux, on Windows, on Apple's GPUs, and of sizes that no computer has."""


@dataclass(frozen=True)
class Step:
    """What one step did.

    Attributes:
        number: Steps taken so far, from 1.
        loss: Nats a token, before the step, over the batch's targets.
        learning_rate: Of the matrices inside the blocks.
        grad_norm: Length of the gradient before it was clipped.
        num_tokens: Targets of the batch.
    """

    number: int
    loss: float
    learning_rate: float
    grad_norm: float
    num_tokens: int


@dataclass(frozen=True)
class Plan:
    """What to learn from and how.

    Attributes:
        section: Name of the section of params.yaml, for errors.
        params: That section.
        steps: Steps of the whole run; the schedule stretches over them.
        batches: Gives the batch of a step, counted from 0; the same one each time it is asked.
    """

    section: str
    params: TrainingParams
    steps: int
    batches: Callable[[int], Batch]


def training_steps(
    model: Transformer, optimizer: Optimizer, plan: Plan, done: int = 0, processes: Processes = ALONE
) -> Iterator[Step]:
    """Trains; yields after each step, when the weights have moved.

    Args:
        model: Trained in place.
        optimizer: Of this model.
        plan: What to learn from and how.
        done: Steps taken before, in an earlier process.
        processes: Who else learns from the same batches.

    Raises:
        TrainingError: The loss or the gradient is not a finite number, or a batch does not fit into the memory. The
            weights are those of the step before.
    """
    params = plan.params
    for number in range(done + 1, plan.steps + 1):
        multiplier = rate_multiplier(number, plan.steps, params.warmup_fraction, params.decay_fraction)
        rate = params.learning_rate * multiplier
        batch = plan.batches(number - 1)
        num_tokens = int((batch.targets != NO_TARGET).sum())
        loss, grad_norm = _learn(model, plan, processes, batch, num_tokens)
        if not (math.isfinite(loss) and math.isfinite(grad_norm)):
            raise divergence(plan, number, f"loss {loss:.4g}, gradient of length {grad_norm:.4g}")
        optimizer.step(multiplier)
        yield Step(number, loss, rate, grad_norm, num_tokens)


def divergence(plan: Plan, number: int, what: str) -> TrainingError:
    """The error for numbers that have left the finite: where, at which rate, and what to turn."""
    params = plan.params
    multiplier = rate_multiplier(number, plan.steps, params.warmup_fraction, params.decay_fraction)
    return TrainingError(
        f"step {number} of {plan.steps}: {what}: training has diverged at {params.learning_rate * multiplier:.3g}, "
        f"{multiplier:.0%} of {plan.section}.learning_rate {params.learning_rate:g}",
        f"lower {plan.section}.learning_rate, or raise {plan.section}.warmup_fraction",
    )


@contextlib.contextmanager
def memory_for(what: str, remedy: str) -> Iterator[None]:
    """Turns running out of memory inside the block into an error that says what for.

    Args:
        what: What is made in the block, behind the stage's name: `pretrain: the model`.
        remedy: How to need less.

    Raises:
        TrainingError: The memory did not suffice.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if isinstance(error, MemoryError | torch.OutOfMemoryError) or any(sign in str(error) for sign in _NO_MEMORY):
            raise TrainingError(f"{what} does not fit into the memory", remedy) from error
        raise


def less_memory(plan: Plan) -> str:
    """What to turn to need less memory."""
    return f"lower {plan.section}.batch_size (now {plan.params.batch_size}), or the model's size"


def sum_of_losses(model: Transformer, batch: Batch) -> Tensor:
    """Nats that the batch's targets cost the model, summed; positions without a target are not even predicted."""
    device = next(model.parameters()).device
    places = np.flatnonzero(batch.targets != NO_TARGET)
    hidden = model.hidden(torch.from_numpy(batch.inputs).to(device)).flatten(0, 1)  # (B T, C)
    if len(places) < batch.targets.size:
        hidden = hidden.index_select(0, torch.from_numpy(places).to(device))  # (N, C)
    targets = torch.from_numpy(batch.targets.reshape(-1)[places]).to(device)
    return F.cross_entropy(model.head(hidden), targets, reduction="sum")


def _learn(model: Transformer, plan: Plan, processes: Processes, batch: Batch, num_tokens: int) -> tuple[float, float]:
    """Leaves the clipped gradient of one batch in the model; gives its mean loss and the gradient's length."""
    assert num_tokens, "a batch without targets"
    model.zero_grad(set_to_none=True)
    own = processes.share(batch)
    num_rows, width = own.inputs.shape
    with memory_for(f"{plan.section}: a batch of {num_rows} rows of {width} tokens", less_memory(plan)):
        loss = sum_of_losses(model, own) / num_tokens
        loss.backward()  # type: ignore[no-untyped-call]  # torch's decorator hides the types
    loss = processes.sum_gradients(model, loss)
    grad_norm = nn.utils.clip_grad_norm_(model.parameters(), plan.params.max_grad_norm)
    return loss.item(), whole(grad_norm).item()
