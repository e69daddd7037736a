"""A model folder at work: load it, check it, let it write. Needs neither the trainer nor the data nor MLflow."""

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lal.errors import ModelError
from lal.evaluation.solvers.baselines import Lexicon
from lal.evaluation.solvers.hybrid import combine, read_sure_words, usable_line
from lal.export.manifest import NAME as MANIFEST
from lal.export.manifest import check_manifest
from lal.files import read_json
from lal.model.folder import LoadedModel, load_model
from lal.model.generate import generate_batch, next_token_logits, stream
from lal.model.sampling import Sampling, probabilities
from lal.model.transformer import count_parameters
from lal.records import MODERNISE_PREFIX, Message
from lal.text.chat import render_prompt
from lal.text.tokenizer import CONTROL_TOKENS, StreamDecoder

MAX_PIECE_CHARACTERS = 60
"""Longer lines are modernised in pieces: the training lines are verse, 39 characters on average and seldom over 60."""

LINES_AT_ONCE = 64


@dataclass(frozen=True)
class Settings:
    """How to write: which token to draw, and when to stop at the latest."""

    sampling: Sampling
    max_new_tokens: int


@dataclass(frozen=True)
class NextToken:
    """One possible next token with its probability (0 to 1)."""

    text: str
    probability: float


@dataclass(frozen=True)
class ModernisedLine:
    """A line in modern spelling.

    Attributes:
        text: The line.
        given_back: Whether the model had no usable answer to a part of it, which stands as it was; in a hybrid's line,
            as table and rules alone have it.
    """

    text: str
    given_back: bool


class Runtime:
    """A loaded model folder.

    Args:
        loaded: Model and tokenizer.
        folder: Where they are from; its generation_config.json holds the default settings. They are read here, once:
            another model may be written into the folder while this one is at work.

    Raises:
        ModelError: generation_config.json holds something else.
        DataError: It cannot be read.
    """

    def __init__(self, loaded: LoadedModel, folder: Path) -> None:
        self.model, self.tokenizer, self.folder = loaded.model, loaded.tokenizer, folder
        self._own = _read_settings(folder / "generation_config.json")

    @classmethod
    def load(cls, folder: Path) -> "Runtime":
        """Loads a model folder; a bundle with a manifest must be what the manifest says.

        Raises:
            ModelError: The folder is missing, incomplete, damaged or of another format.
        """
        if not folder.is_dir():
            raise ModelError(
                f"{folder}: no such model folder", "make it with `dvc repro`, or name another with --model"
            )
        if (folder / MANIFEST).is_file():
            check_manifest(folder)
        return cls(load_model(folder), folder)

    def describe(self) -> str:
        """One line: what is loaded."""
        context = self.model.config.context_length
        return f"{self.folder}: {count_parameters(self.model):,} parameters, context {context} tokens"

    def settings(
        self,
        temperature: float | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
        max_new_tokens: int | None = None,
    ) -> Settings:
        """The folder's own settings, with those that are given put in their place."""
        own = self._own.sampling
        sampling = Sampling(
            temperature=own.temperature if temperature is None else temperature,
            top_k=top_k,
            top_p=own.top_p if top_p is None else top_p,
        )
        return Settings(sampling, self._own.max_new_tokens if max_new_tokens is None else max_new_tokens)

    def chat(self, messages: Sequence[Message], settings: Settings, seed: int | None = None) -> Iterator[str]:
        """Yields the assistant's answer piece by piece.

        Raises:
            ModelError: The conversation is longer than the model's context.
        """
        return self._write(render_prompt(messages, self.tokenizer), settings, seed)

    def complete(self, text: str, settings: Settings, seed: int | None = None) -> Iterator[str]:
        """Yields the continuation of a text piece by piece.

        Of a long text only the end is seen: what leaves room for `max_new_tokens`, but at least half of the context.
        """
        context = self.model.config.context_length
        seen = max(context // 2, context + 1 - settings.max_new_tokens)
        ids = self.tokenizer.encode(text) or [self.tokenizer.end_id]  # The end of a document comes before every other.
        return self._write(ids[-seen:], settings, seed)

    def next_tokens(self, text: str, most: int = 10) -> list[NextToken]:
        """The likeliest next tokens after a text, likeliest first."""
        ids = (self.tokenizer.encode(text) or [self.tokenizer.end_id])[-self.model.config.context_length :]
        odds = probabilities(next_token_logits(self.model, ids), Sampling(temperature=1.0))
        values, places = odds.topk(min(most, len(odds)))
        return [
            NextToken(self._show(place), value) for place, value in zip(places.tolist(), values.tolist(), strict=True)
        ]

    def modernise(self, lines: Sequence[str], *, hybrid: bool = False) -> Iterator[ModernisedLine]:
        """Yields each line in modern spelling; blank lines, indents and the number of lines stay.

        Greedy, `LINES_AT_ONCE` lines side by side. What the model cannot work on is given back as it is: a piece
        without a letter, one longer than its context, one whose answer does not end or is no line.

        Args:
            lines: In old spelling.
            hybrid: Whether the words that training left no doubt about come from the folder's table; see
                `lal.evaluation.solvers.hybrid`.

        Raises:
            ModelError: The folder has no such table, or a damaged one.
        """
        sure = read_sure_words(self.folder) if hybrid else None
        for start in range(0, len(lines), LINES_AT_ONCE):
            yield from self._modernise(lines[start : start + LINES_AT_ONCE], sure)

    def _modernise(self, lines: Sequence[str], sure: Lexicon | None) -> Iterator[ModernisedLine]:
        pieces = [split_line(line.strip(), MAX_PIECE_CHARACTERS) for line in lines]
        prompts = {piece: self._modernise_prompt(piece) for parts in pieces for piece in parts if is_text(piece)}
        most = self.model.config.context_length
        fitting = {piece: prompt for piece, prompt in prompts.items() if len(prompt) <= most}
        answers = generate_batch(self.model, list(fitting.values()), most, self.tokenizer.end_id)
        said = {
            piece: usable_line(self.tokenizer.decode(answer.ids), answer.finish_reason)
            for piece, answer in zip(fitting, answers, strict=True)
        }
        for line, parts in zip(lines, pieces, strict=True):
            indent = line[: len(line) - len(line.lstrip())]
            given_back = any(is_text(piece) and said.get(piece) is None for piece in parts)
            written = [combine(piece, said.get(piece), sure) if sure else said.get(piece) or piece for piece in parts]
            yield ModernisedLine(indent + " ".join(written), given_back)

    def _modernise_prompt(self, piece: str) -> list[int]:
        return render_prompt([Message(role="user", content=MODERNISE_PREFIX + piece)], self.tokenizer)

    def _write(self, prompt: list[int], settings: Settings, seed: int | None) -> Iterator[str]:
        decoder = StreamDecoder(self.tokenizer)
        seed = secrets.randbits(32) if seed is None else seed
        for token_id in stream(
            self.model, prompt, settings.sampling, settings.max_new_tokens, self.tokenizer.end_id, seed
        ):
            yield decoder.push(token_id)
        yield decoder.finish()

    def _show(self, token_id: int) -> str:
        """A token as text; control tokens by their names."""
        piece = self.tokenizer.token_bytes(token_id)
        if not piece:
            return CONTROL_TOKENS[token_id - self.tokenizer.end_id]
        return piece.decode("utf-8", errors="backslashreplace")


def _read_settings(path: Path) -> Settings:
    own = read_json(path)
    try:
        temperature = float(own.get("temperature", 1.0)) if own.get("do_sample") else 0.0
        top_p = float(own.get("top_p", 1.0))
        limit = int(own.get("max_new_tokens", 128))
    except (AttributeError, TypeError, ValueError) as error:
        raise ModelError(f"{path}: not generation settings: {error}", "export the model again") from error
    if limit < 1:
        raise ModelError(f"{path}: max_new_tokens must be at least 1, got {limit}", "export the model again")
    return Settings(Sampling(temperature=temperature, top_p=top_p), limit)


def is_text(piece: str) -> bool:
    """Whether there is a letter in it; numbers and rules between scenes are nobody's spelling."""
    return any(character.isalpha() for character in piece)


def split_line(line: str, most: int) -> list[str]:
    """A line as it is, or cut at spaces into pieces of at most `most` characters; a longer word stays whole.

    Example:
        >>> split_line("to be or not to be", 9)
        ['to be or', 'not to be']
        >>> split_line("", 9)
        []
    """
    if len(line) <= most:
        return [line] if line else []
    pieces: list[str] = []
    for word in line.split():
        if pieces and len(pieces[-1]) + 1 + len(word) <= most:
            pieces[-1] += f" {word}"
        else:
            pieces.append(word)
    return pieces
