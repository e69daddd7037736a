"""Stage `evaluate`: the gold set through everything that can answer it, scored and tabled."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lal.evaluation.copies.measure import Learned, copy_metrics, measure_copies
from lal.evaluation.copies.records import write_copies
from lal.evaluation.failures.groups import find_failures, training_sources
from lal.evaluation.failures.records import write_failures
from lal.evaluation.gold.folder import load_gold
from lal.evaluation.scores.results import HYBRID, SHIPPED, Result, of_solver, table_rows, write_results
from lal.evaluation.scores.scoreboard import check_headline, metrics
from lal.evaluation.scores.scoring import score_answers
from lal.evaluation.solvers.baselines import Lexicon
from lal.evaluation.solvers.compression import compress, ladder_metrics
from lal.evaluation.solvers.hybrid import hybrid_answers, learn_sure_words
from lal.evaluation.solvers.likelihood import answer_bits
from lal.evaluation.solvers.nearest import Nearest
from lal.evaluation.solvers.references import build_references
from lal.evaluation.solvers.solver import (
    ModelSolver,
    NearestAnswer,
    Solver,
    chat_model,
    few_shot_model,
    learn_baselines,
    sizes_of,
)
from lal.gold_items import Answer, GoldItem
from lal.model.folder import load_model
from lal.params import Params
from lal.records import Conversation, Document, read_records
from lal.reporting import Reporter


def evaluate(
    *,
    params: Params,
    gold: Path,
    corpus: Path,
    conversations: Path,
    base: Path,
    instruct: Path,
    answers: Path,
    failures: Path,
    copies: Path,
    reporter: Reporter,
) -> dict[str, Any]:
    """Answers and scores the gold set.

    Args:
        params: All parameters.
        gold: Folder of gold items.
        corpus: Folder with train.jsonl and validation.jsonl, for bits per byte and what is copied.
        conversations: Folder with train.jsonl, from which the lexicon and the examples come.
        base: Folder of the pretrained model.
        instruct: Folder of the fine-tuned model.
        answers: Where reports/gold.jsonl goes.
        failures: Where reports/failures.json goes.
        copies: Where reports/copies.json goes.
        reporter: Whom to tell.

    Returns:
        The metrics; see `metrics` in `scores.scoreboard` and `ladder_metrics` in `solvers.compression`.

    Raises:
        LalError: Something that it reads, or `gold.headline`, is not what it should be.
    """
    items = load_gold(gold)
    check_headline(params.gold.headline, items)
    training = read_records(conversations / "train.jsonl", Conversation)
    nearest = Nearest.build(training)
    solvers = _solvers(params, training, nearest, base, instruct)
    sure = learn_sure_words(training)
    results = _ask(solvers, items, sure, reporter)
    learned = _learned(corpus, training)
    networks = {each.name: each.loaded for each in solvers if isinstance(each, ModelSolver)}
    text = compress(learned.corpus, learned.held_out, networks)
    _write_answers(answers, results, reporter)
    own = of_solver(results, SHIPPED)
    write_failures(failures, find_failures(own, training, nearest, training_sources(conversations)))
    copied = measure_copies(own, networks["base"], learned)
    write_copies(copies, copied)
    told = metrics(results, params.gold.headline, SHIPPED) | ladder_metrics(results, _sizes(solvers, sure), text)
    return told | {"copied": copy_metrics(copied)}


def _solvers(
    params: Params, training: Sequence[Conversation], nearest: Nearest, base: Path, instruct: Path
) -> list[Solver]:
    """Everything that answers, from the cheapest on; the models of somebody else's last."""
    limit, batch = params.evaluate.max_new_tokens, params.evaluate.batch_size
    own: list[Solver] = [
        *learn_baselines(training),
        NearestAnswer("nearest", nearest),
        few_shot_model("base", load_model(base), training, params.evaluate.few_shot_examples, limit, batch),
        chat_model(SHIPPED, load_model(instruct), limit, batch),
    ]
    taken = [*(solver.name for solver in own), HYBRID]
    return [*own, *build_references(params.evaluate.references, nearest, limit, taken)]


def _sizes(solvers: Sequence[Solver], sure: Lexicon | None) -> dict[str, int]:
    """Parameters, entries or rules of each solver, and both of the hybrid."""
    sizes = sizes_of(solvers)
    return sizes | ({HYBRID: sizes[SHIPPED] + sure.size} if sure else {})


def _learned(corpus: Path, training: Sequence[Conversation]) -> Learned:
    """What could have been copied."""
    return Learned(
        corpus=read_records(corpus / "train.jsonl", Document),
        held_out=read_records(corpus / "validation.jsonl", Document),
        conversations=training,
    )


def _ask(
    solvers: Sequence[Solver], items: Sequence[GoldItem], sure: Lexicon | None, reporter: Reporter
) -> list[Result]:
    """All answers, scored; of language models also how likely they find the right ones.

    The hybrid has a row where the training conversations teach words; it asks nobody, but combines what was said.
    """
    said: list[Answer] = []
    for solver in solvers:
        reporter.say(f"evaluate: {solver.name} answers {len(items)} gold items")
        answers = solver.answer(items)
        said += answers
        if sure and solver.name == SHIPPED:
            said += hybrid_answers(items, answers, sure)
    bits = {solver.name: answer_bits(solver, items) for solver in solvers if isinstance(solver, ModelSolver)}
    return score_answers(items, said, bits)


def _write_answers(path: Path, results: Sequence[Result], reporter: Reporter) -> None:
    """Writes all answers, and shows them to who follows the run."""
    write_results(path, results)
    reporter.attach(path)
    reporter.table("gold", table_rows(results, SHIPPED))
