"""Stage `tokenizer`: learn the vocabulary from the training split, and turn the corpus into numbers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lal.files import sha256, write_bytes, write_json, write_text
from lal.params import Params
from lal.records import Conversation, Document, read_records
from lal.reporting import Reporter
from lal.text import report
from lal.text.chat import TEMPLATE
from lal.text.tokenizer import Tokenizer


def tokenizer(
    *, params: Params, corpus: Path, conversations: Path, tokenizer: Path, tokens: Path, reporter: Reporter
) -> dict[str, Any]:
    """Trains the tokenizer, encodes the corpus, and proves that no byte was lost.

    Args:
        params: Reads `tokenizer`.
        corpus: Folder of train.jsonl and validation.jsonl.
        conversations: Folder with a train.jsonl; both spellings in it are learned, too.
        tokenizer: Folder to write: tokenizer.json, tokenizer_config.json, report.md.
        tokens: Folder to write: train.bin and validation.bin (uint16 ids, <|end|> after each document) and meta.json.
        reporter: Hears of the result.

    Returns:
        Metrics: vocabulary size, unused entries, and for each part bytes per token and tokens per word.

    Raises:
        TokenizerError: The vocabulary is larger than the texts can fill, or a text does not survive it.
    """
    texts = {
        part: [row.text for row in read_records(corpus / f"{part}.jsonl", Document)] for part in ("train", "validation")
    }
    chats = read_records(conversations / "train.jsonl", Conversation)
    texts["conversations"] = [message.content for chat in chats for message in chat.messages]

    learned = Tokenizer.train(texts["train"] + texts["conversations"], params.tokenizer.vocabulary_size)
    encoded = {part: learned.encode_batch(content) for part, content in texts.items()}
    measured = {part: report.audit(learned, texts[part], encoded[part], part) for part in texts}
    unused = report.find_unused(learned, encoded["train"] + encoded["conversations"])

    learned.save(tokenizer, TEMPLATE)
    examples = texts["conversations"][:6]
    write_text(tokenizer / "report.md", report.render_report(learned, measured, unused, examples))
    meta = {part: _write_tokens(tokens / f"{part}.bin", encoded[part], learned) for part in ("train", "validation")}
    write_json(tokens / "meta.json", meta | {"tokenizer_sha256": sha256(tokenizer / "tokenizer.json")})

    metrics: dict[str, Any] = {
        "vocabulary_size": learned.vocabulary_size,
        "unused_entries": len(unused),
        **{part: measured[part].numbers for part in measured},
    }
    reporter.attach(tokenizer / "report.md")
    reporter.say(
        f"{learned.vocabulary_size:,} entries; {metrics['train']['bytes_per_token']:.2f} bytes per token, "
        f"{metrics['conversations']['tokens_per_word']:.2f} tokens per word in conversations; "
        f"see {tokenizer / 'report.md'}"
    )
    return metrics


def _write_tokens(path: Path, encoded: Sequence[Sequence[int]], tokenizer: Tokenizer) -> dict[str, int]:
    """Writes a split as little-endian uint16 and tells its sizes."""
    ids = np.fromiter((token_id for ids in encoded for token_id in (*ids, tokenizer.end_id)), dtype="<u2")
    write_bytes(path, ids.tobytes())
    return {"tokens": len(ids), "bytes": tokenizer.count_bytes(ids), "documents": len(encoded)}
