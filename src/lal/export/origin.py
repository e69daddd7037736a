"""Where a model's texts are from, proven: the shipped weights lead to the manifests of both data folders.

A model names the token files that its base was trained on, and the conversations, by their SHA-256. The conversations
are their own proof. Tokens are not the corpus, so they are read back: they must spell it, text by text. Then the
manifests of the data folders, with their sources and licences, are those of this model, and go into the bundle's.
"""

from collections.abc import Iterator, Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from lal.errors import ExportError
from lal.files import read_json, sha256
from lal.records import Document, stream_records
from lal.text.tokenizer import Tokenizer

MANIFEST = "manifest.json"

SPLITS = ("train", "validation")
"""What training reads of either folder."""

IDS_AT_ONCE = 2**20
"""Token ids read at a time: 2 MiB."""


def data_origin(
    corpus: Path, tokens: Path, conversations: Path, provenance: Mapping[str, Any], tokenizer: Tokenizer
) -> dict[str, Any]:
    """The manifests of the data that a model was made from, and the digests of its files.

    Args:
        corpus: data/corpus.
        tokens: data/tokens.
        conversations: data/conversations.
        provenance: The fine-tuned model's lal.json.
        tokenizer: Its own.

    Returns:
        `corpus` and `conversations`: each its `manifest` and `files`, file -> SHA-256.

    Raises:
        ExportError: The model was trained on other data than lie there now.
        DataError: A file is missing or damaged.
    """
    base = provenance.get("parent") or {}
    problems = [
        *_others(conversations, [f"{split}.jsonl" for split in SPLITS], provenance.get("inputs", {})),
        *_others(tokens, [f"{split}.bin" for split in SPLITS], base.get("inputs", {})),
        *(
            f"{corpus / split}.jsonl: not the texts that {tokens / split}.bin was made of"
            for split in SPLITS
            if not _spell(tokens / f"{split}.bin", corpus / f"{split}.jsonl", tokenizer)
        ),
    ]
    if problems:
        raise ExportError.of(problems, "run `dvc repro`, so that all stages are of the same data")
    return {"corpus": _described(corpus), "conversations": _described(conversations)}


def _others(folder: Path, names: list[str], trained_on: Mapping[str, str]) -> list[str]:
    """What is wrong with each file that is not the one a model names."""
    return [
        f"{folder / name}: not the file that the model was trained on"
        for name in names
        if sha256(folder / name) != trained_on.get(name)
    ]


def _described(folder: Path) -> dict[str, Any]:
    names = [f"{split}.jsonl" for split in SPLITS]
    files = {name: sha256(folder / name) for name in (*names, MANIFEST)}
    return {"manifest": read_json(folder / MANIFEST), "files": files}


def _spell(tokens: Path, documents: Path, tokenizer: Tokenizer) -> bool:
    """Whether a token file is the texts of a split of the corpus, to the byte and in order."""
    texts = (document.text.encode() for document in stream_records(documents, Document))
    return all(spelled == text for spelled, text in zip_longest(_spelled(tokens, tokenizer), texts))


def _spelled(path: Path, tokenizer: Tokenizer) -> Iterator[bytes]:
    """The bytes of each text of a token file; what stands behind the last end, too."""
    pieces = [tokenizer.token_bytes(identity) for identity in range(tokenizer.vocabulary_size)]
    text: list[bytes] = []
    with path.open("rb") as file:
        while chunk := file.read(2 * IDS_AT_ONCE):
            ids = np.frombuffer(chunk, dtype="<u2")
            start = 0
            for end in [*np.flatnonzero(ids == tokenizer.end_id).tolist(), None]:
                text.append(b"".join(pieces[identity] for identity in ids[start:end].tolist()))
                if end is not None:
                    yield b"".join(text)
                    text, start = [], end + 1
    if rest := b"".join(text):
        yield rest
