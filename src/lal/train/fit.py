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
from lal.model.folder import save_model
from lal.model.transformer import Transformer
from lal.reporting import Reporter
from lal.text.batches import Batch
from lal.text.tokenizer import Tokenizer
from lal.train.interrupt import stop_requests
from lal.train.loop import Plan, Step, divergence, less_memory, memory_for, training_steps
from lal.train.optimizer import Optimizer
from lal.train.precision import compile_blocks
from lal.train.processes import ALONE, Processes
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

    def checkpoint(self, processes: Processes = ALONE) -> Checkpoint:
        """This moment, to be saved by the first process: the same file however many there are, sharded or not."""
        numbers = {
            "rows": self.rows,
            "num_tokens": self.num_tokens,
            "losses": self.losses,
            "threads": torch.get_num_threads(),
            "processes": processes.count,
        }
        return Checkpoint(self.step, processes.gather(self._tensors()), numbers)

    @torch.no_grad()
    def restore(self, saved: Checkpoint, processes: Processes = ALONE) -> None:
        """Goes back to a moment that `checkpoint` gave; its tensors are needed at the first process only."""
        self.step = saved.step
        self.rows = saved.numbers["rows"]
        self.num_tokens = saved.numbers["num_tokens"]
        self.losses = saved.numbers["losses"]
        if self.rows:
            self.best = {name: torch.empty_like(weight) for name, weight in self.model.named_parameters()}
        tensors = self._tensors()
        processes.fill(tensors, saved.tensors)
        torch.set_rng_state(tensors["random"])

    def _tensors(self) -> dict[str, Tensor]:
        """All that the next step depends on beside numbers; live, but for the random state."""
        tensors: dict[str, Tensor] = {f"weights/{name}": weight for name, weight in self.model.named_parameters()}
        tensors |= {f"best/{name}": weight for name, weight in self.best.items()}
        tensors |= {f"optimizer/{name}": value for name, value in self.optimizer.state().items()}
        return tensors | {"random": torch.get_rng_state()}


def fit(
    model: Transformer,
    plan: Plan,
    held_out: Sequence[Batch],
    tokenizer: Tokenizer,
    checkpoints: Checkpoints,
    reporter: Reporter,
    sample: Callable[[], str] | None = None,
    processes: Processes = ALONE,
) -> Fitted:
    """Trains a model, from its last checkpoint if there is one, and leaves its best weights in it.

    Args:
        model: On its device and in its compute type; trained in place, and sliced if the processes are to be sharded.
        plan: What to learn from and how.
        held_out: Batches to validate on.
        tokenizer: The model's.
        checkpoints: Of this very run.
        reporter: Gets the curve and a line a validation.
        sample: Gives a short text of the model's, said at each validation.
        processes: Who else trains this very model; all call this function alike.

    Raises:
        TrainingError: Training has diverged, needs more memory than there is, or has lost one of its processes.
        SystemExit: Ctrl-C or `kill` came; a checkpoint has been saved.
    """
    processes.check_rows(plan.section, plan.params.batch_size)
    room = memory_for(f"{plan.section}: the model with its optimizer and a batch to validate", less_memory(plan))
    with room, processes.together():
        run = _start(model, plan, checkpoints, reporter, processes)
        begun = run.step
        with stop_requests(processes.count == 1) as stop, Progress(plan.steps, begun, reporter, processes) as progress:
            is_over = out_of_patience(run.rows, plan.params.patience)
            steps = iter(()) if is_over else training_steps(model, run.optimizer, plan, run.step, processes)
            for step in steps:
                run.take(step)
                progress.step(step)
                is_due = step.number % plan.params.validate_every == 0 or step.number == plan.steps
                if is_due:
                    progress.say_validated(_validate(run, plan, step, held_out, tokenizer, processes))
                    if sample:
                        progress.say(_eagerly(sample, model, processes))
                signal_number = processes.largest(stop.signal_number)  # All stop after the same step.
                if is_due or signal_number:
                    checkpoints.save(run.checkpoint(processes))
                if signal_number:
                    raise _stopped(plan, step, signal_number, progress)
                if out_of_patience(run.rows, plan.params.patience):
                    break
        tokens_per_second = progress.tokens_per_second if run.step > begun else None
        return _finish(run, plan, held_out, tokenizer, tokens_per_second, processes)


def best_row(rows: Sequence[Row]) -> Row:
    """The first row with the lowest validation loss."""
    return min(rows, key=lambda row: row["validation_loss"])


def out_of_patience(rows: Sequence[Row], patience: int) -> bool:
    """Whether the last `patience` validations all brought nothing better."""
    return bool(rows) and len(rows) - 1 - rows.index(best_row(rows)) >= patience


def write_trained(
    folder: Path,
    curve: Path,
    model: Transformer,
    tokenizer: Tokenizer,
    provenance: Mapping[str, Any],
    rows: Sequence[Row],
    processes: Processes,
) -> None:
    """Writes what `fit` has made: the model's folder and the curve. All processes call it, the first one writes."""
    whole = processes.whole_model(model)
    if processes.is_first:
        save_model(folder, whole, tokenizer, provenance)
        write_curve(curve, rows)


def write_curve(path: Path, rows: Sequence[Row]) -> None:
    """Writes the curve as CSV, one row a validation."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def _start(model: Transformer, plan: Plan, checkpoints: Checkpoints, reporter: Reporter, processes: Processes) -> Run:
    """A run that stands where its last checkpoint does, or at its beginning; the model is ready to be trained."""
    saved = checkpoints.load()
    begun = processes.tell((saved.step, saved.numbers) if saved else None)
    if plan.params.compile and (begun is None or begun[0] < plan.steps):
        example = processes.share(plan.batches(begun[0] if begun else 0))
        compile_blocks(model, example, reporter, processes.choose_device())
    processes.shard(model)
    run = Run(model, Optimizer(model, plan.params, model.compute_dtype))
    if begun:
        saved = saved or Checkpoint(begun[0], {}, begun[1])
        run.restore(saved, processes)
        _say_continuing(plan, saved, reporter, processes)
    return run


def _eagerly(sample: Callable[[], str], model: Transformer, processes: Processes) -> str:
    """The sample, uncompiled: a text grows by one token at a time, and each length would be compiled anew.

    Every process writes it: to compute with a sharded model, all must take part.
    """
    with torch.compiler.set_stance("force_eager"):
        text = sample()
    processes.forget_unsharded(model)
    return text


def _validate(
    run: Run, plan: Plan, step: Step, held_out: Sequence[Batch], tokenizer: Tokenizer, processes: Processes
) -> Row:
    """Adds a point to the run's curve."""
    validation = validate(run.model, held_out, tokenizer, processes)
    if not math.isfinite(validation.nats):
        raise divergence(plan, step.number, f"validation loss {validation.nats}")
    return run.add(validation, step.learning_rate)


def _stopped(plan: Plan, step: Step, signal_number: int, progress: Progress) -> SystemExit:
    """Says that the run has been stopped, and ends this process: 130 for Ctrl-C, 143 for `kill`, as shells have it."""
    progress.say(f"{plan.section}: stopped after step {step.number}, saved; the same command continues it")
    return SystemExit(128 + signal_number)


def _finish(
    run: Run,
    plan: Plan,
    held_out: Sequence[Batch],
    tokenizer: Tokenizer,
    tokens_per_second: float | None,
    processes: Processes,
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
        validation=validate(run.model, held_out, tokenizer, processes),
        num_tokens=run.num_tokens,
        stopped_early=run.step < plan.steps,
        tokens_per_second=tokens_per_second,
        rows=run.rows,
    )


def _say_continuing(plan: Plan, saved: Checkpoint, reporter: Reporter, processes: Processes) -> None:
    reporter.say(f"{plan.section}: continuing after step {saved.step:,} of {plan.steps:,}")
    if saved.numbers["processes"] != processes.count:
        reporter.say(
            f"{plan.section}: the checkpoint was made with {saved.numbers['processes']} processes, now there are "
            f"{processes.count}: the last digits will differ from an uninterrupted run"
        )
    threads, threads_now = saved.numbers["threads"], torch.get_num_threads()
    if threads != threads_now:
        reporter.say(
            f"{plan.section}: the checkpoint was made with {threads} threads, this process has {threads_now}: the last "
            f"digits will differ from an uninterrupted run (set OMP_NUM_THREADS={threads} for the same ones)"
        )
