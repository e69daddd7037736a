"""Stage `tokenizer`: learn the vocabulary from the training split, and turn the corpus into numbers."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from lal.files import sha256, size_bytes, write_json, write_text, writing
from lal.params import Params
from lal.records import Conversation, Document, stream_records
from lal.reporting import Reporter
from lal.text.chat import TEMPLATE
from lal.text.pieces import draw_evenly, encode
from lal.text.report import Audit, Measured, find_unused, render_report
from lal.text.tokenizer import Tokenizer

SAMPLE_BYTES = 2**25
"""Training files larger than 32 MiB, together, teach the vocabulary by an evenly drawn part of that size.

Learning takes memory for each distinct word, of which a large corpus has no end, and most of the stage's time. 32 MiB
say each of the words that a vocabulary of some thousand entries is made of many times.
"""

NUM_EXAMPLES = 6
"""Messages that the report shows cut into pieces."""


def tokenizer(
    *, params: Params, corpus: Path, conversations: Path, tokenizer: Path, tokens: Path, reporter: Reporter
) -> dict[str, Any]:
    """Trains the tokenizer, encodes the corpus, and proves that no byte was lost.

    The texts are read three times and never held, so that a corpus may be larger than the memory.

    Args:
        params: Reads `tokenizer`.
        corpus: Folder of train.jsonl and validation.jsonl.
        conversations: Folder with a train.jsonl; both spellings in it are learned, too.
        tokenizer: Folder to write: tokenizer.json, tokenizer_config.json, report.md.
        tokens: Folder to write: train.bin and validation.bin (uint16 ids, <|end|> after each document) and meta.json.
        reporter: Hears of the result.

    Returns:
        Metrics: vocabulary size, unused entries, and for each part bytes per token and tokens per word; of a large
        corpus also `learned_from`, the share of the training texts that taught the vocabulary (see `SAMPLE_BYTES`).

    Raises:
        TokenizerError: The vocabulary is larger than the texts can fill, or a text does not survive it.
    """
    chats = conversations / "train.jsonl"
    learned, share = _learn(corpus / "train.jsonl", chats, params.tokenizer.vocabulary_size)
    audits = {part: Audit(learned, part) for part in ("train", "validation", "conversations")}
    for part in ("train", "validation"):
        _write_tokens(tokens / f"{part}.bin", learned, _documents(corpus / f"{part}.jsonl"), audits[part])
    for piece, ids in encode(learned, _messages(chats)):
        audits["conversations"].add(piece, ids)
    measured = {part: audit.measured for part, audit in audits.items()}
    unused = find_unused(learned, [audits["train"], audits["conversations"]])

    learned.save(tokenizer, TEMPLATE)
    examples = list(itertools.islice(_messages(chats), NUM_EXAMPLES))
    write_text(tokenizer / "report.md", render_report(learned, measured, unused, examples, share))
    meta: dict[str, Any] = {part: _sizes(measured[part]) for part in ("train", "validation")}
    write_json(tokens / "meta.json", meta | {"tokenizer_sha256": sha256(tokenizer / "tokenizer.json")})

    metrics: dict[str, Any] = {
        "vocabulary_size": learned.vocabulary_size,
        "unused_entries": len(unused),
        **({"learned_from": share} if share < 1 else {}),
        **{part: measured[part].numbers for part in measured},
    }
    reporter.attach(tokenizer / "report.md")
    reporter.say(
        f"{learned.vocabulary_size:,} entries; {metrics['train']['bytes_per_token']:.2f} bytes per token, "
        f"{metrics['conversations']['tokens_per_word']:.2f} tokens per word in conversations; "
        f"see {tokenizer / 'report.md'}"
    )
    return metrics


def _learn(documents: Path, chats: Path, vocabulary_size: int) -> tuple[Tokenizer, float]:
    """The tokenizer, and the share of the training texts that it is learned from."""
    share = min(1.0, SAMPLE_BYTES / max(1, size_bytes(documents) + size_bytes(chats)))
    texts = itertools.chain(_documents(documents), _messages(chats))
    return Tokenizer.train(draw_evenly(texts, share), vocabulary_size), share


def _documents(path: Path) -> Iterator[str]:
    """The texts of a split of the corpus."""
    return (document.text for document in stream_records(path, Document))


def _messages(path: Path) -> Iterator[str]:
    """All that is said in conversations."""
    return (message.content for chat in stream_records(path, Conversation) for message in chat.messages)


def _write_tokens(path: Path, tokenizer: Tokenizer, texts: Iterator[str], audit: Audit) -> None:
    """Writes texts as little-endian uint16, each with an end, and shows them to the audit."""
    end = np.array([tokenizer.end_id], dtype="<u2").tobytes()
    with writing(path) as file:
        for piece, ids in encode(tokenizer, texts):
            audit.add(piece, ids)
            file.write(ids.astype("<u2").tobytes() + end * piece.is_last)


def _sizes(measured: Measured) -> dict[str, int]:
    """What meta.json says of a token file, which has an end for each text."""
    num_texts = measured.num_texts
    return {"tokens": measured.num_tokens + num_texts, "bytes": measured.num_bytes, "documents": num_texts}
