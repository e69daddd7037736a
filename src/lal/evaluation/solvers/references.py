"""Models of somebody else's beside yours: a local GGUF file, or an endpoint that speaks OpenAI's protocol.

They are general, prompted, not fine-tuned: each question comes with the training conversations nearest to it, solved.
Which form the prompt has was chosen on lines of the development plays, docs/decisions/0011-references.md. Nothing is
contacted or loaded but what params.yaml names.
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lal.errors import ModelError, ParamsError
from lal.evaluation.solvers.endpoint import Endpoint
from lal.evaluation.solvers.gguf import AskError, GgufModel, Said
from lal.evaluation.solvers.nearest import Nearest
from lal.gold_items import Answer, GoldItem
from lal.records import MODERNISE_PREFIX, Conversation, line_to_modernise
from lal.sections import Reference

TASK = (
    "You modernise the spelling of lines from the First Folio of 1623. Change only the spelling; keep every word, the "
    "punctuation and the capitals. Answer with the modernised line alone."
)
HEADING = "Lines of the First Folio of 1623 and the same lines in modern spelling.\n\n"
OLD, NEW = "1623:", "Modern spelling:"

MOST_FAILURES = 3
"""Questions in a row without an answer after which a reference is given up: what is wrong is not the question."""


class Asked(Protocol):
    """A model that answers conversations."""

    def chat(self, messages: Sequence[Mapping[str, str]]) -> Said:
        """One answer. Raises: AskError: this question has none. ModelError: no question will have one."""


@dataclass(frozen=True)
class ReferenceSolver:
    """A model of somebody else's as a solver.

    Attributes:
        name: What reports call it.
        start: Loads the model; called when there is something to answer.
        nearest: Where the examples come from.
        num_examples: Solved examples before each question.
        as_text: Whether lines to modernise are asked as a text to continue; everything else is asked as a chat.
    """

    name: str
    start: Callable[[], Asked]
    nearest: Nearest
    num_examples: int
    as_text: bool

    def answer(self, items: Sequence[GoldItem]) -> list[Answer]:
        """See `Solver`; one question at a time, and a question that got no answer is an error of that item alone.

        Raises:
            ModelError: The model cannot be loaded or reached, or `MOST_FAILURES` questions in a row got no answer.
        """
        if not items:
            return []
        model = self.start()
        answers: list[Answer] = []
        num_failed = 0
        for item in items:
            start = time.perf_counter()
            said: Said | None = None
            try:
                said = self._ask(model, item)
            except AskError as error:
                num_failed += 1
                if num_failed == MOST_FAILURES:
                    raise ModelError(
                        f"{self.name}: {num_failed} questions in a row got no answer; the last: {error}",
                        "see that the model answers, or take it out of evaluate.references",
                    ) from error
            else:
                num_failed = 0
            answers.append(self._as_answer(item, said, time.perf_counter() - start))
        return answers

    def _ask(self, model: Asked, item: GoldItem) -> Said:
        examples = nearest_examples(self.nearest, item.prompt, self.num_examples)
        line = line_to_modernise(item.prompt)
        if line is not None and self.as_text:
            assert isinstance(model, GgufModel)
            return model.go_on(text_prompt(line, examples))
        return model.chat(chat_prompt(item, examples))

    def _as_answer(self, item: GoldItem, said: Said | None, seconds: float) -> Answer:
        text = "" if said is None else said.text.strip()
        if line_to_modernise(item.prompt) is not None:
            text = text.split("\n")[0].strip()  # A line was asked for; what follows it is talk.
        return Answer(
            item_id=item.id,
            solver=self.name,
            text=text,
            finish_reason="error" if said is None else said.finish_reason,
            num_tokens=0 if said is None else said.num_tokens,
            seconds=seconds,
        )


def build_references(
    references: Sequence[Reference], nearest: Nearest, max_new_tokens: int, taken: Sequence[str], num_threads: int = 0
) -> list[ReferenceSolver]:
    """The solvers that params.yaml names; none is loaded or contacted before it is asked.

    Args:
        references: `evaluate.references`.
        nearest: The training conversations.
        max_new_tokens: Longest answer, in tokens.
        taken: Names of the other solvers.
        num_threads: Processor threads of GGUF models; 0 for as many as there are processors.

    Raises:
        ParamsError: A name is that of another solver, or an endpoint's key is not in the environment.
    """
    for reference in references:
        if reference.name in taken:
            raise ParamsError(
                f"params.yaml: evaluate.references: {reference.name!r} is the name of a solver of Lal's own",
                "rename it",
            )
    return [
        ReferenceSolver(
            name=reference.name,
            start=_starter(reference, max_new_tokens, num_threads),
            nearest=nearest,
            num_examples=reference.examples,
            as_text=reference.prompt == "text",
        )
        for reference in references
    ]


def nearest_examples(nearest: Nearest, prompt: str, count: int) -> list[Conversation]:
    """The nearest training conversations, nearest first, none with the question of another."""
    found: dict[str, Conversation] = {}
    for row, _ in nearest.best(prompt, 2 * count):
        found.setdefault(row.prompt, row)
    return list(found.values())[:count]


def text_prompt(line: str, examples: Sequence[Conversation]) -> str:
    """A text whose next line is the answer.

    Example:
        >>> text_prompt("Haue you?", []).splitlines()[2:]
        ['1623: Haue you?', 'Modern spelling:']
    """
    solved = "".join(f"{OLD} {row.prompt.removeprefix(MODERNISE_PREFIX)}\n{NEW} {row.answer}\n\n" for row in examples)
    return f"{HEADING}{solved}{OLD} {line}\n{NEW}"


def chat_prompt(item: GoldItem, examples: Sequence[Conversation]) -> list[dict[str, str]]:
    """The question as a conversation: what is wanted, the examples as earlier turns, the item's own turns."""
    own = [{"role": message.role, "content": message.content} for message in item.messages]
    system = [own.pop(0)] if own[0]["role"] == "system" else []
    if not system and line_to_modernise(item.prompt) is not None:
        system = [{"role": "system", "content": TASK}]
    earlier = [
        {"role": role, "content": content}
        for row in examples
        for role, content in (("user", row.prompt), ("assistant", row.answer))
    ]
    return [*system, *earlier, *own]


def _starter(reference: Reference, max_new_tokens: int, num_threads: int) -> Callable[[], Asked]:
    if reference.gguf is not None:
        path = Path(reference.gguf)
        return lambda: GgufModel(path, max_new_tokens, num_threads)
    assert reference.endpoint is not None
    assert reference.model is not None
    endpoint = Endpoint(reference.endpoint, reference.model, max_new_tokens, _key(reference))
    return lambda: endpoint


def _key(reference: Reference) -> str | None:
    if reference.api_key_variable is None:
        return None
    key = os.environ.get(reference.api_key_variable, "").strip()
    if not key:
        raise ParamsError(
            f"params.yaml: evaluate.references: {reference.name}: the environment variable "
            f"{reference.api_key_variable} is not set",
            f"run `export {reference.api_key_variable}=...` first",
        )
    return key
