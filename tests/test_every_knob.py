"""Every knob of params.yaml moves something: nudged alone, some byte that the pipeline writes is another one.

The loop runs in process on a tiny corpus of the test's own. A knob that moves nothing is a defect, and so is one that
is missing here: the list below must name all of them.
"""

import copy
import importlib
import inspect
import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from lal.cli.params import knobs
from lal.errors import BrokenRuleError
from lal.files import sha256, write_jsonl
from lal.live import Request
from lal.params import Params, parse_params
from lal.records import Message
from lal.reporting import NullReporter
from lal.sections import FORMATS
from lal.tracking.registry import NoRegistry

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
STAGES = [
    "data",
    "validate",
    "tokenizer",
    "pretrain",
    "sft",
    "evaluate",
    "gate",
    "export",
    "parity",
    "register",
    "monitor",
]

TINY: dict[str, Any] = {
    "data.conversations": "own/chats.jsonl",
    "data.corpus": "own/texts",
    "data.max_conversations": None,
    "data.validation_fraction": 0.3,
    "validate.min_corpus_bytes": 1000,
    "tokenizer.vocabulary_size": 270,
    "model.size": {"num_layers": 1, "num_heads": 2, "width": 16, "context_length": 192},
    "pretrain.steps": 6,
    "pretrain.batch_size": 2,
    "pretrain.validate_every": 2,
    "pretrain.warmup_fraction": 0.2,
    "pretrain.precision": "fp32",
    "pretrain.compile": False,
    "sft.epochs": 1.0,
    "sft.batch_size": 4,
    "sft.validate_every": 2,
    "sft.validation_conversations": 5,
    "sft.warmup_fraction": 0.2,
    "sft.precision": "fp32",
    "sft.compile": False,
    "sft.persona_repeats": 1,
    "evaluate.max_new_tokens": 6,
    "evaluate.few_shot_examples": 1,
    "gold.headline": ["known"],
    "gate.conditions": [{"metric": "exact", "slice": "known", "against": 0.5, "margin": 0.0, "required": "shown"}],
    "export.temperature": 0.5,
    "monitor.min_requests": 10,
    "monitor.max_uncovered": 1.0,
    # Six steps make no favourites: a rounding may choose another word.
    "parity.flipped": dict.fromkeys(("safetensors", *FORMATS, "http"), 1.0),
}

NUDGES: dict[str, Any] = {
    "seed": 7,
    "data.corpus": "own/others",
    "data.conversations": "own/other.jsonl",
    "data.max_conversations": 8,
    "data.validation_fraction": 0.5,
    "validate.min_corpus_bytes": 10**9,
    "validate.max_overlap": 0.2,
    "validate.max_answer_characters": 5,
    "tokenizer.vocabulary_size": 280,
    "model.size": "tiny",
    "model.size.num_layers": 2,
    "model.size.num_heads": 4,
    "model.size.width": 32,
    "model.size.context_length": 224,
    "model.num_kv_heads": 1,
    "model.query_key_norm": False,
    "model.tied_embeddings": True,
    "sft.bpe_dropout": 0.5,
    "gold.headline": ["known", "keep"],
    "evaluate.max_new_tokens": 3,
    "gate.conditions": [],
    "gate.conditions.metric": "word_accuracy",
    "gate.conditions.slice": "keep",
    "gate.conditions.against": 0.9,
    "gate.conditions.margin": 0.2,
    "gate.conditions.required": "observed",
    "export.dtype": "bfloat16",
    "export.temperature": 0.9,
    "export.top_p": 0.5,
    "export.max_new_tokens": 7,
    "export.formats": ["gguf-f16", "onnx"],
    "register.name": "others",
    "monitor.min_requests": 90,
    "monitor.false_alarm_rate": 0.2,
    "monitor.max_uncovered": 0.0,
} | {
    f"parity.{limit}.{name}": 0.75
    for limit in ("tolerances", "flipped")
    for name in ("safetensors", *FORMATS, "http")
} | {
    f"{section}.{key}": value
    for section in ("pretrain", "sft")
    for key, value in {
        "batch_size": 3,
        "optimizer": "adamw",
        "learning_rate": 0.001,
        "embedding_learning_rate": 0.001,
        "head_learning_rate": 0.0001,
        "warmup_fraction": 0.4,
        "decay_fraction": 0.1,
        "weight_decay": 0.5,
        "max_grad_norm": 0.001,
        "validate_every": 1,
        "precision": "bf16",
    }.items()
} | {"pretrain.steps": 7, "sft.epochs": 2.0, "sft.persona_repeats": 3, "sft.validation_conversations": 1}  # fmt: skip

STOPPERS = {"validate.min_corpus_bytes", "validate.max_overlap"}
"""A stricter rule moves the pipeline to a stop."""

REFERENCES = ["", ".name", ".gguf", ".endpoint", ".model", ".examples", ".prompt", ".api_key_variable"]

NOT_NUDGED = {
    f"evaluate.references{key}": "asks a model of somebody else's; tests/evaluation/test_references.py turns each"
    for key in REFERENCES
} | {
    "monitor.endpoint": "asks a server that runs; tests/stages/test_monitor.py has one",
    "gate.stop": "decides whether the pipeline goes on after everything was written; tests/pipeline has both",
    "pretrain.compile": "changes how fast, not what; tests/train compares compiled with eager",
    "sft.compile": "the same",
    "pretrain.patience": "acts only when the loss stops falling; tests/train has such a case",
    "sft.patience": "the same",
    "evaluate.few_shot_examples": "after six steps a model says the same whatever it is shown; see tests/evaluation",
    "evaluate.batch_size": "answers must not depend on it; tests/model holds generation to that",
}


def params_with(changes: dict[str, Any]) -> Params:
    yaml = YAML(typ="rt")
    tree = yaml.load((ROOT / "params.yaml").read_text())
    for key, value in changes.items():
        *path, last = key.split(".")
        node = tree
        for part in path:
            node = node[part]
            node = node[0] if isinstance(node, list) else node  # of the conditions, the first
        node[last] = copy.deepcopy(value)
    text = io.StringIO()
    yaml.dump(tree, text)
    return parse_params(text.getvalue())


class Workshop:
    """A folder in which the stages run in process, with copies of earlier outputs to start from."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        texts = folder / "own" / "texts"
        texts.mkdir(parents=True)
        for number in range(8):
            lines = [
                f"Line {number} {i}: the King of {'abcdefgh'[i % 8]}and giues {i * number} crownes away.\n"
                for i in range(20)
            ]
            (texts / f"{number}.txt").write_text("".join(lines))
        shutil.copytree(texts, folder / "own" / "others")
        (folder / "own" / "others" / "0.txt").write_text(
            "Another text altogether, of other words, about ships and sealing wax. " * 20
        )
        chats = [chat(f"Modernise: giue vs {i} loues", f"give us {i} loves") for i in range(24)]
        write_jsonl(folder / "own" / "chats.jsonl", chats)
        write_jsonl(folder / "own" / "other.jsonl", chats[:-4])
        write_jsonl(
            folder / "live" / "requests.jsonl",
            [request(f"Modernise: haue {i}" if i else "QUID?", i) for i in range(12)],
        )
        (folder / "noise.json").write_text('{"measured": false}')
        (folder / "sft").mkdir()
        (folder / "patches").mkdir()
        (folder / "forgotten").mkdir()
        persona = {"id": "p-1", "task": "persona", "source": "hand", "licence": "CC0-1.0", "split": "train"}
        write_jsonl(folder / "sft" / "persona.jsonl", [persona | chat("Who are you?", "I am Lal.")])
        (folder / "gold").mkdir()
        write_jsonl(
            folder / "gold" / "gold.jsonl",
            [
                gold(
                    "known",
                    "Then did the Queene say that she giues 7 crownes away",
                    "Then did the Queen say that she gives 7 crowns away",
                ),
                gold("keep", "Stay here", "Stay here"),
                gold("unseen", "Where is the King of beares", "Where is the King of bears"),  # 0.4 of it is in texts
            ],
        )

    def copy(self, folder: Path) -> "Workshop":
        """Another one with all that this one has made so far."""
        other = Workshop.__new__(Workshop)
        other.folder = folder
        shutil.copytree(self.folder, folder)
        return other

    def run(self, stage: str, params: Params) -> None:
        function = getattr(importlib.import_module(f"lal.stages.{stage}"), stage)
        paths: dict[str, Any] = {
            name: self.folder / name
            for name in ("tokens", "base", "instruct", "bundle", "corpus", "conversations", "gold")
        }
        paths |= {
            "sources": ROOT / "data" / "sources.lock",
            "cache": ROOT / ".lal" / "sources",
            "own": self.folder / "own",
            "persona": self.folder / "sft",
            "tokenizer": self.folder / "tokenizer",
            "report": self.folder / f"{stage}.html",
            "curve": self.folder / f"{stage}.csv",
            "scratch": self.folder / "scratch",
            "registry": NoRegistry(),
            "live": self.folder / "live",
            "answers": self.folder / "gold.jsonl",
            "scores": self.folder / "evaluate.json",
            "failures": self.folder / "failures.json",
            "copies": self.folder / "copies.json",
            "overlaps": self.folder / "overlaps.json",
            "patches": self.folder / "patches",
            "forgotten": self.folder / "forgotten",
            "champion": self.folder / "champion",
            "noise": self.folder / "noise.json",
            "gate": self.folder / "gate.json",
            "trainings": {
                each: (self.folder / f"{each}.json", self.folder / f"{each}.csv") for each in ("pretrain", "sft")
            },
        }
        names = inspect.signature(function).parameters
        arguments = {name: paths[name] for name in names if name in paths}
        metrics = function(params=params, reporter=NullReporter(), **arguments)
        for timing in ("tokens_per_second", "minutes"):  # how fast, not what
            metrics.pop(timing, None)
        (self.folder / f"{stage}.json").write_text(json.dumps(metrics, default=str))

    def digests(self) -> dict[str, str]:
        """What the pipeline made; not the records that repeat the params themselves: they move with any of them."""
        skipped, records = {"own", "sft", "gold", "scratch"}, {"lal.json", "manifest.json"}
        files = [path for path in self.folder.rglob("*") if path.is_file()]
        return {
            path.relative_to(self.folder).as_posix(): sha256(path)
            for path in files
            if path.relative_to(self.folder).parts[0] not in skipped and path.name not in records
        }


def request(prompt: str, number: int) -> Request:
    return Request(
        id=f"r-{number}", time=f"2026-01-01T00:00:{number:02}.000Z", model="a",
        messages=(Message(role="user", content=prompt),),
        answer="have", finish_reason="stop", prompt_tokens=1, answer_tokens=1, first_token_seconds=None, seconds=0.1,
        mean_log_probability=None, tags={}, redactions=0, kept_because="share", kept_share=0.5,
    )  # fmt: skip


def chat(prompt: str, answer: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]}


def gold(name: str, source: str, expected: str) -> dict[str, Any]:
    messages = [{"role": "user", "content": f"Modernise: {source}"}]
    item = {"id": f"g-{name}", "slice": name, "messages": messages, "scorer": "exact", "expected": expected}
    return item | {"difficulty": "easy", "source": "test", "split": "dev", "version": 1}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    workshop = Workshop(tmp_path_factory.mktemp("knobs") / "undisturbed")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(workshop.folder)
        for stage in STAGES:
            workshop.run(stage, params_with(TINY))
        yield workshop


def test_without_a_nudge_nothing_moves(undisturbed: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workshop = undisturbed.copy(tmp_path / "again")
    before = workshop.digests()
    monkeypatch.chdir(workshop.folder)
    for stage in STAGES:
        workshop.run(stage, params_with(TINY))
    assert workshop.digests() == before


def test_the_list_of_nudges_names_every_knob() -> None:
    assert {key for key, _ in knobs(Params)} == NUDGES.keys() | NOT_NUDGED.keys()


@pytest.mark.parametrize("key", NUDGES)
def test_a_nudged_knob_moves_something(
    key: str, undisturbed: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workshop = undisturbed.copy(tmp_path / "nudged")
    before = workshop.digests()
    monkeypatch.chdir(workshop.folder)
    section = key.split(".")[0]
    first = {"seed": "data", "model": "pretrain", "gold": "evaluate"}.get(section, section)
    params = params_with(TINY | {key: NUDGES[key]})
    for stage in STAGES[STAGES.index(first) :]:
        if key in STOPPERS:
            with pytest.raises(BrokenRuleError):
                workshop.run(stage, params)
            return
        workshop.run(stage, params)
        if workshop.digests() != before:
            return
    pytest.fail(f"{key} = {NUDGES[key]!r} changed no byte of any stage")
