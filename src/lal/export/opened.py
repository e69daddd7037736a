"""What the stage `parity` asks of each format, opened by the program it is for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lal.errors import ExportError
from lal.evaluation.gold.folder import load_gold
from lal.evaluation.scores.results import SHIPPED, Result, of_solver, read_results
from lal.export.card import Measured
from lal.gold_items import GoldItem
from lal.text.chat import render_prompt
from lal.text.tokenizer import Tokenizer

NUM_LOGIT_PROMPTS = 64
"""Gold items whose next token's odds are compared."""

MEASURE_AGAIN = "run `dvc repro evaluate`"


@dataclass(frozen=True)
class Question:
    """A gold item as it is asked.

    Attributes:
        item: The item.
        ids: Its prompt.
        measured: The answer that was scored.
    """

    item: GoldItem
    ids: list[int]
    measured: Result


class Opened(Protocol):
    """A format in the hands of its runtime."""

    def next_log_probabilities(self, question: Question) -> Mapping[int, float]:
        """Natural logarithms of the odds of the token after the prompt, by id: all, or the likeliest."""

    def answers(self, questions: Sequence[Question], max_new_tokens: int) -> list[str]:
        """What it says to each, greedily."""


def read_measured(gold: Path, answers: Path) -> list[Measured]:
    """The gold items that the shipped model answered, each with the answer.

    Raises:
        DataError: A file is missing or damaged.
    """
    answered = {result.item_id: result for result in of_solver(read_results(answers), SHIPPED)}
    return [Measured(item, answered[item.id]) for item in load_gold(gold) if item.id in answered]


def questions_of(measured: Sequence[Measured], tokenizer: Tokenizer, context_length: int) -> list[Question]:
    """The items as prompts, but for those whose answer ran into the end of the context.

    There runtimes differ by a token: llama.cpp never writes the one behind the last place, Lal does.

    Raises:
        ExportError: None is left.
    """
    asked = [Question(each.item, render_prompt(each.item.messages, tokenizer), each.result) for each in measured]
    fitting = [
        each
        for each in asked
        if each.measured.finish_reason != "error" and len(each.ids) + each.measured.num_tokens < context_length
    ]
    if not fitting:
        raise ExportError(f"no answers of {SHIPPED!r} to gold items that fit the context", MEASURE_AGAIN)
    return fitting
