"""The bundle: one folder that transformers opens without code of ours, and that says what it is."""

import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from lal.evaluation.scores.results import SHIPPED
from lal.evaluation.solvers.baselines import Lexicon
from lal.evaluation.solvers.hybrid import NAME as LEXICON
from lal.evaluation.solvers.hybrid import write_sure_words
from lal.evaluation.verdict.gate_file import GateFile
from lal.export.card import Measured, model_card
from lal.export.formats import write_formats
from lal.export.manifest import write_manifest
from lal.files import read_json, sha256, write_text
from lal.model.folder import LoadedModel, save_model
from lal.model.transformer import count_parameters
from lal.params import ExportParams


def write_bundle(
    folder: Path,
    measured: LoadedModel,
    params: ExportParams,
    scores: dict[str, Any],
    answers: Sequence[Measured],
    inputs: dict[str, Path],
    data: dict[str, Any],
    gate: GateFile,
    sure: Lexicon | None = None,
) -> None:
    """Writes the whole bundle.

    Args:
        folder: Where to; a folder of that name is replaced.
        measured: The model that was evaluated.
        params: Type of the weights, further formats and default settings.
        scores: metrics/evaluate.json.
        answers: Its answers to the gold set.
        inputs: Further files the export was made from, by name; their digests go into the manifest.
        data: The manifests of its data; see `lal.export.origin.data_origin`.
        gate: What the gate said of it.
        sure: The table that `lal modernise --hybrid` combines the model with; None where none was measured.

    Raises:
        ExportError: A package of the extra `formats` is missing, or the model does not fit a format.
        DataError: The disk is full or cannot be written.
    """
    shutil.rmtree(folder, ignore_errors=True)
    dtype, settings = getattr(torch, params.dtype), generation_settings(params)
    save_model(folder, measured.model, measured.tokenizer, measured.provenance, dtype=dtype, generation=settings)
    files = write_formats(folder, measured.model, params.formats)
    config, num_parameters = read_json(folder / "config.json"), count_parameters(measured.model)
    card = model_card(config, measured.provenance, scores, answers, num_parameters, gate, files)
    write_text(folder / "README.md", card)
    if sure:
        write_sure_words(folder / LEXICON, sure)
    write_manifest(
        folder,
        {
            "export": params.model_dump(),
            "inputs": {name: sha256(path) for name, path in inputs.items()},
            "measured": _measured(scores, answers, gate),
            "data": data,
            "model": measured.provenance,
        },
    )


def _measured(scores: Mapping[str, Any], answers: Sequence[Measured], gate: GateFile) -> dict[str, Any]:
    """What was found out about the model: gold versions are those in which the answered items took their form."""
    versions = Counter(str(each.item.version) for each in answers)
    return {
        "headline": scores.get("headline", {}).get(SHIPPED),
        "gold_versions": dict(sorted(versions.items())),
        "gate": {"passed": gate.passed, "sentence": gate.sentence},
    }


def generation_settings(params: ExportParams) -> dict[str, Any]:
    """Default settings as generation_config.json has them; greedy has no temperature there."""
    if params.temperature == 0:
        return {"max_new_tokens": params.max_new_tokens, "do_sample": False}
    drawing = {"do_sample": True, "temperature": params.temperature, "top_p": params.top_p, "top_k": 0}
    return {"max_new_tokens": params.max_new_tokens, **drawing}
