"""What has to go with a text that is to be forgotten: its copies and near-duplicates, whole or inside other texts.

A text is compared by its paragraphs and by its lines, since prose is wrapped anew and verse is not, and a conversation
by what its user says. Two of them are one if they have one skeleton, whatever the spelling, or share most of their
words. What is too short to tell, and so common property, stays where it stands: see `lal.data.overlap.SHORT`.
"""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from lal.data.characters import mend_line_ends
from lal.data.forgotten import Forgotten, ForgottenRow, asked, conversation_digest, digest, paragraphs, text_of
from lal.data.near_duplicates import WordSets, find_near_duplicates
from lal.data.overlap import NEAR, PIECE, SHORT, skeleton
from lal.errors import DataError
from lal.records import Conversation, Document

MOST = 0.5
"""Share of its letters: a paragraph or a document of which so much goes, goes as a whole, speakers' names and all."""

BRIDGE = 4
"""Paragraphs; so many between two that go, go too: of a text found in another one, what was misprinted or left out."""


@dataclass(frozen=True)
class Wanted:
    """What was named.

    Attributes:
        name: As it was named.
        texts: Of documents, or of a file.
        chats: Conversations.
    """

    name: str
    texts: tuple[str, ...]
    chats: tuple[Conversation, ...]


@dataclass(frozen=True)
class Gone:
    """All that goes.

    Attributes:
        row: For the list.
        whole: Documents that are left out.
        cut: Documents that lose passages, each with what it loses, its passages in order.
        chats: Conversations that are left out.
    """

    row: ForgottenRow
    whole: tuple[Document, ...]
    cut: tuple[tuple[Document, tuple[str, ...]], ...]
    chats: tuple[Conversation, ...]

    @property
    def learned_texts(self) -> list[str]:
        """What the training split loses; nobody has learned what was held out."""
        whole = [document.text for document in self.whole if document.split == "train"]
        return whole + ["\n\n".join(passages) for document, passages in self.cut if document.split == "train"]


def find_wanted(name: str, corpus: Sequence[Document], chats: Sequence[Conversation]) -> Wanted:
    """The documents and conversations of that name, or the text of the file of that name.

    A name is an id, its beginning before a colon (all parts of a long text, all rows of a file), or what the
    conversations say they are from, such as a play.

    Raises:
        DataError: There is nothing of that name, or the file is no text.
    """
    texts = tuple(row.text for row in corpus if _is_called(row.id, name))
    rows = tuple(row for row in chats if _is_called(row.id, name) or row.source == name)
    if texts or rows:
        return Wanted(name, texts, rows)
    path = Path(name)
    if path.suffix == ".jsonl" and path.is_file():
        raise DataError(f"{path}: rows, not a text", f"name their ids: {path.name}, {path.stem}, or one row's alone")
    if not path.is_file():
        near = _near_names(name, corpus, chats)
        raise DataError(
            f"{name}: no document or conversation is called or comes from this, and no file",
            f"did you mean {near}?" if near else "ids stand in data/corpus and data/conversations",
        )
    try:
        text = mend_line_ends(path.read_bytes().decode("utf-8-sig"))
    except ValueError as error:
        raise DataError(f"{path}: not text in UTF-8: {error}", "name a text file, or an id") from error
    return Wanted(name, (text,), ())


def find_gone(wanted: Wanted, corpus: Sequence[Document], chats: Sequence[Conversation], today: str) -> Gone:
    """Everything in corpus and conversations that is what was named, or nearly.

    Args:
        wanted: What was named.
        corpus: All documents.
        chats: All conversations.
        today: Day, for the list.
    """
    own_units = [unit for text in wanted.texts for unit in _units(text)]
    said = [unit for row in wanted.chats for message in row.messages for unit in _units(text_of(message.content))]
    whole, lost = _search(corpus, _Likeness([*own_units, *said]), wanted.texts)
    quotes = _Likeness(own_units)
    asks = _Likeness([asked(row) for row in wanted.chats])
    own = {row.id for row in wanted.chats}
    quoting = quotes.find(
        [[unit for message in row.messages for unit in _units(text_of(message.content))] for row in chats]
    )
    asking = asks.find([[asked(row)] for row in chats])
    gone = [row for row, *found in zip(chats, quoting, asking, strict=True) if row.id in own or any(map(any, found))]
    row = ForgottenRow(
        document=wanted.name,
        forgotten_on=today,
        documents=_digests([*wanted.texts, *(document.text for document in whole)]),
        passages=_digests([*filter(_is_telling, own_units), *lost]),
        conversations=_digests_of(gone),
    )
    # By the list, as the stage will do it: what is cut out of one text is cut out of all of them.
    listed = Forgotten.of([row], {"forgotten/new": ""})
    others = [document for document in corpus if digest(document.text) not in listed.documents]
    cut = tuple((document, tuple(found)) for document in others if (found := listed.cut(document.text)[1]))
    return Gone(row, tuple(whole), cut, tuple(filter(listed.holds, chats)))


def count_alike(wanted: Wanted, texts: Sequence[str]) -> int:
    """How many texts are, or hold, what was named."""
    told = [*wanted.texts, *map(asked, wanted.chats)]
    likeness = _Likeness([unit for text in told for unit in _units(text)])
    return sum(any(found) for found in likeness.find([_units(text_of(text)) for text in texts]))


class _Likeness:
    """Finds texts that are one of those it was made with, or nearly."""

    def __init__(self, wanted: Iterable[str]) -> None:
        self._words_of = WordSets(skeleton)
        telling = [text for text in dict.fromkeys(wanted) if _is_telling(text)]
        self._skeletons = {skeleton(text) for text in telling}
        self._sets = [self._words_of(text) for text in telling]

    def find(self, groups: Sequence[Sequence[str]]) -> list[list[bool]]:
        """For each text of each group whether it is like one of the wanted."""
        texts = [text for group in groups for text in group]
        found = [skeleton(text) in self._skeletons for text in texts]
        for _, place, _ in find_near_duplicates(self._sets, [self._words_of(text) for text in texts], NEAR):
            found[place] = True
        answers = iter(found)
        return [[next(answers) for _ in group] for group in groups]


def _search(corpus: Sequence[Document], likeness: _Likeness, named: Sequence[str]) -> tuple[list[Document], list[str]]:
    """The documents that go whole, and the passages that others lose."""
    names = {digest(text) for text in named}
    whole: list[Document] = []
    passages: list[str] = []
    short = _Likeness(text for text in named if len(text) <= PIECE).find(
        [[row.text] if _is_as_long(row.text, named) else [] for row in corpus]
    )
    for document, is_like, found in zip(
        corpus, short, likeness.find([_parts(row.text) for row in corpus]), strict=True
    ):
        lost = _lost(document.text, found)
        is_most = sum(map(len, lost)) >= MOST * len(document.text.strip())
        if digest(document.text) in names or any(is_like) or is_most:
            whole.append(document)
        else:
            passages += lost
    return whole, passages


def _lost(text: str, found: Sequence[bool]) -> tuple[str, ...]:
    """The passages that a text loses: paragraphs, and single lines of the others."""
    answers = iter(found)
    whole = [paragraph.strip("\n") for paragraph, _ in paragraphs(text) if paragraph.strip("\n")]
    parts: list[list[str]] = []
    for paragraph in whole:
        is_found = next(answers)
        lines = [line for line in paragraph.splitlines() if next(answers)] if "\n" in paragraph else []
        parts.append([paragraph] if is_found or sum(map(len, lines)) >= MOST * len(paragraph) else lines)
    going = [place for place, lost in enumerate(parts) if lost == [whole[place]]]
    for before, after in pairwise(going):
        if after - before <= BRIDGE + 1:
            for place in range(before + 1, after):
                parts[place] = [whole[place]] if _is_telling(whole[place]) else parts[place]
    return tuple(lost for part in parts for lost in part)


def _is_as_long(text: str, named: Sequence[str]) -> bool:
    """Whether a text could be one of them: sets of words do not tell once from ten times."""
    return any(MOST <= len(text) / max(1, len(each)) <= 1 / MOST for each in named)


def _units(text: str) -> list[str]:
    """What a text is compared by: the whole, unless it is a long one, and its parts."""
    return [text, *_parts(text)] if len(text) <= PIECE else _parts(text)


def _parts(text: str) -> list[str]:
    """Each paragraph, and after it its lines if it has more than one."""
    parts: list[str] = []
    for paragraph, _ in paragraphs(text):
        if paragraph := paragraph.strip("\n"):
            parts.append(paragraph)
            if "\n" in paragraph:
                parts += paragraph.splitlines()
    return parts


def _is_telling(text: str) -> bool:
    """Whether a text is long enough to be somebody's."""
    return len(skeleton(text)) >= SHORT


def _is_called(identity: str, name: str) -> bool:
    return identity == name or identity.startswith(f"{name}:")


def _digests(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(map(digest, texts)))


def _digests_of(rows: Sequence[Conversation]) -> tuple[str, ...]:
    """Of whole conversations, and of what is asked in them if it is long enough to be somebody's."""
    questions = [asked(row) for row in rows]
    found = [*map(conversation_digest, rows), *(digest(question) for question in questions if _is_telling(question))]
    return tuple(dict.fromkeys(found))


def _near_names(name: str, corpus: Sequence[Document], chats: Sequence[Conversation]) -> str:
    names = {row.id for row in corpus} | {row.source for row in chats}
    return ", ".join(difflib.get_close_matches(name, sorted(names), n=3))
