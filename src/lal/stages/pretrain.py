"""Pretraining: a network that has seen nothing learns to predict the next token of the corpus."""

import time
from pathlib import Path
from typing import Any

import numpy as np

from lal.errors import DataError
from lal.files import read_json, sha256
from lal.model.folder import save_model
from lal.model.generate import stream
from lal.model.sampling import Sampling
from lal.model.transformer import Config, Transformer, count_parameters
from lal.params import Params
from lal.reporting import Reporter
from lal.text.batches import Batch, WindowBatches, consecutive_windows
from lal.text.tokenizer import Tokenizer
from lal.train.diagnosis import Facts, diagnose
from lal.train.fit import Fitted, fit, write_curve
from lal.train.loop import Plan, memory_for
from lal.train.precision import prepare
from lal.train.prediction import Prediction, read_prediction
from lal.train.preflight import preflight
from lal.train.resume import identity, open_checkpoints

SAMPLE_TOKENS = 40
SAMPLING = Sampling(temperature=0.8, top_k=40, top_p=1.0)

_Ids = np.memmap[Any, np.dtype[np.uint16]]
_REMEDY = "run `dvc repro tokenizer`"


def pretrain(
    *, params: Params, tokenizer: Path, tokens: Path, base: Path, curve: Path, scratch: Path, reporter: Reporter,
    foretold: Path | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Trains the base model.

    Args:
        params: The whole of params.yaml; read are `seed`, `model` and `pretrain`.
        tokenizer: Folder with tokenizer.json.
        tokens: Folder with train.bin, validation.bin and meta.json.
        base: Folder to write the model to.
        curve: CSV to write, one row a validation.
        scratch: Folder for checkpoints.
        reporter: Is told how it goes.
        foretold: What `lal plan` kept; None where nobody planned.

    Returns:
        Metrics; the validation covers the whole split, in windows of the model's own context.

    Raises:
        LalError: Too little text, files that do not belong together, training that diverges.
    """
    begun = time.monotonic()
    vocabulary = Tokenizer.load(tokenizer)
    _check_tokenizer(tokens / "meta.json", tokenizer / "tokenizer.json")
    training, validation = (_read_tokens(tokens, split, vocabulary) for split in ("train", "validation"))
    with memory_for("pretrain: the model", "lower the sizes in model.size, or tokenizer.vocabulary_size"):
        model = Transformer(Config.from_params(params.model, vocabulary.vocabulary_size), seed=params.seed)
        machine = prepare(model, params.pretrain)
    reporter.say(f"pretrain: {count_parameters(model):,} parameters, {len(training):,} training tokens, on {machine}")
    sizes = model.config.context_length, params.pretrain.batch_size
    batches, held_out = WindowBatches(training, *sizes, params.seed), _windows(validation, vocabulary.end_id, *sizes)

    def sample() -> str:
        ids = stream(model, [vocabulary.end_id], SAMPLING, SAMPLE_TOKENS, vocabulary.end_id, params.seed)
        return f"  it writes: {vocabulary.decode(ids)!r}"

    origin = _origin(params, tokenizer, tokens)
    plan = Plan("pretrain", params.pretrain, params.pretrain.steps, batches)
    with open_checkpoints(scratch, identity(origin, machine, Path(__file__)), reporter) as checkpoints:
        is_whole = not checkpoints.is_begun
        if is_whole:
            preflight(model, plan, held_out, reporter)
        fitted = fit(model, plan, held_out, vocabulary, checkpoints, reporter, sample)
        assert fitted.validation.num_bytes == vocabulary.count_bytes(validation), "not every byte was scored"
        metrics = {"parameters": count_parameters(model), **fitted.metrics()}
        save_model(base, model, vocabulary, origin | {"training": metrics})
        write_curve(curve, fitted.rows)
    minutes = (time.monotonic() - begun) / 60 if is_whole else None
    facts = Facts("pretrain", metrics["parameters"], fitted.num_tokens / len(training), len(training))
    return metrics | fitted.timing() | _told(fitted, facts, _prediction(foretold, params, tokens), minutes, reporter)


def _prediction(foretold: Path | None, params: Params, tokens: Path) -> Prediction | None:
    return read_prediction(foretold, params, sha256(tokens / "train.bin")) if foretold else None


def _origin(params: Params, tokenizer: Path, tokens: Path) -> dict[str, Any]:
    """What the model is made from; see `lal.train.resume.identity`."""
    inputs = [tokenizer / "tokenizer.json", tokens / "train.bin", tokens / "validation.bin"]
    return {
        "stage": "pretrain",
        "params": params.model_dump(mode="json", include={"seed", "model", "pretrain"}),
        "inputs": {path.name: sha256(path) for path in inputs},
        "parent": None,
    }


def _told(
    fitted: Fitted, facts: Facts, prediction: Prediction | None, minutes: float | None, reporter: Reporter
) -> dict[str, Any]:
    """What is said at the end, as metrics: what the curve shows, what became of the prediction, the minutes."""
    diagnosis = diagnose(fitted.rows, facts)
    reporter.say(f"pretrain: {diagnosis}")
    told: dict[str, Any] = {} if minutes is None else {"minutes": minutes}
    told["diagnosis"] = diagnosis.metrics()
    if prediction:
        told["prediction"] = prediction.review(fitted.validation.bits_per_byte, minutes)
        reporter.say(f"lal plan: {told['prediction']['sentence']}")
    return told


def _check_tokenizer(meta: Path, tokenizer: Path) -> None:
    """Demands that the ids are those of this tokenizer: another one's mean other text, or nothing at all."""
    if read_json(meta).get("tokenizer_sha256") != sha256(tokenizer):
        raise DataError(f"{meta}: the tokens were made with another tokenizer than {tokenizer}", _REMEDY)


def _windows(split: _Ids, end_id: int, context_length: int, batch_size: int) -> list[Batch]:
    """A whole split to validate on; a document's end before it makes its first token a target, too."""
    whole = np.concatenate([np.array([end_id], dtype=split.dtype), split])
    return list(consecutive_windows(whole, context_length, batch_size))


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
