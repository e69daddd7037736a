"""Every solver on all aligned lines of the three gold plays: thousands of silver lines beside the gold ones.

    python -m bench.held_out_lines

Prints exact lines, of all and of those that must stay as they are, word accuracy and accuracy on the words that had to
change, with 95 % intervals. The expected lines are made by program (see data/README.md): about 4 % of the changed ones
are wrong or debatable, so nothing reaches 1.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from lal.evaluation.scores.results import Result, of_solver, solvers
from lal.evaluation.scores.scoreboard import graded
from lal.evaluation.scores.scoring import score_answers
from lal.evaluation.solvers.hybrid import hybrid_answers, learn_sure_words
from lal.evaluation.solvers.solver import chat_model, learn_baselines
from lal.evaluation.statistics.intervals import Estimate, proportion
from lal.gold_items import GoldItem
from lal.model.folder import load_model
from lal.records import Conversation, line_to_modernise, read_records

CONVERSATIONS = Path("data/conversations")
INSTRUCT = Path("models/instruct")
MAX_NEW_TOKENS = 128
BATCH_SIZE = 256


def as_gold(row: Conversation) -> GoldItem:
    """A silver line as an item of one slice; its play is its cluster."""
    return GoldItem(
        id=row.id,
        slice="silver",
        messages=row.messages[:-1],
        scorer="exact",
        expected=row.answer,
        difficulty="medium",
        source=row.id.rpartition("-")[0],
        split="dev",
        version=1,
    )


def render(results: Sequence[Result]) -> str:
    """A row a solver, each share with its 95 % interval."""
    heads = ("exact line", "line that must stay", "word accuracy", "words that had to change")
    lines = [f"{'':<14} " + " ".join(f"{head:<24}" for head in heads).rstrip()]
    for solver in solvers(results):
        own = of_solver(results, solver)
        exact = proportion([result.scores["exact"] for result in own])
        stays = [result.scores["exact"] for result in own if line_to_modernise(result.prompt) == result.expected]
        shares = [exact, proportion(stays), graded(own, "word_accuracy")["all"], graded(own, "changed_words")["all"]]
        lines.append(f"{solver:<14} " + " ".join(f"{_cell(share):<24}" for share in shares).rstrip())
    return "\n".join(lines)


def _cell(share: Estimate) -> str:
    return "-" if share.value is None else f"{share.value:.4f} [{share.low:.4f}, {share.high:.4f}]"


def main() -> None:
    """Answers, scores and prints."""
    training = read_records(CONVERSATIONS / "train.jsonl", Conversation)
    items = [as_gold(row) for row in read_records(CONVERSATIONS / "test.jsonl", Conversation)]
    model = chat_model("lal", load_model(INSTRUCT), MAX_NEW_TOKENS, BATCH_SIZE)
    said = [answer for solver in learn_baselines(training) for answer in solver.answer(items)]
    own = model.answer(items)
    sure = learn_sure_words(training)
    said += [*own, *(hybrid_answers(items, own, sure) if sure else [])]
    results = score_answers(items, said)
    sys.stdout.write(f"{len(items):,} lines\n{render(results)}\n")


if __name__ == "__main__":
    main()
