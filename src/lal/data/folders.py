"""The two data folders: rows by split, and a manifest of files, licences and counts."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lal.data.conversations import Conversations, share_changed
from lal.data.corpus import Corpus
from lal.files import write_json, write_jsonl
from lal.records import Conversation, Document, Split

CORPUS_SPLITS: tuple[Split, ...] = ("train", "validation")
CONVERSATION_SPLITS: tuple[Split, ...] = ("train", "validation", "test")


def write_corpus(folder: Path, name: str, corpus: Corpus) -> dict[str, Any]:
    """Writes `train.jsonl`, `validation.jsonl` and, last, `manifest.json`.

    Args:
        folder: Made if need be.
        name: What params.yaml calls the corpus.
        corpus: What to write.

    Returns:
        Documents and bytes (of UTF-8) by split, and how many texts were dropped for which reason.
    """
    counts: dict[str, Any] = {}
    for split in CORPUS_SPLITS:
        documents = [document for document in corpus.documents if document.split == split]
        write_jsonl(folder / f"{split}.jsonl", documents)
        size = sum(len(document.text.encode("utf-8")) for document in documents)
        counts[split] = {"documents": len(documents), "bytes": size}
    about = {"sources": dict(corpus.sources), "licences": _licences(corpus.documents), "counts": counts}
    write_json(folder / "manifest.json", {"corpus": name, **about, "dropped": dict(corpus.dropped)})
    return {**counts, "dropped": dict(corpus.dropped)}


def write_conversations(folder: Path, name: str, chats: Conversations) -> dict[str, Any]:
    """Writes `train.jsonl`, `validation.jsonl`, `test.jsonl` and, last, `manifest.json`.

    Args:
        folder: Made if need be.
        name: What params.yaml calls the conversations.
        chats: What to write.

    Returns:
        Conversations by split and task, how many were dropped for which reason, and the share of lines that change.
    """
    counts: dict[str, Any] = {}
    for split in CONVERSATION_SPLITS:
        rows = [row for row in chats.rows if row.split == split]
        write_jsonl(folder / f"{split}.jsonl", rows)
        counts[split] = dict(sorted(Counter(row.task for row in rows).items()))
    about = {"sources": dict(chats.sources), "licences": _licences(chats.rows), "counts": counts}
    write_json(folder / "manifest.json", {"conversations": name, **about, "dropped": dict(chats.dropped)})
    return {**counts, "dropped": dict(chats.dropped), "share_changed": share_changed(chats.rows)}


def _licences(rows: Iterable[Document | Conversation]) -> list[str]:
    return sorted({row.licence for row in rows})
