"""The data curve of the narrow task: what 100, 1,000, 10,000 and all pairs teach in an equal number of steps.

    python -m bench.data_curve                    # after `dvc repro`; --steps 1500 for another length

From one base model, the fine-tuning of params.yaml is run on nested draws of the training pairs, without the persona.
Each model is scored on lines of the development plays that chose nothing, and on the gold set, beside lexicon and
rules, and beside the hybrid, from the same pairs. Trained models are kept under .lal/data_curve: a bench that was
stopped goes on where it stood, inside a training too.
"""

import argparse
import hashlib
import random
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.held_out_lines import as_gold
from bench.table import PAGE, report
from lal.errors import LalError
from lal.evaluation.gold.folder import load_gold
from lal.evaluation.scores.results import HYBRID, SHIPPED, of_solver, solvers
from lal.evaluation.scores.scoreboard import build_scoreboard, graded
from lal.evaluation.scores.scoring import score_answers
from lal.evaluation.solvers.hybrid import hybrid_answers, learn_sure_words
from lal.evaluation.solvers.solver import chat_model, learn_baselines
from lal.evaluation.statistics.intervals import proportion
from lal.files import read_json, sha256, write_jsonl
from lal.gold_items import GoldItem
from lal.model.folder import WEIGHTS, load_model
from lal.params import Params, load_params
from lal.records import Conversation, line_to_modernise, read_records
from lal.stages.sft import sft

TABLE = "lexicon+rules"
SEED = 1623
NUM_VALIDATION = 200
"""Development lines that choose each model's best step; they are not among those that score it."""

VALIDATIONS = 8
"""In each training; none stops it early, so all take the same steps."""

BATCH_SIZE = 128

Row = dict[str, object]


class Listener:
    """Says on standard error what training says; there is no curve to draw."""

    def say(self, message: str) -> None:
        """A line for who waits."""
        sys.stderr.write(f"{message}\n")

    def numbers(self, values: object, step: int) -> None:
        """Nothing."""

    def attach(self, path: Path) -> None:
        """Nothing."""

    def table(self, name: str, rows: object) -> None:
        """Nothing."""


def shuffled_lines(rows: Sequence[Conversation]) -> list[Conversation]:
    """The rows that modernise a line, in an order that is always the same."""
    lines = [row for row in rows if line_to_modernise(row.prompt) is not None]
    return random.Random(SEED).sample(lines, len(lines))  # noqa: S311 - a draw, not a secret


def draw_pairs(training: Sequence[Conversation], sizes: Sequence[int]) -> dict[int, list[Conversation]]:
    """Nested draws of the pairs: the smaller is part of the larger; a size beyond all of them is all of them."""
    pairs = shuffled_lines(training)
    return {min(size, len(pairs)): pairs[:size] for size in sizes}


def train(
    base: Path,
    pairs: Sequence[Conversation],
    validation: Sequence[Conversation],
    params: Params,
    steps: int,
    kept: Path,
) -> Path:
    """The folder of the model that these pairs make; trained if it is not there yet.

    Args:
        base: Folder of the base model.
        pairs: What to learn.
        validation: What chooses the best step.
        params: All parameters; of the fine-tuning's, how long and how often it validates are replaced.
        steps: Of the training.
        kept: Where models are kept.
    """
    said = "".join(row.id for row in pairs) + sha256(base / WEIGHTS) + params.sft.model_dump_json()
    folder = kept / f"{len(pairs)}-pairs-{steps}-steps-{hashlib.sha256(said.encode()).hexdigest()[:8]}"
    if (folder / "model" / "lal.json").is_file():
        return folder / "model"
    write_jsonl(folder / "conversations" / "train.jsonl", pairs)
    write_jsonl(folder / "conversations" / "validation.jsonl", validation)
    steps_per_epoch = -(-len(pairs) // params.sft.batch_size)
    changes = {
        "epochs": (steps - 0.5) / steps_per_epoch,
        "validate_every": max(1, steps // VALIDATIONS),
        "patience": steps,
        "validation_conversations": len(validation),
    }
    sft(
        params=params.model_copy(update={"sft": params.sft.model_copy(update=changes)}),
        base=base,
        conversations=folder / "conversations",
        instruct=folder / "model",
        curve=folder / "curve.csv",
        scratch=folder / "scratch",
        reporter=Listener(),
    )
    return folder / "model"


def score(
    model: Path, pairs: Sequence[Conversation], lines: Sequence[GoldItem], gold: Sequence[GoldItem], params: Params
) -> list[Row]:
    """A row for the table, the model and the two together, all from the same pairs."""
    items = [*lines, *gold]
    own = chat_model(SHIPPED, load_model(model), params.evaluate.max_new_tokens, BATCH_SIZE).answer(items)
    table = next(solver for solver in learn_baselines(pairs) if solver.name == TABLE)
    sure = learn_sure_words(pairs)
    results = score_answers(items, [*table.answer(items), *own, *(hybrid_answers(items, own, sure) if sure else [])])
    told = read_json(model / "lal.json")["training"]
    board = build_scoreboard([row for row in results if row.slice != "silver"], params.gold.headline)
    rows: list[Row] = []
    for name in (each for each in (TABLE, SHIPPED, HYBRID) if each in solvers(results)):
        silver = [row for row in of_solver(results, name) if row.slice == "silver"]
        shares = [proportion([row.scores["exact"] for row in silver]), graded(silver, "word_accuracy")["all"]]
        row = board.row(name)
        slices = {key: None if row is None else row.cells[key].value for key in params.gold.headline}
        slices |= {"headline": None if row is None else row.headline.value}
        rows.append(
            {"pairs": len(pairs), "best step": told["best_step"] if name != TABLE else "-", "solver": name}
            | dict(zip(("exact line", "word accuracy"), (_rounded(share.value) for share in shares), strict=True))
            | {key: _rounded(value) for key, value in slices.items()}
        )
    return rows


def _rounded(value: float | None) -> object:
    return "-" if value is None else f"{value:.3f}"


def run(options: argparse.Namespace) -> list[Row]:
    """Trains, asks and scores, one size after the other. Raises: LalError: `dvc repro` has not made what it reads."""
    params = load_params(options.params)
    training = read_records(options.conversations / "train.jsonl", Conversation)
    development = shuffled_lines(read_records(options.conversations / "validation.jsonl", Conversation))
    validation, held_out = development[:NUM_VALIDATION], development[NUM_VALIDATION:][: options.lines]
    lines, gold = [as_gold(row) for row in held_out], load_gold(options.gold)
    rows: list[Row] = []
    for number, pairs in draw_pairs(training, options.sizes).items():
        sys.stderr.write(f"{number:,} pairs\n")
        model = train(options.base, pairs, validation, params, options.steps, options.kept)
        rows += score(model, pairs, lines, gold, params)
    note = (
        f"{options.steps:,} steps of {params.sft.batch_size} lines from one base model; the weights of the best of "
        f"{VALIDATIONS} validations count. Exact line and word accuracy on {len(lines):,} lines of the development "
        f"plays, the slices on {len(gold)} gold items. {TABLE} and hybrid know the same pairs; the slice `unseen` is "
        "drawn against all pairs, so a smaller draw has unseen words in the others too."
    )
    report("data_curve", "The data curve of the narrow task", rows, note, page=options.page)
    return rows


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 1_000, 10_000, 10**9], help="pairs; 10**9: all")
    parser.add_argument("--steps", type=int, default=1000, help="of each training")
    parser.add_argument("--lines", type=int, default=1000, help="of the development plays, to score")
    parser.add_argument("--base", type=Path, default=Path("models/base"))
    parser.add_argument("--conversations", type=Path, default=Path("data/conversations"))
    parser.add_argument("--gold", type=Path, default=Path("gold"))
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    parser.add_argument("--kept", type=Path, default=Path(".lal/data_curve"), help="keeps the trained models")
    parser.add_argument("--page", type=Path, default=PAGE, help="where the table goes")
    return parser.parse_args(arguments)


def main() -> None:
    """Measures, or says what is wrong."""
    try:
        run(parse())
    except LalError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
