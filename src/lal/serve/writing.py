"""From tokens to text for a client: never half a character, and nothing of a stop string."""

import codecs
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Candidate:
    """A token that might have been said, with the model's own log-probability (nats)."""

    token_id: int
    log_probability: float


@dataclass(frozen=True)
class Token:
    """A token that was said.

    Attributes:
        token_id: Its id.
        data: Its bytes; none for a control token.
        log_probability: By the model's own odds, whatever it was drawn with; nats.
        candidates: The likeliest tokens at its place, likeliest first; empty if nobody asked.
    """

    token_id: int
    data: bytes
    log_probability: float
    candidates: tuple[Candidate, ...] = ()


@dataclass(frozen=True)
class Passage:
    """Text that has become certain, and the tokens that it is made of."""

    text: str
    tokens: tuple[Token, ...]


class Writer:
    r"""Turns tokens that come one by one into text; holds back what may turn out to be the beginning of a stop string.

    Args:
        stops: Strings that end the answer: it ends before the one that is complete first, and of two that are so
            with the same character, before the longer.

    Attributes:
        stopped: Whether one of them has come.

    Example:
        >>> writer = Writer(["\n"])
        >>> writer.push(Token(7, b"to be", -0.1)).text, writer.push(Token(9, b" or\nnot", -0.1)).text, writer.stopped
        ('to be', ' or', True)
    """

    def __init__(self, stops: Sequence[str] = ()) -> None:
        self.stopped = False
        self._stops = tuple(stops)
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._held = ""
        self._released = 0
        self._pending: list[tuple[Token, int, int]] = []
        """Tokens whose text is held back, with the first and the last character of the answer that depend on them."""

    def push(self, token: Token) -> Passage:
        """What has become certain with a token; often its own text, sometimes nothing."""
        start = self._released + len(self._held)
        self._held += self._decoder.decode(token.data)
        self._pending.append((token, start, self._released + len(self._held)))
        return self._release()

    def finish(self) -> Passage:
        """What remains when no more tokens come; U+FFFD for half a character."""
        self._held += self._decoder.decode(b"", final=True)
        passage = self._release()
        text, tokens = passage.text + self._held, [*passage.tokens, *(token for token, _, _ in self._pending)]
        self._held, self._pending = "", []
        return Passage(text, tuple(tokens))

    def _release(self) -> Passage:
        if self.stopped:
            return Passage("", ())
        found = [(place + len(stop), place) for stop in self._stops if (place := self._held.find(stop)) >= 0]
        if found:
            self.stopped = True
            _, place = min(found)  # The one that is complete first, in whichever pieces the text comes.
            end = self._released + place
            tokens = tuple(token for token, start, _ in self._pending if start < end)
            text, self._held, self._pending = self._held[:place], "", []
            return Passage(text, tokens)
        certain = len(self._held) - self._beginning_of_a_stop()
        text, self._held = self._held[:certain], self._held[certain:]
        self._released += certain
        tokens = tuple(token for token, _, end in self._pending if end <= self._released)
        self._pending = self._pending[len(tokens) :]
        return Passage(text, tokens)

    def _beginning_of_a_stop(self) -> int:
        """Characters at the end of what is held that some stop string begins with."""
        longest = max((len(stop) for stop in self._stops), default=1) - 1
        for count in range(min(longest, len(self._held)), 0, -1):
            tail = self._held[-count:]
            if any(stop.startswith(tail) for stop in self._stops):
                return count
        return 0
