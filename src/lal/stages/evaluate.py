"""Stage `evaluate`: the gold set through everything that can answer it, scored, tabled and told."""

from pathlib import Path
from typing import Any

from lal.evaluation.gold import load_gold
from lal.evaluation.report.page import write_report
from lal.evaluation.results import SHIPPED, table_rows, write_results
from lal.evaluation.scoreboard import check_headline, metrics
from lal.evaluation.scoring import score_answers
from lal.evaluation.solvers import Solver, chat_model, few_shot_model, learn_baselines
from lal.evaluation.table import render_table
from lal.gold_items import Answer
from lal.model.folder import load_model
from lal.params import Params
from lal.records import Conversation, read_records
from lal.reporting import Reporter


def evaluate(
    *,
    params: Params,
    gold: Path,
    conversations: Path,
    base: Path,
    instruct: Path,
    answers: Path,
    report: Path,
    reporter: Reporter,
) -> dict[str, Any]:
    """Answers, scores and reports the gold set.

    Args:
        params: All parameters.
        gold: Folder of gold items.
        conversations: Folder with train.jsonl, from which the lexicon and the examples come.
        base: Folder of the pretrained model.
        instruct: Folder of the fine-tuned model.
        answers: Where reports/gold.jsonl goes.
        report: Where reports/gold.html goes.
        reporter: Whom to tell.

    Returns:
        The metrics; see `lal.evaluation.scoreboard.metrics`.

    Raises:
        LalError: The gold set, the conversations, a model folder or `gold.headline` is not what it should be.
    """
    items = load_gold(gold)
    check_headline(params.gold.headline, items)
    training = read_records(conversations / "train.jsonl", Conversation)
    limit, batch = params.evaluate.max_new_tokens, params.evaluate.batch_size
    solvers: list[Solver] = [
        *learn_baselines(training),
        few_shot_model("base", load_model(base), training, params.evaluate.few_shot_examples, limit, batch),
        chat_model(SHIPPED, load_model(instruct), limit, batch),
    ]
    said: list[Answer] = []
    for solver in solvers:
        reporter.say(f"evaluate: {solver.name} answers {len(items)} gold items")
        said += solver.answer(items)
    results = score_answers(items, said)

    write_results(answers, results)
    write_report(report, results, params.gold.headline, SHIPPED)
    reporter.attach(report)
    reporter.table("gold", table_rows(results, SHIPPED))
    reporter.say(render_table(results, params.gold.headline, SHIPPED))
    return metrics(results, params.gold.headline, SHIPPED)
