"""The bundle: one folder that transformers opens without code of ours, and that says what it is."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from lal.evaluation.solvers.baselines import Lexicon
from lal.evaluation.solvers.hybrid import NAME as LEXICON
from lal.evaluation.solvers.hybrid import write_sure_words
from lal.evaluation.verdict.gate_file import GateFile
from lal.export.card import Measured, model_card
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
    gate: GateFile,
    sure: Lexicon | None = None,
) -> None:
    """Writes the whole bundle.

    Args:
        folder: Where to; a folder of that name is replaced.
        measured: The model that was evaluated.
        params: Type of the weights and default settings.
        scores: metrics/evaluate.json.
        answers: Its answers to the gold set.
        inputs: Further files the export was made from, by name; their digests go into the manifest.
        gate: What the gate said of it.
        sure: The table that `lal modernise --hybrid` combines the model with; None where none was measured.
    """
    shutil.rmtree(folder, ignore_errors=True)
    save_model(
        folder,
        measured.model,
        measured.tokenizer,
        measured.provenance,
        dtype=getattr(torch, params.dtype),
        generation=generation_settings(params),
    )
    config, num_parameters = read_json(folder / "config.json"), count_parameters(measured.model)
    write_text(folder / "README.md", model_card(config, measured.provenance, scores, answers, num_parameters, gate))
    if sure:
        write_sure_words(folder / LEXICON, sure)
    write_manifest(
        folder,
        {
            "export": params.model_dump(),
            "inputs": {name: sha256(path) for name, path in inputs.items()},
            "model": measured.provenance,
        },
    )


def generation_settings(params: ExportParams) -> dict[str, Any]:
    """Default settings as generation_config.json has them; greedy has no temperature there."""
    if params.temperature == 0:
        return {"max_new_tokens": params.max_new_tokens, "do_sample": False}
    drawing = {"do_sample": True, "temperature": params.temperature, "top_p": params.top_p, "top_k": 0}
    return {"max_new_tokens": params.max_new_tokens, **drawing}
