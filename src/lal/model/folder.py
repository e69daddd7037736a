"""A model as a folder: what `transformers` loads without custom code, and what Lal knows about where it came from.

    model.safetensors         weights, with transformers' names
    config.json               shape: architecture Qwen3ForCausalLM or LlamaForCausalLM
    generation_config.json    how to generate by default
    tokenizer.json, tokenizer_config.json (with the chat template)
    lal.json                  provenance, and the SHA-256 of the files that make the answers

Loading never runs code from the folder: it is JSON and safetensors only.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError

from lal.errors import DataError, ModelError
from lal.files import read_json, sha256, write_bytes, write_json
from lal.model.layers import NORM_EPSILON
from lal.model.transformer import ROPE_BASE, Config, Transformer
from lal.text.chat import TEMPLATE
from lal.text.tokenizer import Tokenizer

WEIGHTS = "model.safetensors"
SEALED = (WEIGHTS, "config.json", "tokenizer.json")
"""Files whose SHA-256 stands in lal.json: safetensors alone loads a flipped bit silently."""

_ARCHITECTURES = {True: ("Qwen3ForCausalLM", "qwen3"), False: ("LlamaForCausalLM", "llama")}
"""By query_key_norm."""


@dataclass(frozen=True)
class LoadedModel:
    """A model ready to answer.

    Attributes:
        model: In float32, for evaluation.
        tokenizer: Its own.
        provenance: What lal.json says: stage, params, inputs, parent.
    """

    model: Transformer
    tokenizer: Tokenizer
    provenance: dict[str, Any]


def save_model(
    folder: Path,
    model: Transformer,
    tokenizer: Tokenizer,
    provenance: Mapping[str, Any],
    *,
    dtype: torch.dtype = torch.float32,
    generation: Mapping[str, Any] | None = None,
) -> None:
    """Writes a model folder; lal.json comes last, so that a folder cut short is found out.

    Args:
        folder: Made if need be.
        model: Its weights are written, wherever they are.
        tokenizer: The one it was trained with.
        provenance: What it was made from, as JSON can say it.
        dtype: Type of the written weights; float32 keeps every bit.
        generation: More entries for generation_config.json, such as `max_new_tokens`.

    Raises:
        DataError: The disk is full or cannot be written.
    """
    assert tokenizer.vocabulary_size == model.config.vocabulary_size, "the tokenizer of another model"
    weights = {name: weight.to("cpu", dtype).contiguous() for name, weight in model.state_dict().items()}
    end = {"bos_token_id": None, "eos_token_id": tokenizer.end_id, "pad_token_id": tokenizer.end_id}
    (folder / "lal.json").unlink(missing_ok=True)
    write_bytes(folder / WEIGHTS, safetensors.torch.save(weights, metadata={"format": "pt"}))
    write_json(
        folder / "config.json", _to_transformers(model.config) | end | {"dtype": str(dtype).removeprefix("torch.")}
    )
    write_json(folder / "generation_config.json", end | {"do_sample": False} | dict(generation or {}))
    tokenizer.save(folder, TEMPLATE)
    write_json(folder / "lal.json", dict(provenance) | {"files": {name: sha256(folder / name) for name in SEALED}})


def load_model(folder: Path) -> LoadedModel:
    """Reads a model folder that `save_model` wrote.

    Raises:
        ModelError: A file is missing, changed, of another format, or does not fit the others.
        TokenizerError: tokenizer.json is not a tokenizer of Lal's.
    """
    provenance = _read_object(folder / "lal.json")
    _check_seal(folder, provenance)
    config = _from_transformers(_read_object(folder / "config.json"), folder / "config.json")
    tokenizer = Tokenizer.load(folder)
    if tokenizer.vocabulary_size != config.vocabulary_size:
        raise ModelError(
            f"{folder}: the tokenizer has {tokenizer.vocabulary_size} entries, the model {config.vocabulary_size}",
            "put the tokenizer back that the model was trained with",
        )
    model = Transformer(config)
    weights = _read_weights(folder / WEIGHTS)
    _check_weights(folder / WEIGHTS, model, weights)
    model.load_state_dict(weights)
    return LoadedModel(model.eval(), tokenizer, provenance)


def _to_transformers(config: Config) -> dict[str, Any]:
    architecture, model_type = _ARCHITECTURES[config.query_key_norm]
    return {
        "architectures": [architecture],
        "model_type": model_type,
        "vocab_size": config.vocabulary_size,
        "num_hidden_layers": config.num_layers,
        "num_attention_heads": config.num_heads,
        "num_key_value_heads": config.num_kv_heads,
        "hidden_size": config.width,
        "head_dim": config.head_width,
        "intermediate_size": config.feed_forward_width,
        "max_position_embeddings": config.context_length,
        "tie_word_embeddings": config.tied_embeddings,
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "attention_dropout": 0.0,
        "rms_norm_eps": NORM_EPSILON,
        "rope_theta": ROPE_BASE,  # Read by transformers 4 and llama.cpp; the next line by transformers 5.
        "rope_parameters": {"rope_type": "default", "rope_theta": ROPE_BASE},
        "use_sliding_window": False,
    }


def _from_transformers(tree: dict[str, Any], path: Path) -> Config:
    """The shape a config.json describes; everything else in it must be as we compute it."""
    try:
        config = Config(
            vocabulary_size=tree["vocab_size"],
            num_layers=tree["num_hidden_layers"],
            num_heads=tree["num_attention_heads"],
            num_kv_heads=tree["num_key_value_heads"],
            width=tree["hidden_size"],
            feed_forward_width=tree["intermediate_size"],
            context_length=tree["max_position_embeddings"],
            query_key_norm=tree["model_type"] == _ARCHITECTURES[True][1],
            tied_embeddings=tree["tie_word_embeddings"],
        )
    except KeyError as error:
        raise ModelError(f"{path}: {error} is missing", "use a model made by `dvc repro`") from error
    sizes = {key: value for key, value in asdict(config).items() if key not in ("query_key_norm", "tied_embeddings")}
    problems = [f"{path}: {key} is {value!r}, not a count" for key, value in sizes.items() if not _is_count(value)]
    if not problems:
        ours = _to_transformers(config)
        problems = [
            f"{path}: {key} is {tree.get(key)!r}, Lal computes {value!r}"
            for key, value in ours.items()
            if tree.get(key) != value
        ]
    if problems:
        raise ModelError.of(problems, "use a model made by `dvc repro`")
    return config


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 1


def _read_object(path: Path) -> dict[str, Any]:
    try:
        tree = read_json(path)
    except DataError as error:
        raise ModelError(error.problem, "the model folder is incomplete or damaged: run `dvc repro` again") from error
    if not isinstance(tree, dict):
        raise ModelError(f"{path}: expected a JSON object, got {json.dumps(tree)[:40]}")
    return tree


def _check_seal(folder: Path, provenance: Mapping[str, Any]) -> None:
    """Demands the files that were written, bit by bit."""
    digests = provenance.get("files")
    problems = []
    for name in SEALED:
        expected = digests.get(name) if isinstance(digests, dict) else None
        if expected is None:
            problems.append(f"{folder / 'lal.json'}: does not say the sha256 of {name}")
        elif not (folder / name).is_file():
            problems.append(f"{folder / name}: missing")
        elif (got := sha256(folder / name)) != expected:
            problems.append(
                f"{folder / name}: changed since it was written: sha256 {got[:12]}..., not {expected[:12]}..."
            )
    if problems:
        raise ModelError.of(problems, "the model folder is incomplete or damaged: run `dvc repro` again")


def _read_weights(path: Path) -> dict[str, torch.Tensor]:
    try:
        return safetensors.torch.load(path.read_bytes())
    except SafetensorError as error:
        raise ModelError(f"{path}: not safetensors: {error}", "use a model made by `dvc repro`") from error


def _check_weights(path: Path, model: Transformer, weights: Mapping[str, torch.Tensor]) -> None:
    """Demands exactly the weights that the shape in config.json has."""
    ours = {name: list(weight.shape) for name, weight in model.state_dict().items()}
    theirs = {name: list(weight.shape) for name, weight in weights.items()}
    problems = [
        *(f"{path}: {name} is not part of the model" for name in sorted(theirs.keys() - ours.keys())),
        *(f"{path}: {name} is missing" for name in sorted(ours.keys() - theirs.keys())),
        *(
            f"{path}: {name} is {theirs[name]}, config.json says {ours[name]}"
            for name in sorted(ours.keys() & theirs.keys())
            if ours[name] != theirs[name]
        ),
    ]
    if problems:
        raise ModelError.of(problems, "config.json and the weights must be of the same model")
