"""What tests of training share: a tiny text and model, the files a training stage reads, a reporter that listens."""

import functools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lal.files import sha256, write_bytes, write_json, write_jsonl
from lal.model.transformer import Config, Transformer
from lal.params import Params, load_params
from lal.text.batches import Batch, WindowBatches, consecutive_windows
from lal.text.tokenizer import Tokenizer
from lal.train.loop import Plan

ROOT = Path(__file__).parents[1]
TEXT = "To be, or not to be, that is the question: whether 'tis nobler in the mind to suffer. " * 20
CONTEXT_LENGTH = 16

PRETRAIN = {"steps": 12, "batch_size": 2, "validate_every": 4, "patience": 3, "precision": "fp32", "compile": False}
SFT = {
    "batch_size": 4,
    "validate_every": 3,
    "epochs": 1.5,
    "persona_repeats": 2,
    "head_learning_rate": 0.02,
    "validation_conversations": 3,
    "precision": "fp32",
    "compile": False,
}


class Listener:
    """A reporter that keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.points: list[tuple[int, dict[str, float]]] = []

    def say(self, message: str) -> None:
        """Keeps a line."""
        self.lines.append(message)

    def numbers(self, values: Mapping[str, float], step: int) -> None:
        """Keeps a point."""
        self.points.append((step, dict(values)))

    def attach(self, path: Path) -> None:
        """Training attaches nothing."""

    def table(self, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Training makes no tables."""


@functools.cache
def tokenizer() -> Tokenizer:
    """270 entries: bytes, a few merges, control tokens."""
    return Tokenizer.train([TEXT], 270)


@functools.cache
def tokens() -> np.ndarray[Any, np.dtype[np.uint16]]:
    """The text as ids."""
    return np.array(tokenizer().encode(TEXT), dtype=np.uint16)


def new_model() -> Transformer:
    """Two layers, 16 wide; the same weights each time."""
    config = Config(
        vocabulary_size=tokenizer().vocabulary_size,
        num_layers=2,
        num_heads=2,
        num_kv_heads=2,
        width=16,
        feed_forward_width=32,
        context_length=CONTEXT_LENGTH,
        query_key_norm=True,
        tied_embeddings=False,
    )
    return Transformer(config, seed=1)


def tiny_params(**sections: dict[str, Any]) -> Params:
    """params.yaml for a run of 12 steps, some values of some sections replaced."""
    shape = {"num_layers": 2, "num_heads": 2, "width": 16, "context_length": 32}
    tree = load_params(ROOT / "params.yaml").model_dump(mode="json", by_alias=True)
    for changed in ({"model": {"size": shape}, "pretrain": PRETRAIN, "sft": SFT}, sections):
        for section, values in changed.items():
            tree[section] |= values
    return Params.model_validate_json(json.dumps(tree))


def new_plan(**changes: Any) -> Plan:
    """12 steps of pretraining, some of its params replaced."""
    params = tiny_params(pretrain=PRETRAIN | changes).pretrain
    return Plan("pretrain", params, params.steps, WindowBatches(tokens(), CONTEXT_LENGTH, params.batch_size, seed=3))


def held_out() -> list[Batch]:
    """A hundred tokens to validate on."""
    return list(consecutive_windows(tokens()[:100], CONTEXT_LENGTH, 4))


def conversation(identity: str, question: str, answer: str, split: str = "train", task: str = "modernise") -> Any:
    """A row of conversations/*.jsonl."""
    return {
        "id": identity,
        "messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}],
        "task": task,
        "source": "test",
        "licence": "CC0",
        "split": split,
    }


def write_inputs(folder: Path) -> Path:
    """Writes what the training stages read: `tokenizer`, `tokens` and `conversations`; returns the folder."""
    tokenizer().save(folder / "tokenizer")
    meta: dict[str, Any] = {"tokenizer_sha256": sha256(folder / "tokenizer" / "tokenizer.json")}
    for split, text in (("train", TEXT), ("validation", TEXT[:300])):
        ids = [*tokenizer().encode(text), tokenizer().end_id]
        write_bytes(folder / "tokens" / f"{split}.bin", np.array(ids, dtype="<u2").tobytes())
        meta[split] = {"tokens": len(ids), "bytes": len(text.encode()), "documents": 1}
    write_json(folder / "tokens" / "meta.json", meta)
    training = [conversation(f"play-{n}", f"be {n}", f"to be {n}") for n in range(10)]
    training.append(conversation("persona-1", "Who are you?", "Lal.", task="persona"))
    write_jsonl(folder / "conversations" / "train.jsonl", training)
    validation = [conversation(f"held-{n}", f"or {n}", f"or not {n}", "validation") for n in range(6)]
    write_jsonl(folder / "conversations" / "validation.jsonl", validation)
    return folder
