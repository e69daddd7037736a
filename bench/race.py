"""Time to loss on TinyShakespeare: Lal beside nanoGPT's documented CPU recipe, in the same run, step by step in turn.

    python -m bench.race                   # three goals, beside the peer
    python -m bench.race --goals peer      # the first of them alone, a fifth longer than the peer takes
    python -m bench.race --minutes 3 10    # the best loss in so many minutes
    python -m bench.race --tune            # either, on the part on which recipes are chosen; writes nothing

Loss is nats a character over the whole held-out part, in windows of the model's own context. Seconds are wall-clock of
training alone, from before the first step, so they hold compilation; a shape that two runs share is compiled by the
first of them. Scoring is left out. All runs take turns in one process, the one that is furthest from its end next, so
that a busy machine slows them alike; "clean" seconds are what the steps would have taken at the speed of their quicker
quarter. Recipes were chosen on characters 80 to 90 % of the text (docs/decisions/0015).
"""

import argparse
import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from bench.nanogpt import DOCUMENTED_A100_LOSS, DOCUMENTED_LOSS, Peer, PeerConfig, peer_steps, random_batches
from bench.shakespeare import Characters, mean_loss, read_shakespeare, windows
from bench.table import PAGE, report
from lal.model.ngram import NGram
from lal.model.transformer import Config, Transformer, count_parameters
from lal.params import ModelParams, PretrainParams, Shape, load_params
from lal.reporting import NullReporter
from lal.text.batches import Batch, Ids, WindowBatches
from lal.train.loop import Plan, sum_of_losses, training_steps
from lal.train.optimizer import Optimizer
from lal.train.precision import compile_blocks, prepare
from lal.train.processes import ALONE

TURN_SECONDS = 1.0
SEED = 1337
NGRAM_ORDER = 7
NGRAM_CONTEXT = 256
NGRAM_LOSS = 1.535
"""Of the Kneser-Ney 7-gram in windows of 256 characters, as others report it; ours is counted in every run."""
RANDOM_BATCHES = 200
TRIAL_STEPS = 12
"""Steps after which a run with a time to keep knows how many more will fit."""


@dataclass(frozen=True)
class Recipe:
    """One of our runs.

    Attributes:
        name: Of the row.
        shape: Of the network.
        changes: What differs from the section `pretrain` of params.yaml; `steps` among them, unless `minutes` is given.
        goal: Nats a character to reach; None: as low as it gets.
        limit: Seconds to reach it in, given the peer's.
        minutes: Time to fill, compilation included, with as many steps as the machine's speed allows.
    """

    name: str
    shape: Shape
    changes: Mapping[str, object]
    goal: float | None = None
    limit: Callable[[float], float] | None = None
    minutes: float | None = None


def _shape(num_layers: int, num_heads: int, width: int, context_length: int) -> Shape:
    return Shape(num_layers=num_layers, num_heads=num_heads, width=width, context_length=context_length)


QUICKER = {"learning_rate": 0.03, "embedding_learning_rate": 0.04, "head_learning_rate": 0.005}
"""Rates for a training of a minute or two: 1.5, 2 and 2.5 times those of params.yaml."""

RECIPES = {
    "peer": Recipe(
        "the peer's loss",
        _shape(2, 2, 64, 128),
        {
            "steps": 300,
            "batch_size": 10,
            "learning_rate": 0.05,
            "embedding_learning_rate": 0.05,
            "head_learning_rate": 0.005,
            "compile": False,  # Longer than the whole training.
            "precision": "fp32",  # Of products this small, bf16 saves less than its conversions cost.
        },
        goal=DOCUMENTED_LOSS,
        limit=lambda peer: peer / 10,
    ),
    "ngram": Recipe(
        "the 7-gram's loss",
        _shape(4, 4, 128, 256),
        {"steps": 750, "batch_size": 8, **QUICKER},
        goal=NGRAM_LOSS,
        limit=lambda _: 60.0,
    ),
    "a100": Recipe(
        "the A100's loss",
        _shape(4, 4, 128, 256),
        {"steps": 1400, "batch_size": 8, **QUICKER},
        goal=DOCUMENTED_A100_LOSS,
        limit=lambda peer: peer,
    ),
}
"""By goal."""


def recipe_for(minutes: float) -> Recipe:
    """What to train in so many minutes: in more of them a wider network, and decay, or it learns the text by heart."""
    width, decay = (128, 0.0) if minutes < 3 else (192, 0.3)
    changes = {"batch_size": 8, "weight_decay": decay, **(QUICKER if minutes < 3 else {})}
    return Recipe(f"{minutes:g} minutes", _shape(4, width // 32, width, 256), changes, minutes=minutes)


@dataclass
class Run:
    """A training that takes turns with others.

    Attributes:
        name: Of the row.
        num_parameters: Learned numbers.
        context_length: Positions of a window.
        batch_size: Windows a step.
        losses: Summed losses of a batch under the weights of the moment.
        steps: Makes a step each time it is asked.
        num_steps: How many there will be; where that shows only on the way, as many as there would be.
        recipe: Of a run of ours.
        seconds: What each step took; the first one's hold all that came before it.
    """

    name: str
    num_parameters: int
    context_length: int
    batch_size: int
    losses: Callable[[Batch], Tensor]
    steps: Iterator[object]
    num_steps: int
    recipe: Recipe | None = None
    seconds: list[float] = field(default_factory=list)

    def advance(self, turn_seconds: float) -> bool:
        """Makes steps for a while; false when there are none left."""
        end = time.perf_counter() + turn_seconds
        while (begun := time.perf_counter()) < end:
            if next(self.steps, None) is None:
                return False
            self.seconds.append(time.perf_counter() - begun)
        return True

    @property
    def total_seconds(self) -> float:
        """Wall-clock of all steps and what came before the first."""
        return sum(self.seconds)

    @property
    def clean_seconds(self) -> float:
        """What came first, and the other steps at the speed of their quicker quarter: the machine is shared."""
        first, *others = self.seconds
        return first + len(others) * float(np.percentile(others, 25)) if others else first


def our_run(recipe: Recipe, params: PretrainParams, text: Characters) -> Run:
    """A Transformer of Lal's, to be trained by Lal's own loop."""
    params = PretrainParams.model_validate(params.model_dump() | dict(recipe.changes))
    model = _build(recipe, text.vocabulary_size)
    return Run(
        recipe.name,
        count_parameters(model),
        recipe.shape.context_length,
        params.batch_size,
        lambda batch: sum_of_losses(model, batch),
        _our_steps(model, recipe, params, text.training),
        params.steps,
        recipe,
    )


def _build(recipe: Recipe, vocabulary_size: int) -> Transformer:
    size = ModelParams(size=recipe.shape, num_kv_heads=None, query_key_norm=True, tied_embeddings=False)
    return Transformer(Config.from_params(size, vocabulary_size), seed=SEED)


def _our_steps(model: Transformer, recipe: Recipe, params: PretrainParams, training: Ids) -> Iterator[object]:
    """Prepares at the first step, so that the clock of the run sees it."""
    begun = time.perf_counter()
    batches = WindowBatches(training, recipe.shape.context_length, params.batch_size, SEED)
    steps = params.steps
    if recipe.minutes is not None:
        a_step = _seconds_a_step(_build(recipe, model.config.vocabulary_size), params, batches)
        steps = max(1, int((recipe.minutes * 60 - (time.perf_counter() - begun)) / a_step))
    yield from _prepared_steps(model, params, Plan("pretrain", params, steps, batches))


def _seconds_a_step(trial: Transformer, params: PretrainParams, batches: WindowBatches) -> float:
    """What a step of this shape takes, on a model that is thrown away; what it compiles serves the real one."""
    steps = _prepared_steps(trial, params, Plan("pretrain", params, TRIAL_STEPS, batches))
    ends = [time.perf_counter() for _ in steps]
    return float(np.median(np.diff(ends)))


def _prepared_steps(model: Transformer, params: PretrainParams, plan: Plan) -> Iterator[object]:
    prepare(model, params)
    if params.compile:
        compile_blocks(model, plan.batches(0), NullReporter(), model.device)
    yield from training_steps(model, Optimizer(model, params, model.compute_dtype), plan)


def peer_run(config: PeerConfig, text: Characters) -> tuple[Run, Peer]:
    """The peer, to be trained by its own recipe; the model, too, since its check draws other batches."""
    torch.manual_seed(SEED)
    model = Peer(config, text.vocabulary_size).to(ALONE.choose_device())
    steps = peer_steps(model, config, text.training, SEED)
    name = "nanoGPT's CPU recipe"
    size = count_parameters(model)
    shape = (config.context_length, config.batch_size)
    return Run(name, size, *shape, model.sum_of_losses, steps, config.steps), model


def race(runs: Sequence[Run], turn_seconds: float = TURN_SECONDS) -> None:
    """Trains all to their ends, in turns, so that they end at about the same moment."""
    going = list(runs)
    while going:
        furthest = min(going, key=lambda run: len(run.seconds) / run.num_steps)
        if not furthest.advance(turn_seconds):
            going.remove(furthest)


def ngram_loss(text: Characters, order: int = NGRAM_ORDER, context_length: int = NGRAM_CONTEXT) -> float:
    """Nats a character of the Kneser-Ney model, each window by itself, as the networks see them."""
    model = NGram.train(text.training, order, text.vocabulary_size)

    def nats(batch: Batch) -> Tensor:
        rows = np.concatenate([batch.inputs[:, :1], np.maximum(batch.targets, 0)], axis=1)
        return torch.from_numpy(model.nats(rows)[:, 1:][batch.targets >= 0]).sum()

    return mean_loss(nats, windows(text.held_out, context_length))


def row_of(run: Run, held_out: Ids) -> dict[str, object]:
    """What a run came to."""
    return {
        "run": run.name,
        "parameters": run.num_parameters,
        "windows": f"{run.batch_size} x {run.context_length}",
        "steps": len(run.seconds),
        "loss": round(mean_loss(run.losses, windows(held_out, run.context_length)), 4),
        "seconds": round(run.total_seconds, 2),
        "of them before the second step": round(run.seconds[0], 1),
        "clean seconds": round(run.clean_seconds, 1),
    }


def judge(row: Mapping[str, object], recipe: Recipe | None, peer_seconds: float) -> dict[str, object]:
    """A row with how much sooner than the peer it was, and whether it reached its goal, in time."""
    seconds, loss = float(str(row["seconds"])), float(str(row["loss"]))
    judged = dict(row) | {"times sooner": round(peer_seconds / seconds, 2)}
    if recipe is None or recipe.goal is None or recipe.limit is None:
        return judged | {"goal": "-", "reached": "-"}
    limit = recipe.limit(peer_seconds)
    reached = "no" if loss > recipe.goal else "yes" if seconds <= limit else "the loss, too late"
    return judged | {"goal": f"{recipe.goal:g} in {limit:.0f} s", "reached": reached}


def _goals(text: Characters, params: PretrainParams, goals: Sequence[str], is_tuning: bool) -> None:
    """Runs the race for some goals and reports it."""
    config = PeerConfig()
    peer, model = peer_run(config, text)
    runs = [peer, *(our_run(RECIPES[goal], params, text) for goal in goals)]
    race(runs)
    draws = itertools.islice(random_batches(text.held_out, config, SEED + 1), RANDOM_BATCHES)
    drawn = mean_loss(model.sum_of_losses, draws)
    counted = ngram_loss(text)
    rows = [judge(row_of(run, text.held_out), run.recipe, peer.total_seconds) for run in runs]
    note = (
        f"The peer has {drawn:.3f} on {RANDOM_BATCHES} random batches of the held-out part; {DOCUMENTED_LOSS} is "
        f"documented. The Kneser-Ney {NGRAM_ORDER}-gram, counted in the same run, has {counted:.4f} in windows of "
        f"{NGRAM_CONTEXT}. \"Times sooner\" is the peer's seconds over the run's own."
    )
    report("race", "Time to loss on TinyShakespeare", rows, note, page=None if is_tuning else PAGE)


def _minutes(text: Characters, params: PretrainParams, minutes: Sequence[float], is_tuning: bool) -> None:
    """Runs the longer trainings, one after the other, and reports them."""
    runs = [our_run(recipe_for(each), params, text) for each in minutes]
    for run in runs:
        race([run])
    rows = [row_of(run, text.held_out) for run in runs]
    page = None if is_tuning else PAGE
    report("race-minutes", "The best loss in so many minutes on TinyShakespeare", rows, page=page)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m bench.race", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--minutes", type=float, nargs="+", help="train for so long instead, as well as it goes")
    parser.add_argument("--tune", action="store_true", help="hold out characters 80 to 90 %% instead of the last tenth")
    parser.add_argument("--goals", nargs="+", choices=RECIPES, default=[*RECIPES], help="which to run for; all")
    options = parser.parse_args(arguments)
    text = Characters.of(read_shakespeare(options.tune))
    params = load_params(Path("params.yaml")).pretrain
    if options.minutes:
        _minutes(text, params, options.minutes, options.tune)
    else:
        _goals(text, params, options.goals, options.tune)


if __name__ == "__main__":
    main()
