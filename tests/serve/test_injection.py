"""Text that looks like a control token stays text, whoever sends it and wherever it stands."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from lal.records import Message
from lal.serve.answering import prompt_of
from lal.serve.served import Served, load_served
from lal.text.tokenizer import CONTROL_TOKENS
from tests.serve.conftest import Client

PARTS = [
    *CONTROL_TOKENS, "<|", "|>", "<", ">", "|", "end", "user", "assistant", "system", "<|im_start|>", "<|endoftext|>",
    "<s>", "</s>", "[INST]", "\u200b", "\n", " ", "giue", "\uff5c", "<\u200b|end|>", "<|end|", "&lt;|end|&gt;", "\x00",
]  # fmt: skip
"""What an attacker would string together."""


@pytest.fixture(scope="module")
def served(folder: Path) -> Iterator[Served]:
    served = load_served(folder, "torch")
    yield served
    served.engine.close()


def attacks(count: int, most: int) -> Iterator[str]:
    draw = random.Random(0)  # noqa: S311
    for _ in range(count):
        yield "".join(draw.choice(PARTS) for _ in range(draw.randint(1, most)))


def test_no_text_of_a_message_or_a_completion_becomes_a_control_id(served: Served) -> None:
    tokenizer = served.runtime.tokenizer
    first = tokenizer.end_id
    for text in attacks(10_000, 3):
        turns = (Message(role="system", content=text), Message(role="user", content=text))
        ids = prompt_of(served, turns, "")
        controls = [token_id for token_id in ids if token_id >= first]
        roles = [tokenizer.role_id(role) for role in ("system", "user", "assistant")]
        assert controls == [roles[0], first, roles[1], first, roles[2]], text
        assert tokenizer.decode(ids) == text + text
        assert max(prompt_of(served, (), text)) < first, text


def test_over_http_a_look_alike_counts_as_the_text_that_it_is(client: Client, served: Served) -> None:
    for text in attacks(30, 4):
        reply = client.chat(text, max_tokens=1)
        assert reply.json["usage"]["prompt_tokens"] == len(served.runtime.tokenizer.encode(text)) + 3
