"""Stage `data`: fetch and verify the sources, make the corpus to pretrain on and the conversations to fine-tune on."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lal.data import corpus as built_in_texts
from lal.data import first_folio as built_in_chats
from lal.data.choice import is_watched, own_path
from lal.data.conversations import Conversations, draw, join, read_chats, read_persona
from lal.data.corpus import Corpus
from lal.data.folders import write_conversations, write_corpus
from lal.data.forgotten import read_forgotten
from lal.data.own_text import read_folder
from lal.data.patches import read_patches
from lal.data.sources import fetch, pick, read_lock
from lal.params import DataParams, Params
from lal.reporting import Reporter

_UNWATCHED = "DVC does not watch {path}: add it to `deps` of the stage `data` in dvc.yaml, or move it into {own}"


def data(
    *,
    params: Params,
    sources: Path,
    cache: Path,
    own: Path,
    persona: Path,
    patches: Path,
    forgotten: Path,
    corpus: Path,
    conversations: Path,
    reporter: Reporter,
) -> dict[str, Any]:
    """Makes the folders `corpus` and `conversations`.

    Args:
        params: `data` and `seed` count.
        sources: The lock of the pinned sources.
        cache: Folder in which the wanted ones are kept.
        own: Folder that DVC watches for the user's own texts and conversations.
        persona: Folder of hand-written conversations, added to the training ones.
        patches: Folder of applied data patches, added likewise.
        forgotten: Folder of lists of what is left out, wherever it comes from.
        corpus: Folder to write documents to.
        conversations: Folder to write conversations to.
        reporter: Told of texts that DVC does not watch.

    Returns:
        Counts of documents, bytes and conversations, and of what was left out.

    Raises:
        ParamsError: `data.corpus` or `data.conversations` is neither built in nor a path.
        SourceError: A source cannot be fetched or is not the pinned one.
        DataError: The user's own files are not what they should be.
    """
    texts, chats = _read(params, sources, cache, own, reporter)
    chats = draw(chats, params.data.max_conversations, params.seed)
    chats = join(join(chats, read_persona(persona)), read_patches(patches))
    left_out = read_forgotten(forgotten)
    return {
        "corpus": write_corpus(corpus, params.data.corpus, left_out.without(texts)),
        "conversations": write_conversations(conversations, params.data.conversations, left_out.without_chats(chats)),
    }


def conversation_pool(*, params: Params, sources: Path, cache: Path) -> Conversations:
    """All conversations that the stage draws from, before it draws `data.max_conversations` of them; see `data`."""
    name = params.data.conversations
    own_chats = own_path("data.conversations", name, built_in_chats.SOURCES, ".jsonl file")
    pinned = pick(read_lock(sources), set(built_in_chats.SOURCES.get(name, ())), sources)
    digests = {source.name: source.sha256 for source in pinned}
    return _all_chats(params, own_chats, fetch(pinned, cache), digests)


def _read(params: Params, sources: Path, cache: Path, own: Path, reporter: Reporter) -> tuple[Corpus, Conversations]:
    """All texts and conversations that params.yaml names."""
    wanted = params.data
    own_texts = own_path("data.corpus", wanted.corpus, built_in_texts.SOURCES, "folder of texts")
    own_chats = own_path("data.conversations", wanted.conversations, built_in_chats.SOURCES, ".jsonl file")
    _mention_unwatched({"data.corpus": own_texts, "data.conversations": own_chats}, own, reporter)
    pinned = pick(read_lock(sources), _source_names(wanted), sources)
    files = fetch(pinned, cache)
    digests = {source.name: source.sha256 for source in pinned}
    if own_texts:
        texts = read_folder(own_texts, wanted.validation_fraction, params.seed, leave_out=own_chats)
    else:
        texts = built_in_texts.built_in_corpus(wanted.corpus, files, digests)
    return texts, _all_chats(params, own_chats, files, digests)


def _all_chats(
    params: Params, own_chats: Path | None, files: Mapping[str, Path], digests: Mapping[str, str]
) -> Conversations:
    if own_chats:
        return read_chats(own_chats, params.data.validation_fraction, params.seed)
    return built_in_chats.first_folio(files, digests)


def _mention_unwatched(paths: Mapping[str, Path | None], own: Path, reporter: Reporter) -> None:
    for key, path in paths.items():
        if path and not is_watched(path, own):
            reporter.say(f"{key}: {_UNWATCHED.format(path=path, own=own)}")


def _source_names(wanted: DataParams) -> set[str]:
    """The pinned sources that the built-in words among the parameters stand for."""
    return {
        *built_in_texts.SOURCES.get(wanted.corpus, ()),
        *built_in_chats.SOURCES.get(wanted.conversations, ()),
    }
