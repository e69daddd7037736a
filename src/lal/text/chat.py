"""The one chat template: a conversation as ids, with a mark on what the model must learn to say.

Each message is `<|role|>content<|end|>`, nothing between; a prompt ends with `<|assistant|>`. Messages are rendered
straight to ids, so that `<|end|>` typed by a user stays text. `TEMPLATE` says the same to other programs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from lal.records import Message
from lal.text.tokenizer import Tokenizer

TEMPLATE = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
"""The same in Jinja, for tokenizer_config.json."""


@dataclass(frozen=True)
class Rendered:
    """A conversation as ids.

    Attributes:
        ids: Control ids included.
        is_answer: For each id, whether the model must say it: the assistants' words and the <|end|> after them.
    """

    ids: list[int]
    is_answer: list[bool]

    def fits(self, context_length: int) -> bool:
        """Whether the model can read it all: the last id is only ever predicted."""
        return len(self.ids) - 1 <= context_length


def render(messages: Sequence[Message], tokenizer: Tokenizer) -> Rendered:
    """A whole conversation, to learn from."""
    return render_encoded(messages, tokenizer.encode_batch([message.content for message in messages]), tokenizer)


def render_encoded(messages: Sequence[Message], contents: Sequence[Sequence[int]], tokenizer: Tokenizer) -> Rendered:
    """A whole conversation whose contents are ids already, one sequence a message."""
    ids: list[int] = []
    is_answer: list[bool] = []
    for message, content in zip(messages, contents, strict=True):
        ids += [tokenizer.role_id(message.role), *content, tokenizer.end_id]
        is_answer += [False, *[message.role == "assistant"] * (len(content) + 1)]
    return Rendered(ids, is_answer)


def render_prompt(messages: Sequence[Message], tokenizer: Tokenizer) -> list[int]:
    """The conversation so far, ending where the assistant's answer begins."""
    return [*render(messages, tokenizer).ids, tokenizer.role_id("assistant")]
