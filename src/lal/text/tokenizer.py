"""Byte-level BPE: text becomes numbers, and back, without losing a byte.

The first 256 ids are the single bytes, so that every text can be written; then come the merges, learned from the
training split, and at the very end the control tokens. Text never becomes a control token, whatever it says: the
encoder does not know them, and `lal.text.chat` puts their ids in by hand.
"""

import codecs
import functools
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers
from numpy.typing import NDArray
from tokenizers import AddedToken, decoders, models, pre_tokenizers, trainers

from lal.errors import TokenizerError
from lal.files import write_json, write_text

END = "<|end|>"
CONTROL_TOKENS = (END, "<|system|>", "<|user|>", "<|assistant|>")
"""End of a document or message, and the start of each role's message; the last ids of the vocabulary, in this order."""

NUM_BYTES = 256

_BLOCK_IDS = 2**20
"""Ids counted at once: looking them up takes 16 bytes each, eight times what a token file does."""

_WORDS_KEPT = 2**17
"""Words whose bytes are remembered; Shakespeare has 44,496 in both spellings, spaces and capitals told apart."""


class Tokenizer:
    """Turns text into ids and ids into text.

    Args:
        serialized: The content of a tokenizer.json as `train` makes it.
        name: What errors call it.

    Raises:
        TokenizerError: It is not a byte-level BPE that ends with the control tokens.
    """

    def __init__(self, serialized: str, name: str = "tokenizer.json") -> None:
        self._serialized = serialized
        self._encoder = _encoder_without_control_tokens(serialized, name)
        self._id_of, size = self._encoder.get_vocab(), self._encoder.get_vocab_size()
        byte_of = {character: byte for byte, character in enumerate(_byte_characters())}
        pieces = [self._encoder.id_to_token(token_id) or "" for token_id in range(size)]
        if any(character not in byte_of for piece in pieces for character in piece):
            raise TokenizerError(f"{name}: not a byte-level vocabulary", "use a tokenizer made by `dvc repro`")
        self._pieces = [bytes(byte_of[character] for character in piece) for piece in pieces]
        self._pieces += [b""] * len(CONTROL_TOKENS)
        self._byte_ids = functools.lru_cache(_WORDS_KEPT)(self._find_byte_ids)
        self._lengths: NDArray[np.int64] = np.array([len(piece) for piece in self._pieces], dtype=np.int64)

    @classmethod
    def train(cls, texts: Iterable[str], vocabulary_size: int) -> "Tokenizer":
        """Learns the merges that shorten `texts` most.

        Args:
            texts: Only what the model may learn from: the training split.
            vocabulary_size: Bytes, merges and control tokens together; at least 260, which means no merges.

        Raises:
            TokenizerError: The texts are too few for so many entries.

        Source: Sennrich et al. 2016, "Neural Machine Translation of Rare Words with Subword Units",
            https://arxiv.org/abs/1508.07909; on bytes as in GPT-2.
        """
        assert vocabulary_size >= NUM_BYTES + len(CONTROL_TOKENS), vocabulary_size
        backend = tokenizers.Tokenizer(models.BPE())
        # Splits before words, numbers, punctuation and runs of white space, as GPT-2 does: no piece spans two words.
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        backend.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=vocabulary_size - len(CONTROL_TOKENS),
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        backend.train_from_iterator(texts, trainer)
        backend.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in CONTROL_TOKENS])
        filled = backend.get_vocab_size()
        if filled < vocabulary_size:
            raise TokenizerError(
                f"tokenizer.vocabulary_size is {vocabulary_size}, but the training texts fill only {filled} entries",
                f"set tokenizer.vocabulary_size to {filled} or less, or add text",
            )
        return cls(backend.to_str(pretty=True))

    @classmethod
    def load(cls, folder: Path) -> "Tokenizer":
        """Reads a folder's tokenizer.json.

        Raises:
            TokenizerError: The file is missing, damaged or of another kind.
        """
        path = folder / "tokenizer.json"
        try:
            return cls(path.read_bytes().decode("utf-8"), str(path))
        except OSError as error:
            raise TokenizerError(f"{path}: cannot be read: {error.strerror}", "run `dvc repro tokenizer`") from error
        except UnicodeDecodeError as error:
            raise TokenizerError(f"{path}: not UTF-8") from error

    def save(self, folder: Path, chat_template: str = "") -> None:
        """Writes tokenizer.json and tokenizer_config.json as transformers' AutoTokenizer reads them.

        Args:
            folder: Made if need be.
            chat_template: Jinja source, `lal.text.chat.TEMPLATE`; empty leaves it out.
        """
        settings: dict[str, Any] = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "eos_token": END,
            "pad_token": END,
            "clean_up_tokenization_spaces": False,
        }
        if chat_template:
            settings["chat_template"] = chat_template
        write_text(folder / "tokenizer.json", self._serialized)
        write_json(folder / "tokenizer_config.json", settings)

    @property
    def vocabulary_size(self) -> int:
        """Number of ids, control tokens included."""
        return len(self._pieces)

    @property
    def end_id(self) -> int:
        """Id that ends a document or a message; also used for padding."""
        return self.vocabulary_size - len(CONTROL_TOKENS)

    def role_id(self, role: str) -> int:
        """Id that starts a message of `system`, `user` or `assistant`."""
        return self.end_id + CONTROL_TOKENS.index(f"<|{role}|>")

    def encode(self, text: str) -> list[int]:
        """Ids of the text; never a control id. Raises: see `encode_batch`."""
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of each text, on all cores; never a control id.

        Raises:
            TokenizerError: A text holds half a surrogate pair, which no UTF-8 can say.
        """
        for text in texts:
            _refuse_surrogates(text)
        return [encoding.ids for encoding in self._encoder.encode_batch_fast(list(texts))]

    def words(self, text: str) -> list[tuple[int, ...]]:
        """What no merge reaches across, each as ids of single bytes: words with the space before them, punctuation.

        Raises: see `encode_batch`.
        """
        _refuse_surrogates(text)
        return [self._byte_ids(word) for word, _ in self._encoder.pre_tokenizer.pre_tokenize_str(text)]

    def _find_byte_ids(self, word: str) -> tuple[int, ...]:
        """The ids of the bytes whose characters these are."""
        return tuple(self._id_of[character] for character in word)

    def merges(self) -> list[tuple[int, int, int]]:
        """The merges in the order of learning: two ids that follow each other, and the one that takes their place."""
        learned, id_of = json.loads(self._serialized)["model"]["merges"], self._id_of
        return [(id_of[left], id_of[right], id_of[left + right]) for left, right in learned]

    def decode(self, ids: Iterable[int]) -> str:
        """Text of the ids; control ids give nothing, bytes that are no UTF-8 give U+FFFD."""
        return b"".join(map(self._pieces.__getitem__, ids)).decode("utf-8", errors="replace")

    def token_bytes(self, token_id: int) -> bytes:
        """The bytes an id stands for; none for a control id."""
        return self._pieces[token_id]

    def count_bytes(self, ids: Sequence[int] | NDArray[np.integer[Any]]) -> int:
        """Bytes of UTF-8 the ids stand for: the denominator of bits per byte."""
        flat = np.asarray(ids).reshape(-1)
        blocks = (flat[start : start + _BLOCK_IDS] for start in range(0, len(flat), _BLOCK_IDS))
        return sum(int(self._lengths[block].sum()) for block in blocks)


class StreamDecoder:
    """Turns ids that come one by one into text, never giving out half a character.

    Example:
        for token_id in stream: print(decoder.push(token_id), end="")
        print(decoder.finish())
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def push(self, token_id: int) -> str:
        """The text that has become certain with this id; empty while a character is incomplete."""
        return self._decoder.decode(self._tokenizer.token_bytes(token_id))

    def finish(self) -> str:
        """What remains at the end: U+FFFD for an incomplete character, usually nothing."""
        return self._decoder.decode(b"", final=True)


def _encoder_without_control_tokens(serialized: str, name: str) -> tokenizers.Tokenizer:
    """The library's tokenizer with its added tokens taken out.

    Its switch `encode_special_tokens` is lost on saving and loading; what is not there cannot be switched on.
    """
    try:
        tree = json.loads(serialized)
        added = [(token["id"], token["content"]) for token in tree["added_tokens"]]
        tree["added_tokens"] = []
        encoder = tokenizers.Tokenizer.from_str(json.dumps(tree))
    except Exception as error:  # The library raises bare Exception for anything it cannot read.
        raise TokenizerError(
            f"{name}: not a tokenizer: {error}", "restore the file or run `dvc repro tokenizer`"
        ) from error
    first = encoder.get_vocab_size()
    if added != [(first + place, token) for place, token in enumerate(CONTROL_TOKENS)]:
        raise TokenizerError(
            f"{name}: the vocabulary must end with {', '.join(CONTROL_TOKENS)}, got {[token for _, token in added]}",
            "use a tokenizer made by `dvc repro`",
        )
    return encoder


def _byte_characters() -> list[str]:
    """The printable character that stands for each byte in a byte-level vocabulary.

    Source: GPT-2's encoder.py: printable Latin-1 stands for itself, the other 68 bytes for U+0100 and following.
    """
    printable = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)}
    others = iter(range(NUM_BYTES, 2 * NUM_BYTES))
    return [chr(byte) if byte in printable else chr(next(others)) for byte in range(NUM_BYTES)]


def _refuse_surrogates(text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise TokenizerError(
            f"character {error.start} of {text[:40]!r} is half a surrogate pair (U+{ord(text[error.start]):04X})",
            "save the text as UTF-8",
        ) from error
