"""Does a format say what was measured: the same odds, the same answers, the same ids, the same prompts?"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tokenizers
from jinja2.sandbox import ImmutableSandboxedEnvironment

from lal.evaluation.scores.scorers import score
from lal.export.forward import largest_difference
from lal.export.llama_cpp import LlamaCpp
from lal.export.opened import Opened, Question
from lal.export.served import Served
from lal.export.strings import CONVERSATIONS, TEXTS
from lal.files import read_json
from lal.gold_items import Answer
from lal.records import Message
from lal.text.chat import TEMPLATE, render_prompt
from lal.text.tokenizer import CONTROL_TOKENS, Tokenizer

Odds = Mapping[int, float]


@dataclass(frozen=True)
class Flip:
    """A gold item that a format answers in other words than were measured.

    Attributes:
        question: The item, with the measured answer.
        text: The other answer.
        was_right: What the scorer says of the measured one; None if it was not scored.
        is_right: Of the other one.
    """

    question: Question
    text: str
    was_right: bool | None
    is_right: bool | None


@dataclass(frozen=True)
class Agreement:
    """What one format was found to do.

    Attributes:
        name: The format's, or `http`.
        difference: Largest difference of a log-probability of the next token after any of the fixed prompts.
        num_items: Gold items asked.
        flips: Those answered in other words.
        mismatches: Texts it reads otherwise, prompts it makes otherwise, in words; None where it takes ids alone.
    """

    name: str
    difference: float
    num_items: int
    flips: Sequence[Flip]
    mismatches: Sequence[str] | None = None

    @property
    def flipped_share(self) -> float:
        """Share of the items that is answered in other words."""
        return len(self.flips) / self.num_items

    def count(self, was_right: bool, is_right: bool) -> int:
        """Flips from right or wrong to right or wrong."""
        return sum(flip.was_right is was_right and flip.is_right is is_right for flip in self.flips)


def agreement(
    name: str,
    opened: Opened,
    odds: Sequence[Odds],
    questions: Sequence[Question],
    max_new_tokens: int,
    mismatches: Sequence[str] | None = None,
) -> Agreement:
    """Asks a format the fixed prompts and all gold items.

    Args:
        name: Of the format.
        opened: The format in its runtime.
        odds: What the measured checkpoint gives for the first questions.
        questions: The gold items.
        max_new_tokens: Longest answer, in tokens: the longest that was measured.
        mismatches: What `file_mismatches`, `gguf_mismatches` or `http_mismatches` found.
    """
    differences = [
        _difference(ours, opened.next_log_probabilities(question))
        for ours, question in zip(odds, questions, strict=False)
    ]
    texts = opened.answers(questions, max_new_tokens)
    flips = [
        Flip(question, text, question.measured.passed, _is_right(question, text))
        for question, text in zip(questions, texts, strict=True)
        if text != question.measured.text
    ]
    return Agreement(name, max(differences), len(questions), flips, mismatches)


def _difference(ours: Odds, theirs: Odds) -> float:
    """As `largest_difference`; an answer that ends at once, as ours does, may have no odds to tell."""
    ends_at_once = not theirs and max(ours, key=ours.__getitem__) >= len(ours) - len(CONTROL_TOKENS)
    return 0.0 if ends_at_once else largest_difference(ours, theirs)


def _is_right(question: Question, text: str) -> bool | None:
    answer = Answer(
        item_id=question.item.id, solver="parity", text=text, finish_reason="stop", num_tokens=0, seconds=0.0
    )
    value = {each.scorer: each.value for each in score(question.item, answer)}[question.item.scorer]
    return None if value is None else value == 1.0


def file_mismatches(bundle: Path, tokenizer: Tokenizer) -> list[str]:
    """What tokenizer.json and tokenizer_config.json, in the hands of others, make otherwise than Lal.

    The library reads control tokens typed as text unless it is told not to; here it is told, so that all else shows.
    """
    library = tokenizers.Tokenizer.from_file(str(bundle / "tokenizer.json"))
    library.encode_special_tokens = True
    template = read_json(bundle / "tokenizer_config.json").get("chat_template")
    return [
        *_texts_read_otherwise(lambda text: library.encode(text, add_special_tokens=False).ids, tokenizer),
        *_template_mismatches(template, lambda messages: _render(str(template), messages), tokenizer),
    ]


def gguf_mismatches(model: LlamaCpp, tokenizer: Tokenizer) -> list[str]:
    """What the tokenizer and the template inside a GGUF file, in llama.cpp's hands, make otherwise than Lal."""
    return [
        *_texts_read_otherwise(model.tokenize, tokenizer),
        *_template_mismatches(model.chat_template, model.render, tokenizer),
    ]


def http_mismatches(server: Served, tokenizer: Tokenizer, context_length: int) -> list[str]:
    """Conversations of which the server makes another number of tokens than Lal.

    Texts that Lal would not take as a message, or that do not fit the context, are left out.
    """
    asked = [(Message(role="user", content=text),) for text in TEXTS]
    problems = []
    for messages in [*asked, *CONVERSATIONS]:
        wanted = len(render_prompt(messages, tokenizer))
        if wanted <= context_length and (got := server.num_prompt_tokens(messages)) != wanted:
            problems.append(f"{_shown(messages[-1].content)} becomes a prompt of {got} tokens, not {wanted}")
    return problems


def _texts_read_otherwise(encode: Callable[[str], list[int]], tokenizer: Tokenizer) -> list[str]:
    return [f"{_shown(text)} becomes other ids" for text in TEXTS if encode(text) != tokenizer.encode(text)]


def _template_mismatches(template: Any, render: Callable[[Sequence[Message]], str], tokenizer: Tokenizer) -> list[str]:
    if template != TEMPLATE:
        return ["the chat template is not Lal's"]
    return [
        f"the prompt that ends with {_shown(messages[-1].content)} is made otherwise"
        for messages in CONVERSATIONS
        if render(messages) != _spelled_out(render_prompt(messages, tokenizer), tokenizer)
    ]


def _spelled_out(ids: Sequence[int], tokenizer: Tokenizer) -> str:
    """The text of the ids, with control tokens by their names."""
    pieces = [tokenizer.token_bytes(i) or CONTROL_TOKENS[i - tokenizer.end_id].encode() for i in ids]
    return b"".join(pieces).decode()


def _render(template: str, messages: Sequence[Message]) -> str:
    """As transformers renders a template: sandboxed, and with the blanks around blocks taken out."""
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    turns = [{"role": each.role, "content": each.content} for each in messages]
    return environment.from_string(template).render(messages=turns, add_generation_prompt=True)


def _shown(text: str) -> str:
    return json.dumps(text[:40])


def problems_of(found: Agreement, tolerance: float, flipped: float) -> list[str]:
    """What is wrong with a format, by number and limit; empty if nothing is.

    Args:
        found: The format.
        tolerance: `parity.tolerances`.
        flipped: `parity.flipped`.
    """
    problems = [f"{found.name}: {mismatch}" for mismatch in found.mismatches or ()]
    if not found.difference <= tolerance:  # also refuses NaN
        told = f"are off by up to {found.difference:.3g}, parity.tolerances allows {tolerance:g}"
        if not math.isfinite(found.difference):
            told = "cannot be compared: no token in common, or none that is a number"
        problems.append(f"{found.name}: log-probabilities of the next token {told}")
    if found.flipped_share > flipped:
        shown = ", ".join(
            f"{flip.question.item.id} ({_shown(flip.question.measured.text)} became {_shown(flip.text)})"
            for flip in found.flips[:3]
        )
        problems.append(
            f"{found.name}: {len(found.flips)} of {found.num_items} gold items are answered in other words "
            f"({found.flipped_share:.3g}, parity.flipped allows {flipped:g}): {shown}"
        )
    return problems
