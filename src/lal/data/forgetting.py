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
from lal.data.forgotten import ForgottenRow, conversation_digest, digest, paragraphs, text_of
from lal.data.near_duplicates import WordSets, find_near_duplicates
from lal.data.overlap import NEAR, SHORT, skeleton
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
    def texts(self) -> list[str]:
        """What the corpus loses."""
        return [document.text for document in self.whole] + ["\n\n".join(passages) for _, passages in self.cut]


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
    named = {digest(text) for text in wanted.texts}
    whole, cut = _search(corpus, _Likeness([*own_units, *said]), named)
    quotes = _Likeness(own_units)
    asks = _Likeness([_asked(row) for row in wanted.chats])
    own = {row.id for row in wanted.chats}
    quoting = quotes.find([[text_of(message.content) for message in row.messages] for row in chats])
    asking = asks.find([[_asked(row)] for row in chats])
    gone = tuple(
        row for row, *found in zip(chats, quoting, asking, strict=True) if row.id in own or any(map(any, found))
    )
    passages = [*(unit for unit in own_units if _is_telling(unit)), *(each for _, lost in cut for each in lost)]
    row = ForgottenRow(
        document=wanted.name,
        forgotten_on=today,
        documents=_digests([*wanted.texts, *(document.text for document in whole)]),
        passages=_digests(passages),
        conversations=tuple(dict.fromkeys(map(conversation_digest, gone))),
    )
    return Gone(row, tuple(whole), tuple(cut), gone)


def count_alike(wanted: Wanted, texts: Sequence[str]) -> int:
    """How many texts are, or hold, what was named."""
    told = [*wanted.texts, *map(_asked, wanted.chats)]
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


def _search(
    corpus: Sequence[Document], likeness: _Likeness, named: set[str]
) -> tuple[list[Document], list[tuple[Document, tuple[str, ...]]]]:
    """The documents that go whole, and those that lose passages."""
    whole: list[Document] = []
    cut: list[tuple[Document, tuple[str, ...]]] = []
    for document, found in zip(corpus, likeness.find([_units(row.text) for row in corpus]), strict=True):
        lost = _lost(document.text, found)
        if digest(document.text) in named or sum(map(len, lost)) >= MOST * len(document.text.strip()):
            whole.append(document)
        elif lost:
            cut.append((document, lost))
    return whole, cut


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


def _units(text: str) -> list[str]:
    """Each paragraph, and after it its lines if it has more than one."""
    units: list[str] = []
    for paragraph, _ in paragraphs(text):
        if paragraph := paragraph.strip("\n"):
            units.append(paragraph)
            if "\n" in paragraph:
                units += paragraph.splitlines()
    return units


def _is_telling(text: str) -> bool:
    """Whether a text is long enough to be somebody's."""
    return len(skeleton(text)) >= SHORT


def _asked(row: Conversation) -> str:
    return "\n".join(text_of(message.content) for message in row.messages if message.role == "user")


def _is_called(identity: str, name: str) -> bool:
    return identity == name or identity.startswith(f"{name}:")


def _digests(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(map(digest, texts)))


def _near_names(name: str, corpus: Sequence[Document], chats: Sequence[Conversation]) -> str:
    names = {row.id for row in corpus} | {row.source for row in chats}
    return ", ".join(difflib.get_close_matches(name, sorted(names), n=3))
