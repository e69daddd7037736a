"""Every knob of the recipe earned: the loss at equal time of the default and of everything it could have been.

    python -m bench.ablation --steps 300 --seeds 3
    python -m bench.ablation --steps 1200 --variants "batch halved"    # does what won a short training win a long one?

The default is params.yaml's `model` and `pretrain`, with the tokenizer's vocabulary, shortened to so many steps. Each
variant changes one thing and gets as many steps as the default's seconds allow: both take turns of a few steps in one
process, on one thread, and the ratio of their quicker quarters sets the number. (Compilation is left out of it: it
costs the same few seconds however long a training is.) Learned from the first 80 % of TinyShakespeare, scored on the
next tenth, in bits per byte, so that tokenizers compare; the customary validation part decides nothing.

Finished runs stay in a file, so that the table can be made in pieces: the same command goes on where it was stopped.
"""

import argparse
import json
import math
import multiprocessing
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np
import torch

from bench import variants
from bench.shakespeare import Parts, mean_loss, read_shakespeare, to_ids, windows
from bench.table import report
from lal.evaluation.statistics.noise import t_quantile
from lal.files import write_jsonl
from lal.model.transformer import Config, Transformer
from lal.params import ModelParams, Params, PretrainParams, load_params
from lal.reporting import NullReporter
from lal.text.batches import Ids, WindowBatches
from lal.text.tokenizer import Tokenizer
from lal.train.loop import Plan, sum_of_losses, training_steps
from lal.train.optimizer import Optimizer
from lal.train.precision import compile_blocks, prepare

DEFAULT = "default"
RUNS = Path(".lal/ablation.jsonl")
TURNS, TURN_STEPS = 10, 2
CONFIDENCE = 0.95

Exchange = Callable[[Transformer, torch.Generator], None]


@dataclass(frozen=True)
class Variant:
    """One thing that is not as it is by default.

    Attributes:
        knob: What is turned.
        pretrain: Values of that section of params.yaml that differ.
        model: Likewise.
        scale: Section `pretrain`: a key's value times a factor.
        vocabulary_size: Of the tokenizer; 0: one id a character; None: as params.yaml has it.
        exchange: Replaces parts of the network.
    """

    knob: str
    pretrain: Mapping[str, object] = field(default_factory=dict)
    model: Mapping[str, object] = field(default_factory=dict)
    scale: Mapping[str, float] = field(default_factory=dict)
    vocabulary_size: int | None = None
    exchange: Exchange | None = None


VARIANTS: dict[str, Variant] = {
    DEFAULT: Variant("-"),
    # Without Muon's geometry the rate means something else: the best of three rates counts.
    "AdamW, 2e-3": Variant("optimizer", pretrain={"optimizer": "adamw", "learning_rate": 2e-3}),
    "AdamW, 4e-3": Variant("optimizer", pretrain={"optimizer": "adamw", "learning_rate": 4e-3}),
    "AdamW, 8e-3": Variant("optimizer", pretrain={"optimizer": "adamw", "learning_rate": 8e-3}),
    "rate halved": Variant("learning rate", scale={"learning_rate": 0.5}),
    "rate doubled": Variant("learning rate", scale={"learning_rate": 2.0}),
    "embedding's rate halved": Variant("learning rate", scale={"embedding_learning_rate": 0.5}),
    "embedding's rate doubled": Variant("learning rate", scale={"embedding_learning_rate": 2.0}),
    "head's rate halved": Variant("learning rate", scale={"head_learning_rate": 0.5}),
    "head's rate doubled": Variant("learning rate", scale={"head_learning_rate": 2.0}),
    "embedding's and head's doubled": Variant(
        "learning rate", scale={"embedding_learning_rate": 2.0, "head_learning_rate": 2.0}
    ),
    "batch halved": Variant("batch size", scale={"batch_size": 0.5}),
    "batch doubled": Variant("batch size", scale={"batch_size": 2.0}),
    "no warm-up": Variant("schedule", pretrain={"warmup_fraction": 0.0}),
    "decay over 20 %": Variant("schedule", pretrain={"decay_fraction": 0.2}),
    "decay over 98 %": Variant("schedule", pretrain={"decay_fraction": 0.98}),
    "weight decay 0.1": Variant("weight decay", pretrain={"weight_decay": 0.1}),
    "weight decay 1.0": Variant("weight decay", pretrain={"weight_decay": 1.0}),
    "gradient at most 1": Variant("gradient clipping", pretrain={"max_grad_norm": 1.0}),
    "gradient at most 0.1": Variant("gradient clipping", pretrain={"max_grad_norm": 0.1}),
    "no query-key norm": Variant("normalisation", model={"query_key_norm": False}),
    "LayerNorm": Variant("normalisation", exchange=variants.layer_norm),
    "GELU": Variant("activation", exchange=variants.gelu),
    "squared ReLU": Variant("activation", exchange=variants.squared_relu),
    "no positions": Variant("position", exchange=variants.no_positions),
    "learned positions": Variant("position", exchange=variants.learned_positions),
    "tied embeddings": Variant("tying", model={"tied_embeddings": True}),
    "grouped queries, 2 for 4": Variant("heads", model={"num_kv_heads": 2}),
    "bf16": Variant("precision", pretrain={"precision": "bf16"}),
    "not compiled": Variant("compilation", pretrain={"compile": False}),
    "characters": Variant("tokenizer", vocabulary_size=0),
    "BPE 1,024": Variant("tokenizer", vocabulary_size=1024),
    "batch halved, both rates doubled": Variant(
        "together", scale={"batch_size": 0.5, "embedding_learning_rate": 2.0, "head_learning_rate": 2.0}
    ),
}


@dataclass(frozen=True)
class Text:
    """A text as ids, and what it takes to score bits per byte.

    Attributes:
        training: Ids to learn from.
        held_out: Ids to score, an end in front of them, so that the first is scored, too.
        held_out_bytes: UTF-8 bytes that they stand for.
        vocabulary_size: Different ids, the end among them.
    """

    training: Ids
    held_out: Ids
    held_out_bytes: int
    vocabulary_size: int

    @classmethod
    def of(cls, parts: Parts, vocabulary_size: int) -> "Text":
        """Both parts under a tokenizer that is trained on the first of them; 0 entries: one id a character."""
        if vocabulary_size:
            tokenizer = Tokenizer.train([parts.training], vocabulary_size)
            training, held_out = (np.array(tokenizer.encode(part)) for part in (parts.training, parts.held_out))
            end_id, size = tokenizer.end_id, tokenizer.vocabulary_size
        else:
            training, held_out = (to_ids(part, parts.vocabulary) for part in (parts.training, parts.held_out))
            end_id, size = len(parts.vocabulary), len(parts.vocabulary) + 1
        return cls(training, np.append([end_id], held_out), len(parts.held_out.encode()), size)


class Trainee:
    """One variant with one seed, ready to be trained.

    Args:
        variant: What is not as by default.
        params: The default: all of params.yaml.
        text: What to learn from and to score, under the variant's tokenizer.
        seed: Of weights and batches.
    """

    def __init__(self, variant: Variant, params: Params, text: Text, seed: int) -> None:
        self.params = self.pretrain_params(variant, params)
        size = ModelParams.model_validate(params.model.model_dump() | dict(variant.model))
        self.model = Transformer(Config.from_params(size, text.vocabulary_size), seed=seed)
        if variant.exchange:
            variant.exchange(self.model, torch.Generator().manual_seed(seed))
        prepare(self.model, self.params)
        self._text = text
        self._batches = WindowBatches(text.training, size.shape.context_length, self.params.batch_size, seed)
        if self.params.compile:
            compile_blocks(self.model, self._batches(0), NullReporter(), self.model.device)

    @staticmethod
    def pretrain_params(variant: Variant, params: Params) -> PretrainParams:
        """The section of params.yaml with what the variant changes in it."""
        values: dict[str, Any] = params.pretrain.model_dump()
        scaled = {key: type(values[key])(values[key] * factor) for key, factor in variant.scale.items()}
        return PretrainParams.model_validate(values | scaled | dict(variant.pretrain))

    def steps(self, steps: int) -> Iterator[object]:
        """Trains, with a schedule over so many steps."""
        optimizer = Optimizer(self.model, self.params, self.model.compute_dtype)
        return training_steps(self.model, optimizer, Plan("pretrain", self.params, steps, self._batches))

    def bits_per_byte(self) -> float:
        """What the held-out part costs."""
        batches = windows(self._text.held_out, self.model.config.context_length)
        nats_a_token = mean_loss(lambda batch: sum_of_losses(self.model, batch), batches)
        return nats_a_token * (len(self._text.held_out) - 1) / math.log(2) / self._text.held_out_bytes


@cache
def _text(params_path: Path, vocabulary_size: int | None) -> Text:
    size = load_params(params_path).tokenizer.vocabulary_size if vocabulary_size is None else vocabulary_size
    return Text.of(read_shakespeare(is_tuning=True), size)


def relative_step_time(variant: Trainee, default: Trainee, turns: int = TURNS) -> float:
    """How long a variant's step takes, in steps of the default; both take turns, so a busy machine slows them alike."""
    count = (turns + 1) * TURN_STEPS
    steps = (default.steps(count), variant.steps(count))
    seconds: tuple[list[float], list[float]] = ([], [])
    for turn in range(turns + 1):
        for each, taken in zip(steps, seconds, strict=True):
            for _ in range(TURN_STEPS):
                begun = time.perf_counter()
                next(each)
                if turn:  # The first turn warms up.
                    taken.append(time.perf_counter() - begun)
    return float(np.percentile(seconds[1], 25) / np.percentile(seconds[0], 25))


def measure_time(name: str, params_path: Path) -> dict[str, Any]:
    """The relative step time of a variant, as a row of the file; runs in a process of its own."""
    torch.set_num_threads(1)
    trainees = [_trainee(each, params_path, 0) for each in (name, DEFAULT)]
    return {"variant": name, "relative_time": round(relative_step_time(trainees[0], trainees[1]), 3)}


def measure_loss(name: str, params_path: Path, steps: int, seed: int) -> dict[str, Any]:
    """The loss of a variant after so many steps, as a row of the file; runs in a process of its own."""
    torch.set_num_threads(1)
    trainee = _trainee(name, params_path, seed)
    for _ in trainee.steps(steps):
        pass
    return {"variant": name, "seed": seed, "own_steps": steps, "bits_per_byte": round(trainee.bits_per_byte(), 5)}


def _trainee(name: str, params_path: Path, seed: int) -> Trainee:
    variant = VARIANTS[name]
    return Trainee(variant, load_params(params_path), _text(params_path, variant.vocabulary_size), seed)


class Runs:
    """What has been measured, in a file that grows with each run; rows of other recipes stay, and do not count.

    Args:
        path: JSON lines.
        recipe: The default and its steps: what decides a row's meaning.
    """

    def __init__(self, path: Path, recipe: Mapping[str, Any]) -> None:
        self._path, self._recipe = path, dict(recipe)
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        self._all = [json.loads(line) for line in lines]

    def add(self, row: Mapping[str, Any]) -> None:
        """Keeps a row."""
        self._all.append({"recipe": self._recipe, **row})
        write_jsonl(self._path, self._all)

    def times(self) -> dict[str, float]:
        """Relative step time of each variant that has one."""
        return {DEFAULT: 1.0} | {row["variant"]: row["relative_time"] for row in self._rows("relative_time")}

    def losses(self, variant: str) -> dict[int, float]:
        """Bits per byte of a variant by seed."""
        return {row["seed"]: row["bits_per_byte"] for row in self._rows("bits_per_byte") if row["variant"] == variant}

    def _rows(self, key: str) -> list[dict[str, Any]]:
        return [row for row in self._all if row["recipe"] == self._recipe and key in row]


def measure(runs: Runs, params_path: Path, steps: int, seeds: int, names: Sequence[str]) -> None:
    """Measures what is still missing of these variants: first all times, then the losses, seed by seed."""
    missing = [name for name in names if name not in runs.times()]
    _in_processes(runs, [(measure_time, name, params_path) for name in missing])
    jobs: list[tuple[Any, ...]] = []
    for seed in range(seeds):
        for name in names:
            if seed not in runs.losses(name):
                own_steps = max(1, round(steps / runs.times()[name]))
                jobs.append((measure_loss, name, params_path, own_steps, seed))
    _in_processes(runs, jobs)


def _in_processes(runs: Runs, jobs: Sequence[tuple[Any, ...]]) -> None:
    """Does the jobs, one a core at once; each in a fresh process, whose compiler has met nothing else."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(torch.get_num_threads(), mp_context=spawn, max_tasks_per_child=1) as pool:
        for done in as_completed([pool.submit(*job) for job in jobs]):
            runs.add(done.result())


def rows_of(runs: Runs, steps: int, names: Collection[str] = VARIANTS) -> list[dict[str, object]]:
    """The table: the default, then each knob's variants, the best of a knob first."""
    default = runs.losses(DEFAULT)
    means = {name: fmean(found.values()) for name in names if (found := runs.losses(name))}
    knobs = list(dict.fromkeys(variant.knob for variant in VARIANTS.values()))
    ordered = sorted(means, key=lambda name: (knobs.index(VARIANTS[name].knob), means[name]))
    rows: list[dict[str, object]] = []
    for name in ordered:
        losses = runs.losses(name)
        paired = [losses[seed] - default[seed] for seed in losses if seed in default]
        rows.append(
            {
                "knob": VARIANTS[name].knob,
                "variant": name,
                "time a step": round(runs.times()[name], 2),
                "steps": round(steps / runs.times()[name]),
                "seeds": len(losses),
                "bits a byte": _interval(list(losses.values()), ""),
                "against the default": "-" if name == DEFAULT else _interval(paired, "+"),
                "verdict": "-" if name == DEFAULT else _verdict(paired),
            }
        )
    return rows


def half_width(values: Sequence[float]) -> float:
    """Half the 95 % interval of a mean, by Student's t; infinite for a single value."""
    if len(values) < 2:
        return math.inf
    return t_quantile((1 + CONFIDENCE) / 2, len(values) - 1) * stdev(values) / math.sqrt(len(values))


def _interval(values: Sequence[float], sign: str) -> str:
    half = half_width(values)
    mean = f"{fmean(values):{sign}.4f}"
    return mean if math.isinf(half) else f"{mean} ± {half:.4f}"


def _verdict(paired: Sequence[float]) -> str:
    """Whether the interval of the difference leaves out 0; a single difference has none."""
    if len(paired) < 2:
        return "one seed"
    mean, half = fmean(paired), half_width(paired)
    return "tie" if abs(mean) <= half else "worse" if mean > 0 else "better"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures what is missing and reports it."""
    parser = argparse.ArgumentParser(prog="python -m bench.ablation", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--steps", type=int, default=300, help="of the default; the others get as much time")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each variant")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="the default")
    parser.add_argument("--runs", type=Path, default=RUNS, help="file that keeps finished runs")
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, metavar="NAME", help="only these; their own table")
    options = parser.parse_args(arguments)
    params = load_params(options.params).model_dump(mode="json", include={"model", "pretrain", "tokenizer"})
    runs = Runs(options.runs, {"steps": options.steps, "params": params})
    names = [DEFAULT, *options.variants] if options.variants else list(VARIANTS)
    measure(runs, options.params, options.steps, options.seeds, names)
    note = (
        'Difference: of the same seeds, with its 95 % interval by Student\'s t; "tie" where it holds 0. One row in '
        "twenty will be called better or worse by chance."
    )
    name, title = "ablation", "Every knob at equal time"
    if options.variants:
        name, title = f"ablation-{options.steps}", f"Some knobs at the time of {options.steps:,} steps"
    report(name, title, rows_of(runs, options.steps, names), note)


if __name__ == "__main__":
    main()
