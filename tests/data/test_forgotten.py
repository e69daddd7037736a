"""What is on the list is left out, and nothing else is touched."""

from pathlib import Path

import pytest

from lal.data.conversations import Conversations
from lal.data.corpus import Corpus
from lal.data.forgotten import Forgotten, ForgottenRow, conversation_digest, digest, paragraphs, read_forgotten
from lal.errors import DataError
from lal.files import sha256, write_jsonl
from lal.records import Conversation, Document, Message

PLAY = "FIRST:\nWe are accounted poor citizens.\nNo more.\n\nSECOND:\nNo more.\n\n\nTHIRD:\nThe patricians good.\n"


def document(identity: str, text: str, split: str = "train") -> Document:
    return Document.model_validate({"id": identity, "text": text, "source": "s", "licence": "CC0-1.0", "split": split})


def chat(identity: str, asked: str, answer: str, split: str = "train") -> Conversation:
    messages = (Message(role="user", content=asked), Message(role="assistant", content=answer))
    fields = {"id": identity, "messages": messages, "task": "t", "source": "s", "licence": "CC0-1.0", "split": split}
    return Conversation.model_validate(fields)


def listed(
    documents: tuple[str, ...] = (), passages: tuple[str, ...] = (), chats: tuple[Conversation, ...] = ()
) -> Forgotten:
    row = ForgottenRow(
        document="it",
        forgotten_on="2026-01-01",
        documents=tuple(map(digest, documents)),
        passages=tuple(map(digest, passages)),
        conversations=tuple(map(conversation_digest, chats)),
    )
    return Forgotten.of([row], {"forgotten/001.jsonl": "abc"})


def cut(text: str, *passages: str) -> str:
    corpus = Corpus((document("a", text), document("b", "held out", "validation")), {}, {})
    return listed(passages=passages).without(corpus).documents[0].text


def test_without_a_list_the_very_objects_come_back() -> None:
    corpus = Corpus((document("a", PLAY),), {"empty": 1}, {"x": "1"})
    chats = Conversations((chat("a", "q", "a"),), {}, {})
    nothing = Forgotten.of([], {})
    assert nothing.without(corpus) is corpus
    assert nothing.without_chats(chats) is chats


def test_a_paragraph_goes_with_the_blank_lines_behind_it() -> None:
    assert cut(PLAY, "SECOND:\nNo more.") == PLAY.replace("SECOND:\nNo more.\n\n\n", "")


def test_a_line_goes_alone_wherever_it_stands() -> None:
    assert cut(PLAY, "we are accounted poor citizens") == PLAY.replace("We are accounted poor citizens.\n", "")
    assert (
        cut(PLAY, "No more.")
        == "FIRST:\nWe are accounted poor citizens.\n\nSECOND:\n\n\nTHIRD:\nThe patricians good.\n"
    )


def test_what_is_not_listed_stays_byte_for_byte() -> None:
    assert cut(PLAY, "something else altogether") == PLAY
    assert "".join(part for pair in paragraphs(PLAY) for part in pair) == PLAY


def test_a_text_is_known_by_its_letters_whatever_it_is_called() -> None:
    rows = (document("new-name", "dear SIR -- i owe you"), document("b", "Other."), document("c", "x", "validation"))
    left = listed(documents=("Dear Sir, I owe you.",)).without(Corpus(rows, {"empty": 2}, {"file": "1"}))
    assert [row.id for row in left.documents] == ["b", "c"]
    assert left.dropped == {"empty": 2, "forgotten": 1}
    assert left.sources == {"file": "1", "forgotten/001.jsonl": "abc"}


def test_a_text_of_which_nothing_is_left_is_no_document() -> None:
    rows = (document("a", "One line alone\n"), document("b", "Other."), document("c", "x", "validation"))
    left = listed(passages=("One line alone",)).without(Corpus(rows, {}, {}))
    assert [row.id for row in left.documents] == ["b", "c"]
    assert left.dropped == {"forgotten": 1, "forgotten_passages": 1}


def test_a_conversation_is_known_by_all_its_turns_and_not_by_its_answer() -> None:
    gone, stays = chat("1", "Modernise: Haue you", "I cannot say"), chat("2", "Modernise: Loue", "I cannot say")
    again = chat("3", "Modernise: haue YOU", "I cannot say.")
    held_out = chat("4", "Modernise: Giue", "Give", "validation")
    left = listed(chats=(gone,)).without_chats(Conversations((gone, stays, again, held_out), {}, {}))
    assert [row.id for row in left.rows] == ["2", "4"]
    assert left.dropped == {"forgotten": 2}


def test_a_list_that_leaves_nothing_to_learn_or_to_validate_on_is_refused() -> None:
    rows = (document("a", "All there is."), document("b", "held out", "validation"))
    with pytest.raises(DataError, match=r"data/forgotten/001\.jsonl: .* no documents for train"):
        listed(documents=("All there is",)).without(Corpus(rows, {}, {}))
    only = chat("1", "q", "a"), chat("2", "p", "a", "validation")
    with pytest.raises(DataError, match="no conversations for validation"):
        listed(chats=(only[1],)).without_chats(Conversations(only, {}, {}))


def test_all_lists_of_a_folder_count_and_are_told_by_their_digests(tmp_path: Path) -> None:
    row = ForgottenRow(document="it", forgotten_on="2026-01-01", documents=("0" * 16,), passages=(), conversations=())
    write_jsonl(tmp_path / "001.jsonl", [row])
    write_jsonl(tmp_path / "002.jsonl", [row.model_copy(update={"documents": ("1" * 16,)})])
    (tmp_path / "README.md").write_text("about")
    found = read_forgotten(tmp_path)
    assert found.documents == {"0" * 16, "1" * 16}
    assert found.sources["forgotten/002.jsonl"] == sha256(tmp_path / "002.jsonl")


def test_a_damaged_list_and_a_missing_folder_are_told(tmp_path: Path) -> None:
    (tmp_path / "001.jsonl").write_text('{"document": "it"}\n')
    with pytest.raises(DataError, match=r"001\.jsonl:1"):
        read_forgotten(tmp_path)
    with pytest.raises(DataError, match="not a folder"):
        read_forgotten(tmp_path / "none")
