"""Pretraining: a network that has seen nothing learns to predict the next token of the corpus."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lal.advice.diagnosis import Facts, diagnose
from lal.advice.prediction import Prediction, read_prediction
from lal.advice.preflight import preflight
from lal.errors import DataError
from lal.files import read_json, sha256
from lal.model.generate import stream
from lal.model.sampling import Sampling
from lal.model.transformer import Config, Transformer, count_parameters
from lal.params import Params
from lal.reporting import Reporter
from lal.text.batches import WindowBatches, consecutive_windows
from lal.text.tokenizer import Tokenizer
from lal.train.fit import Fitted, fit, write_trained
from lal.train.loop import Plan, memory_for
from lal.train.precision import prepare
from lal.train.processes import ALONE, Processes
from lal.train.resume import identity, open_checkpoints

SAMPLE_TOKENS = 40
SAMPLING = Sampling(temperature=0.8, top_k=40, top_p=1.0)

_Ids = np.memmap[Any, np.dtype[np.uint16]]
_REMEDY = "run `dvc repro tokenizer`"


def pretrain(
    *,
    params: Params,
    tokenizer: Path,
    tokens: Path,
    base: Path,
    curve: Path,
    scratch: Path,
    reporter: Reporter,
    processes: Processes = ALONE,
    foretold: Path | None = None,
) -> dict[str, Any]:
    """Trains the base model.

    Args:
        params: The whole of params.yaml; read are `seed`, `model` and `pretrain`.
        tokenizer: Folder with tokenizer.json.
        tokens: Folder with train.bin, validation.bin and meta.json.
        base: Folder to write the model to.
        curve: CSV to write, one row a validation.
        scratch: Folder for checkpoints.
        reporter: Is told how it goes.
        processes: Who else trains this model; the first of them writes it.
        foretold: What `lal plan` kept; None where nobody planned.

    Returns:
        Metrics; the validation covers the whole split, in windows of the model's own context.

    Raises:
        LalError: Too little text, files that do not belong together, training that diverges.
    """
    begun = time.monotonic()
    vocabulary = Tokenizer.load(tokenizer)
    training, validation = _read_splits(tokens, tokenizer / "tokenizer.json", vocabulary)
    model, machine = _build(params, vocabulary.vocabulary_size, processes)
    reporter.say(f"pretrain: {count_parameters(model):,} parameters, {len(training):,} training tokens, on {machine}")
    shape = model.config.context_length, params.pretrain.batch_size
    plan = Plan("pretrain", params.pretrain, params.pretrain.steps, WindowBatches(training, *shape, params.seed))
    held_out = consecutive_windows(validation, *shape, before=vocabulary.end_id)
    origin = _origin(params, [tokenizer / "tokenizer.json", tokens / "train.bin", tokens / "validation.bin"])
    with open_checkpoints(scratch, identity(origin, machine, Path(__file__)), reporter, processes) as checkpoints:
        if is_whole := processes.is_first and not checkpoints.is_begun:
            preflight(model, plan, held_out, reporter)
        sample = _sampler(model, vocabulary, params.seed)
        fitted = fit(model, plan, held_out, vocabulary, checkpoints, reporter, sample, processes)
        assert fitted.validation.num_bytes == vocabulary.count_bytes(validation), "not every byte was scored"
        metrics = {"parameters": count_parameters(model), **fitted.metrics()}
        write_trained(base, curve, model, vocabulary, origin | {"training": metrics}, fitted.rows, processes)
    minutes = (time.monotonic() - begun) / 60 if is_whole else None
    prediction = read_prediction(foretold, params, origin["inputs"]["train.bin"]) if foretold else None
    return metrics | _told(fitted, metrics["parameters"], len(training), prediction, minutes, reporter)


def _build(params: Params, vocabulary_size: int, processes: Processes) -> tuple[Transformer, str]:
    """The fresh model in its place, and what that is: `cpu, bfloat16`."""
    with memory_for("pretrain: the model", "lower the sizes in model.size, or tokenizer.vocabulary_size"):
        model = Transformer(Config.from_params(params.model, vocabulary_size), seed=params.seed)
        return model, prepare(model, params.pretrain, processes)


def _told(
    fitted: Fitted,
    parameters: int,
    num_tokens: int,
    prediction: Prediction | None,
    minutes: float | None,
    reporter: Reporter,
) -> dict[str, Any]:
    """What is said at the end, as metrics: the times, what the curve shows, what became of the prediction."""
    diagnosis = diagnose(fitted.rows, Facts("pretrain", parameters, fitted.num_tokens / num_tokens, num_tokens))
    reporter.say(f"pretrain: {diagnosis}")
    told: dict[str, Any] = fitted.timing() | ({} if minutes is None else {"minutes": minutes})
    told["diagnosis"] = diagnosis.metrics()
    if prediction:
        told["prediction"] = prediction.review(fitted.validation.bits_per_byte, minutes)
        reporter.say(f"lal plan: {told['prediction']['sentence']}")
    return told


def _origin(params: Params, inputs: Sequence[Path]) -> dict[str, Any]:
    """What the model is made from."""
    return {
        "stage": "pretrain",
        "params": params.model_dump(mode="json", include={"seed", "model", "pretrain"}),
        "inputs": {path.name: sha256(path) for path in inputs},
        "parent": None,
    }


def _sampler(model: Transformer, vocabulary: Tokenizer, seed: int) -> Callable[[], str]:
    """Lets the model begin a document, the same draws each time."""

    def sample() -> str:
        ids = stream(model, [vocabulary.end_id], SAMPLING, SAMPLE_TOKENS, vocabulary.end_id, seed)
        return f"  it writes: {vocabulary.decode(ids)!r}"

    return sample


def _read_splits(tokens: Path, tokenizer: Path, vocabulary: Tokenizer) -> tuple[_Ids, _Ids]:
    """Training and validation ids; they must be those of this tokenizer: another one's mean other text, or nothing."""
    meta = tokens / "meta.json"
    if read_json(meta).get("tokenizer_sha256") != sha256(tokenizer):
        raise DataError(f"{meta}: the tokens were made with another tokenizer than {tokenizer}", _REMEDY)
    return _read_tokens(tokens, "train", vocabulary), _read_tokens(tokens, "validation", vocabulary)


def _read_tokens(folder: Path, split: str, vocabulary: Tokenizer) -> _Ids:
    """One split's ids as a memory map; checked against what the tokenizer stage counted when it wrote them."""
    path, meta = folder / f"{split}.bin", read_json(folder / "meta.json")[split]
    try:
        ids = np.memmap(path, dtype="<u2", mode="r")
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read: {error}", _REMEDY) from error
    if ids.max() >= vocabulary.vocabulary_size:
        raise DataError(f"{path}: token {ids.max()} in a vocabulary of {vocabulary.vocabulary_size}", _REMEDY)
    if len(ids) != meta["tokens"] or vocabulary.count_bytes(ids) != meta["bytes"]:
        raise DataError(
            f"{path}: {len(ids):,} tokens for {vocabulary.count_bytes(ids):,} bytes of text, but meta.json says "
            f"{meta['tokens']:,} for {meta['bytes']:,}",
            _REMEDY,
        )
    return ids
