"""A whole training run around the loop: validation, the best weights, early stopping, checkpoints, what people see."""

import csv
import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lal.files import write_text
from lal.model.transformer import Transformer
from lal.reporting import Reporter
from lal.text.batches import Batch
from lal.text.tokenizer import Tokenizer
from lal.train.interrupt import stop_requests
from lal.train.loop import Plan, Step, divergence, less_memory, memory_for, training_steps
from lal.train.optimizer import Optimizer
from lal.train.precision import compile_blocks
from lal.train.progress import Progress
from lal.train.resume import Checkpoint, Checkpoints
from lal.train.validation import Validation, validate

Row = dict[str, float]
"""One validation: step, train_loss (mean since the one before), validation_loss, bits_per_byte, learning_rate."""


@dataclass(frozen=True)
class Fitted:
    """How a run ended; the model holds its best weights.

    Attributes:
        steps: Steps taken.
        best_step: The step whose weights were kept.
        train_loss: Mean loss since the last validation but one, nats a token.
        validation: Of the best weights, in fp32, as they are saved and shipped.
        num_tokens: Targets learned from.
        stopped_early: Whether patience ran out before the steps did.
        tokens_per_second: Of the last process, or None if all steps had been taken before it began; the one number here
            that differs from run to run.
        rows: The curve, one row a validation.
    """

    steps: int
    best_step: int
    train_loss: float
    validation: Validation
    num_tokens: int
    stopped_early: bool
    tokens_per_second: float | None
    rows: list[Row]

    def metrics(self) -> dict[str, Any]:
        """What is the same each time the run is repeated."""
        return {
            "steps": self.steps,
            "best_step": self.best_step,
            "train_loss": self.train_loss,
            "validation": self.validation.metrics(),
            "tokens_seen": self.num_tokens,
            "stopped_early": self.stopped_early,
        }

    def timing(self) -> dict[str, float]:
        """What differs each time: the speed, if there is one to tell."""
        return {} if self.tokens_per_second is None else {"tokens_per_second": self.tokens_per_second}


@dataclass
class Run:
    """All that changes while a model trains, and nothing else: what a checkpoint holds.

    Attributes:
        model: With the weights of the last step.
        optimizer: Of this model.
        rows: The curve so far.
        best: Weights at the lowest validation loss so far; empty before the first validation.
        step: Steps taken.
        num_tokens: Targets learned from.
        losses: Of each step since the last validation.
    """

    model: Transformer
    optimizer: Optimizer
    rows: list[Row] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)
    step: int = 0
    num_tokens: int = 0
    losses: list[float] = field(default_factory=list)

    def take(self, step: Step) -> None:
        """Counts a step that the loop has made."""
        self.step = step.number
        self.num_tokens += step.num_tokens
        self.losses.append(step.loss)

    def add(self, validation: Validation, learning_rate: float) -> Row:
        """Adds a point to the curve, and keeps the weights if they are the best so far."""
        self.rows.append(
            {
                "step": self.step,
                "train_loss": sum(self.losses) / len(self.losses),
                "validation_loss": validation.nats_per_token,
                "bits_per_byte": validation.bits_per_byte,
                "learning_rate": learning_rate,
            }
        )
        self.losses.clear()
        if best_row(self.rows) is self.rows[-1]:
            self.best = {name: weight.detach().clone() for name, weight in self.model.named_parameters()}
        return self.rows[-1]

    def checkpoint(self) -> Checkpoint:
        """This moment, to be saved."""
        tensors: dict[str, Tensor] = {f"weights/{name}": weight for name, weight in self.model.named_parameters()}
        tensors |= {f"best/{name}": weight for name, weight in self.best.items()}
        tensors |= {f"optimizer/{name}": value for name, value in self.optimizer.state().items()}
        tensors["random"] = torch.get_rng_state()
        numbers = {
            "rows": self.rows,
            "num_tokens": self.num_tokens,
            "losses": self.losses,
            "threads": torch.get_num_threads(),
        }
        return Checkpoint(self.step, tensors, numbers)

    def restore(self, checkpoint: Checkpoint) -> None:
        """Goes back to a moment that `checkpoint` gave."""
        weights = _under("weights/", checkpoint.tensors)
        with torch.no_grad():
            for name, weight in self.model.named_parameters():
                weight.copy_(weights[name])
        self.optimizer.restore(_under("optimizer/", checkpoint.tensors))
        torch.set_rng_state(checkpoint.tensors["random"])
        self.best = _under("best/", checkpoint.tensors)
        self.step = checkpoint.step
        self.rows = checkpoint.numbers["rows"]
        self.num_tokens = checkpoint.numbers["num_tokens"]
        self.losses = checkpoint.numbers["losses"]


def fit(
    model: Transformer,
    plan: Plan,
    held_out: Sequence[Batch],
    tokenizer: Tokenizer,
    checkpoints: Checkpoints,
    reporter: Reporter,
    sample: Callable[[], str] | None = None,
) -> Fitted:
    """Trains a model, from its last checkpoint if there is one, and leaves its best weights in it.

    Args:
        model: On its device and in its compute type; trained in place.
        plan: What to learn from and how.
        held_out: Batches to validate on.
        tokenizer: The model's.
        checkpoints: Of this very run.
        reporter: Gets the curve and a line a validation.
        sample: Gives a short text of the model's, said at each validation.

    Raises:
        TrainingError: Training has diverged, or needs more memory than there is.
        SystemExit: Ctrl-C or `kill` came; a checkpoint has been saved.
    """
    with memory_for(f"{plan.section}: the model with its optimizer and a batch to validate", less_memory(plan)):
        run = _start(model, plan, checkpoints, reporter)
        begun = run.step
        with stop_requests() as stop, Progress(plan.steps, begun, reporter) as progress:
            is_over = out_of_patience(run.rows, plan.params.patience)
            steps = iter(()) if is_over else training_steps(model, run.optimizer, plan, run.step)
            for step in steps:
                run.take(step)
                progress.step(step)
                is_due = step.number % plan.params.validate_every == 0 or step.number == plan.steps
                if is_due:
                    progress.say_validated(_validate(run, plan, step, held_out, tokenizer))
                    if sample:
                        progress.say(_eagerly(sample))
                if is_due or stop.signal_number is not None:
                    checkpoints.save(run.checkpoint())
                if stop.signal_number is not None:
                    place = f"{plan.section}: stopped after step {step.number}"
                    progress.say(f"{place}, saved; the same command continues it")
                    raise SystemExit(stop.exit_code)
                if out_of_patience(run.rows, plan.params.patience):
                    break
        tokens_per_second = progress.tokens_per_second if run.step > begun else None
        return _finish(run, plan, held_out, tokenizer, tokens_per_second)


def best_row(rows: Sequence[Row]) -> Row:
    """The first row with the lowest validation loss."""
    return min(rows, key=lambda row: row["validation_loss"])


def out_of_patience(rows: Sequence[Row], patience: int) -> bool:
    """Whether the last `patience` validations all brought nothing better."""
    return bool(rows) and len(rows) - 1 - rows.index(best_row(rows)) >= patience


def write_curve(path: Path, rows: Sequence[Row]) -> None:
    """Writes the curve as CSV, one row a validation."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def _start(model: Transformer, plan: Plan, checkpoints: Checkpoints, reporter: Reporter) -> Run:
    """A run that stands where its last checkpoint does, or at its beginning; the model is ready to be trained."""
    run = Run(model, Optimizer(model, plan.params, model.compute_dtype))
    if saved := checkpoints.load():
        run.restore(saved)
        _say_continuing(plan, saved, reporter)
    if plan.params.compile and run.step < plan.steps:
        compile_blocks(model, plan.batches(run.step), reporter)
    return run


def _eagerly(sample: Callable[[], str]) -> str:
    """The sample, uncompiled: a text grows by one token at a time, and each length would be compiled anew."""
    with torch.compiler.set_stance("force_eager"):
        return sample()


def _validate(run: Run, plan: Plan, step: Step, held_out: Sequence[Batch], tokenizer: Tokenizer) -> Row:
    """Adds a point to the run's curve."""
    validation = validate(run.model, held_out, tokenizer)
    if not math.isfinite(validation.nats):
        raise divergence(plan, step.number, f"validation loss {validation.nats}")
    return run.add(validation, step.learning_rate)


def _finish(
    run: Run, plan: Plan, held_out: Sequence[Batch], tokenizer: Tokenizer, tokens_per_second: float | None
) -> Fitted:
    """Puts the best weights back, and scores them in the precision they will be shipped in."""
    with torch.no_grad():
        for name, weight in run.model.named_parameters():
            weight.copy_(run.best[name])
    run.model.compute_dtype = torch.float32
    return Fitted(
        steps=run.step,
        best_step=int(best_row(run.rows)["step"]),
        train_loss=run.rows[-1]["train_loss"],
        validation=validate(run.model, held_out, tokenizer),
        num_tokens=run.num_tokens,
        stopped_early=run.step < plan.steps,
        tokens_per_second=tokens_per_second,
        rows=run.rows,
    )


def _say_continuing(plan: Plan, saved: Checkpoint, reporter: Reporter) -> None:
    reporter.say(f"{plan.section}: continuing after step {saved.step:,} of {plan.steps:,}")
    threads, threads_now = saved.numbers["threads"], torch.get_num_threads()
    if threads != threads_now:
        reporter.say(
            f"{plan.section}: the checkpoint was made with {threads} threads, this process has {threads_now}: the last "
            f"digits will differ from an uninterrupted run (set OMP_NUM_THREADS={threads} for the same ones)"
        )


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
