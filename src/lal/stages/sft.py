"""Supervised fine-tuning: the base model learns to answer, from conversations that show how."""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lal.advice.diagnosis import Facts, diagnose
from lal.advice.preflight import Start, preflight, trained_loss
from lal.errors import TrainingError
from lal.files import sha256
from lal.model.folder import SEALED, LoadedModel, load_model
from lal.model.transformer import count_parameters
from lal.params import Params, SftParams
from lal.records import PERSONA_TASK, Conversation, read_records
from lal.reporting import Reporter
from lal.text.batches import Batch, ConversationBatches, pad_rows
from lal.text.bpe_dropout import BpeDropout
from lal.text.chat import Rendered, render
from lal.text.tokenizer import Tokenizer
from lal.train.fit import Fitted, fit, write_trained
from lal.train.loop import Plan, memory_for
from lal.train.precision import prepare
from lal.train.processes import ALONE, Processes
from lal.train.resume import identity, open_checkpoints


def sft(
    *,
    params: Params,
    base: Path,
    conversations: Path,
    instruct: Path,
    curve: Path,
    scratch: Path,
    reporter: Reporter,
    processes: Processes = ALONE,
) -> dict[str, Any]:
    """Trains the model that answers; shape and tokenizer are those of the base model.

    Args:
        params: The whole of params.yaml; read are `seed` and `sft`.
        base: Folder of the base model.
        conversations: Folder with train.jsonl and validation.jsonl.
        instruct: Folder to write the model to.
        curve: CSV to write, one row a validation.
        scratch: Folder for checkpoints.
        reporter: Is told how it goes.
        processes: Who else trains this model; the first of them writes it.

    Returns:
        Metrics; the validation covers `sft.validation_conversations`, answers only.

    Raises:
        LalError: No usable conversations, a damaged base model, training that diverges.
    """
    loaded, machine = _load(base, params.sft, processes)
    model, vocabulary, settings = loaded.model, loaded.tokenizer, params.sft
    files = {split: conversations / f"{split}.jsonl" for split in ("train", "validation")}
    training, num_dropped = _read_usable(files["train"], loaded, reporter)
    validation, _ = _read_usable(files["validation"], loaded, reporter)
    chosen = _draw(validation, settings.validation_conversations, params.seed)
    held_out = _validation_batches([shown.rendered for shown in chosen], settings.batch_size, vocabulary.end_id)
    rows = _rows_of_an_epoch(files["train"], training, settings)
    batches = training_batches(rows, settings, params.seed, vocabulary)
    plan = Plan("sft", settings, math.ceil(settings.epochs * batches.steps_per_epoch), batches)
    reporter.say(f"sft: {len(rows):,} rows an epoch, {plan.steps:,} steps, on {machine}")
    origin = _origin(params, [*files.values(), *(base / name for name in SEALED)], loaded)
    with open_checkpoints(scratch, identity(origin, machine, Path(__file__)), reporter, processes) as checkpoints:
        if processes.is_first and not checkpoints.is_begun:
            start = Start(trained_loss(loaded.provenance), len(training), num_dropped)
            preflight(model, plan, held_out, reporter, start)
        fitted = fit(model, plan, held_out, vocabulary, checkpoints, reporter, processes=processes)
        assert fitted.validation.num_bytes == sum(_answer_bytes(shown.conversation) for shown in chosen)
        counts = {"parameters": count_parameters(model), "conversations": len(training)}
        metrics = {**counts, "dropped_conversations": num_dropped, **fitted.metrics()}
        write_trained(instruct, curve, model, vocabulary, origin | {"training": metrics}, fitted.rows, processes)
    return metrics | fitted.timing() | _diagnosis(fitted, metrics["parameters"], batches.steps_per_epoch, reporter)


def _load(base: Path, settings: SftParams, processes: Processes) -> tuple[LoadedModel, str]:
    """The base model in its place, and what that is: `cpu, bfloat16`."""
    with memory_for("sft: the base model", "make it smaller: lower the sizes in model.size"):
        loaded = load_model(base)
        return loaded, prepare(loaded.model, settings, processes)


def _diagnosis(fitted: Fitted, parameters: int, steps_per_epoch: int, reporter: Reporter) -> dict[str, Any]:
    """What the curve says, told and as metrics."""
    epochs = fitted.steps / steps_per_epoch
    diagnosis = diagnose(fitted.rows, Facts("sft", parameters, epochs, round(fitted.num_tokens / epochs)))
    reporter.say(f"sft: {diagnosis}")
    return {"diagnosis": diagnosis.metrics()}


def _origin(params: Params, inputs: Sequence[Path], loaded: LoadedModel) -> dict[str, Any]:
    """What the model is made from."""
    return {
        "stage": "sft",
        "params": params.model_dump(mode="json", include={"seed", "sft"}),
        "inputs": {path.name: sha256(path) for path in inputs},
        "parent": loaded.provenance,
    }


@dataclass(frozen=True)
class Shown:
    """A conversation, and what the model sees of it.

    Attributes:
        conversation: As it stands in the file.
        rendered: As ids.
    """

    conversation: Conversation
    rendered: Rendered


def _read_usable(path: Path, loaded: LoadedModel, reporter: Reporter) -> tuple[list[Shown], int]:
    """The conversations of a file that fit into the model's context, and how many do not."""
    context_length = loaded.model.config.context_length
    shown = [Shown(row, render(row.messages, loaded.tokenizer)) for row in read_records(path, Conversation)]
    too_long = [entry for entry in shown if not entry.rendered.fits(context_length)]
    usable = [entry for entry in shown if entry.rendered.fits(context_length)]
    if not usable:
        raise TrainingError(
            f"{path}: none of {len(shown):,} conversations fits into the model's context of {context_length} tokens",
            "raise context_length in model.size, or shorten the conversations",
        )
    if too_long:
        reporter.say(
            f"{path}: {len(too_long):,} of {len(shown):,} conversations are longer than the context of "
            f"{context_length} tokens and left out, the first {too_long[0].conversation.id!r}"
        )
    return usable, len(too_long)


def _draw(shown: list[Shown], count: int, seed: int) -> list[Shown]:
    """So many of them, the same each time; a draw, not a secret."""
    return random.Random(seed).sample(shown, min(count, len(shown)))  # noqa: S311


def _rows_of_an_epoch(path: Path, training: Sequence[Shown], settings: SftParams) -> list[Shown]:
    """Each conversation as often as it is shown in an epoch."""
    repeats = [settings.persona_repeats if shown.conversation.task == PERSONA_TASK else 1 for shown in training]
    rows = [shown for shown, times in zip(training, repeats, strict=True) for _ in range(times)]
    if not rows:
        raise TrainingError(
            f"{path}: all {len(training):,} usable conversations are of the persona, and sft.persona_repeats is 0",
            "set sft.persona_repeats to 1 or more, or add other conversations",
        )
    return rows


def training_batches(
    rows: Sequence[Shown], settings: SftParams, seed: int, vocabulary: Tokenizer
) -> ConversationBatches:
    """The rows of an epoch as batches, with BPE-dropout their questions in other tokens each epoch."""
    rendered = [row.rendered for row in rows]
    conversations = [row.conversation.messages for row in rows]
    vary = BpeDropout(conversations, vocabulary, settings.bpe_dropout) if settings.bpe_dropout else None
    return ConversationBatches(rendered, settings.batch_size, seed, vocabulary.end_id, vary)


def _validation_batches(rows: Sequence[Rendered], batch_size: int, pad_id: int) -> list[Batch]:
    """Every row once, those of similar length together, padded to the longest of their batch."""
    ordered = sorted(rows, key=lambda row: len(row.ids))
    groups = [ordered[start : start + batch_size] for start in range(0, len(ordered), batch_size)]
    return [pad_rows(group, len(group[-1].ids) - 1, len(group), pad_id) for group in groups]


def _answer_bytes(conversation: Conversation) -> int:
    return sum(len(message.content.encode()) for message in conversation.messages if message.role == "assistant")
