"""Made-up words: what no vocabulary holds can only be copied letter by letter, so a model that meets it learns to."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from lal.records import Message

FEWEST_LETTERS = 4
"""Shorter words are the grammar's own: a sentence with another one in their place is none."""

_WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)*")


class MadeUpWords:
    """Makes words that sound like those of some texts, and puts them into conversations.

    A word is the beginning of one word and the end of another.

    Args:
        texts: Hold the words to make others from; without any, conversations stay as they are.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        found = {word.lower() for text in texts for word in _WORD.findall(text) if _can_go(word)}
        self._words: list[str] = sorted(found)

    def put_into(self, messages: Sequence[Message], draws: np.random.Generator) -> Sequence[Message]:
        """The conversation with a made-up word wherever one of its words stood, in question and answer alike.

        That word stands as often in the questions as in the answers; without such a word, nothing changes.
        """
        asked = Counter(word for message in messages if message.role != "assistant" for word in _words(message))
        said = Counter(word for message in messages if message.role == "assistant" for word in _words(message))
        copied = [word for word, count in asked.items() if _can_go(word) and said[word] == count]
        if not copied or not self._words:
            return messages
        word = copied[draws.integers(len(copied))]
        other = _in_capitals_of(word, self._make(draws))
        return [
            message.model_copy(
                update={"content": _WORD.sub(lambda at: other if at.group() == word else at.group(), message.content)}
            )
            for message in messages
        ]

    def _make(self, draws: np.random.Generator) -> str:
        """The beginning of one word and the end of another, two letters of each at least."""
        first, second = (self._words[int(place)] for place in draws.integers(len(self._words), size=2))
        head, tail = int(draws.integers(2, len(first))), int(draws.integers(2, len(second)))
        return first[:head] + second[-tail:]


def _words(message: Message) -> list[str]:
    return _WORD.findall(message.content)


def _in_capitals_of(word: str, other: str) -> str:
    if word.isupper():
        return other.upper()
    return other.capitalize() if word[0].isupper() else other


def _can_go(word: str) -> bool:
    return len(word) >= FEWEST_LETTERS and word.isalpha()
