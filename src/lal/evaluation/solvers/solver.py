"""Solvers: whatever answers gold items, behind one method. Baselines without a model, the base model, the chat model.

A solver answers the items it applies to and passes over the rest: a table of spellings has no opinion on who Lal is,
and no answer is not a wrong one. Models decode greedily.
"""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from lal.evaluation.solvers.baselines import RULES, Lexicon, apply_rules, copy
from lal.evaluation.solvers.nearest import Nearest
from lal.gold_items import Answer, GoldItem
from lal.model.folder import LoadedModel
from lal.model.generate import Generated, generate_batch
from lal.model.transformer import count_parameters
from lal.records import Conversation, line_to_modernise
from lal.text.chat import render_prompt

FEW_SHOT_SEED = 1623

QUESTION, ANSWER = "Question:\n", "Answer:\n"
"""What stands before either, a line by itself as a play has its speakers; see `few_shot_text`."""


class Solver(Protocol):
    """Something that answers gold items."""

    @property
    def name(self) -> str:
        """What reports call it."""

    def answer(self, items: Sequence[GoldItem]) -> list[Answer]:
        """One answer for each item it applies to, in their order."""


@dataclass(frozen=True)
class Baseline:
    """A function from an old line to a modern one; applies to the items that ask for that.

    Attributes:
        name: What reports call it.
        modernise: The function.
        size: Rules and entries it consists of.
    """

    name: str
    modernise: Callable[[str], str]
    size: int = 0

    def answer(self, items: Sequence[GoldItem]) -> list[Answer]:
        """See `Solver`."""
        lines = [(item, line) for item in items if (line := line_to_modernise(item.prompt)) is not None]
        return [_looked_up(self.name, item, self.modernise, line) for item, line in lines]


@dataclass(frozen=True)
class NearestAnswer:
    """What the training conversation with the nearest question was answered; applies to every item.

    Attributes:
        name: What reports call it.
        nearest: The index.
    """

    name: str
    nearest: Nearest

    @property
    def size(self) -> int:
        """Conversations it looks among."""
        return self.nearest.num_rows

    def answer(self, items: Sequence[GoldItem]) -> list[Answer]:
        """See `Solver`; finding nothing is an answer, the empty one."""
        return [_looked_up(self.name, item, self.nearest.answer_to, item.prompt) for item in items]


def learn_baselines(training: Sequence[Conversation]) -> list[Baseline]:
    """Copy, rules, and the lexicon of the training pairs without and with the rules for words it never saw."""
    lexicon = Lexicon.learn((_task(row.prompt), row.answer) for row in training if _is_line(row.prompt))
    return [
        Baseline("copy", copy),
        Baseline("rules", apply_rules, len(RULES)),
        Baseline("lexicon", lexicon.modernise, lexicon.size),
        Baseline("lexicon+rules", lambda line: lexicon.modernise(line, unseen=apply_rules), lexicon.size + len(RULES)),
    ]


@dataclass(frozen=True)
class ModelSolver:
    """A language model, asked in one way or another.

    Attributes:
        name: What reports call it.
        loaded: Network and tokenizer.
        ask: An item as prompt ids.
        end_id: The id that ends an answer.
        max_new_tokens: Longest answer, in tokens.
        batch_size: Most questions side by side.
    """

    name: str
    loaded: LoadedModel
    ask: Callable[[GoldItem], list[int]]
    end_id: int
    max_new_tokens: int
    batch_size: int

    @property
    def size(self) -> int:
        """Parameters."""
        return count_parameters(self.loaded.model)

    def answer(self, items: Sequence[GoldItem]) -> list[Answer]:
        """See `Solver`; a question longer than the context gets an answer that says `error`, and the rest go on."""
        prompts = {item.id: self.ask(item) for item in items}
        most = self.loaded.model.config.context_length
        fitting = [item for item in items if len(prompts[item.id]) <= most]
        start = time.perf_counter()
        generated = generate_batch(
            self.loaded.model, [prompts[item.id] for item in fitting], self.max_new_tokens, self.end_id, self.batch_size
        )
        seconds = (time.perf_counter() - start) / max(1, len(fitting))
        said = {item.id: one for item, one in zip(fitting, generated, strict=True)}
        return [self._answer(item, said.get(item.id), seconds) for item in items]

    def _answer(self, item: GoldItem, said: Generated | None, seconds: float) -> Answer:
        if said is None:
            return Answer(item_id=item.id, solver=self.name, text="", finish_reason="error", num_tokens=0, seconds=0.0)
        # Base models end a document and begin the next; what comes after the end answers nothing.
        end = self.loaded.tokenizer.end_id
        ids = said.ids[: said.ids.index(end)] if end in said.ids else said.ids
        return Answer(
            item_id=item.id,
            solver=self.name,
            text=self.loaded.tokenizer.decode(ids),
            finish_reason="stop" if len(ids) < len(said.ids) else said.finish_reason,
            num_tokens=len(ids),
            seconds=seconds,
        )


def chat_model(name: str, loaded: LoadedModel, max_new_tokens: int, batch_size: int) -> ModelSolver:
    """A fine-tuned model, asked through the chat template."""
    tokenizer = loaded.tokenizer
    return ModelSolver(
        name, loaded, lambda item: render_prompt(item.messages, tokenizer), tokenizer.end_id, max_new_tokens, batch_size
    )


def few_shot_model(
    name: str,
    loaded: LoadedModel,
    training: Sequence[Conversation],
    num_examples: int,
    max_new_tokens: int,
    batch_size: int,
) -> ModelSolver:
    """A base model, shown solved examples and left to go on: what pretraining alone is worth.

    A base model only continues text, so the task is text, see `few_shot_text`. Its answer ends with its line. Lines to
    modernise are preceded by other such lines, other questions by the other conversations; as many examples as leave
    room for an answer.
    """
    tokenizer = loaded.tokenizer
    most = loaded.model.config.context_length - max_new_tokens
    lines = draw_examples([row for row in training if _is_line(row.prompt)], num_examples)
    others = draw_examples([row for row in training if not _is_line(row.prompt)], num_examples)

    def ask(item: GoldItem) -> list[int]:
        examples = lines if _is_line(item.prompt) else others
        texts = [few_shot_text(item.prompt, examples[:count]) for count in range(len(examples), -1, -1)]
        encoded = [tokenizer.encode(text) for text in texts]
        return next((ids for ids in encoded if len(ids) <= most), encoded[-1])

    (newline,) = tokenizer.encode("\n")
    return ModelSolver(name, loaded, ask, newline, max_new_tokens, batch_size)


def sizes_of(solvers: Sequence[Solver]) -> dict[str, int]:
    """Parameters, entries or rules of each solver that says how many it has."""
    return {each.name: each.size for each in solvers if isinstance(each, Baseline | NearestAnswer | ModelSolver)}


def draw_examples(rows: Sequence[Conversation], count: int) -> list[Conversation]:
    """Solved examples of one line that show a change, out of the shorter half so that they fit; always the same."""
    usable = [row for row in rows if "\n" not in row.prompt + row.answer and _task(row.prompt) != row.answer]
    usable.sort(key=lambda row: len(row.prompt) + len(row.answer))
    shorter = usable[: max(count, len(usable) // 2)]
    return random.Random(FEW_SHOT_SEED).sample(shorter, min(count, len(shorter)))  # noqa: S311 - a draw, not a secret


def few_shot_text(question: str, examples: Sequence[Conversation]) -> str:
    """Examples and question as text to continue, in marks that a corpus has: it never learned what `->` might mean.

    On 200 validation lines, none exact in any: word accuracy 0.052, speakers' names 0.045, `->` 0.033, no marks 0.035.
    """
    solved = "".join(f"{QUESTION}{_task(row.prompt)}\n{ANSWER}{row.answer}\n\n" for row in examples)
    return f"{solved}{QUESTION}{_task(question)}\n{ANSWER}"


def _looked_up(solver: str, item: GoldItem, find: Callable[[str], str], question: str) -> Answer:
    """The answer of a solver that generates nothing."""
    start = time.perf_counter()
    text = find(question)
    seconds = time.perf_counter() - start
    return Answer(item_id=item.id, solver=solver, text=text, finish_reason="stop", num_tokens=0, seconds=seconds)


def _is_line(prompt: str) -> bool:
    return line_to_modernise(prompt) is not None


def _task(prompt: str) -> str:
    """The question without the words that only the chat model was taught."""
    return line_to_modernise(prompt) or prompt
