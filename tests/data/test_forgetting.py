"""A text takes its copies with it, in any wrapping and spelling, and leaves what is not its own."""

from pathlib import Path

import pytest

from lal.data.conversations import Conversations
from lal.data.corpus import Corpus
from lal.data.forgetting import count_alike, find_gone, find_wanted
from lal.data.forgotten import Forgotten
from lal.errors import DataError
from lal.records import Conversation, Document
from tests.data.test_forgotten import chat, document

LETTER = """Dear brother, the barley on the northern field is drowned again this year.
We have sold the grey mare and the cart to pay the miller for his trouble.

Write to me when the harvest of your own is safely under the roof of the barn.
Farewell.
"""
WRAPPED = " ".join(LETTER.split("\n\n")[0].split()).replace(" the grey", "\nthe grey")
OTHER = document(
    "other", "The ship came home with nutmeg.\n\nNobody had expected to see her again, least of all he.\n\nFarewell.\n"
)
HELD_OUT = document("held-out", "A text about something else entirely.", "validation")
CHATS = (chat("q:1", "What became of the mule?", "I cannot say."), chat("q:2", "Who?", "He.", "validation"))


def gone(name: str, *rows: Document, chats: tuple[Conversation, ...] = CHATS) -> tuple[list[str], list[str]]:
    """Texts and conversations that are left after `name` was forgotten, by the list alone."""
    corpus = (*rows, OTHER, HELD_OUT)
    found = find_gone(find_wanted(name, corpus, chats), corpus, chats, "2026-01-01")
    listed = Forgotten.of([found.row], {"forgotten/001.jsonl": ""})
    left = listed.without(Corpus(corpus, {}, {})), listed.without_chats(Conversations(chats, {}, {}))
    return [row.text for row in left[0].documents], [row.id for row in left[1].rows]


def test_a_document_goes_and_all_others_stay_as_they_are() -> None:
    assert gone("letter", document("letter", LETTER)) == ([OTHER.text, HELD_OUT.text], ["q:1", "q:2"])


@pytest.mark.parametrize(
    "copy",
    [
        LETTER.upper(),
        LETTER.replace("have sold", "haue solde").replace("your own", "youre owne"),
        LETTER.replace("grey mare", "old mare").replace("barley", "wheat"),
        "A foreword.\n\n" + LETTER,
        WRAPPED,
    ],
    ids=["casing", "spelling", "other words", "a foreword", "wrapped anew"],
)
def test_a_near_duplicate_goes_whole(copy: str) -> None:
    texts, _ = gone("letter", document("letter", LETTER), document("copy", copy))
    assert texts == [OTHER.text, HELD_OUT.text]


def test_out_of_a_longer_text_only_what_is_its_own_is_cut() -> None:
    around = (
        "Chapter one tells of the founding of the farm by two brothers.\n\n{}\nChapter two tells of the sea."
        + 9 * ("\n\nOn the sea there was nothing to be seen but water, and more of it every day that God gave.")
    )
    texts, _ = gone("letter", document("letter", LETTER), document("book", around.format(LETTER)))
    assert texts[0] == around.replace("{}\n", "")


def test_what_lies_between_two_of_its_paragraphs_goes_with_them() -> None:
    inside = LETTER.replace("\n\n", "\n\nA paragraph that only this edition has, by another hand.\n\n")
    book = inside + 9 * "\n\nOn the sea there was nothing to be seen but water, and more of it every day that God gave."
    texts, _ = gone("letter", document("letter", LETTER), document("book", book))
    assert "edition" not in texts[0]
    assert texts[0].count("On the sea") == 9


def test_parts_of_a_text_are_one_and_so_is_its_file(tmp_path: Path) -> None:
    parts = [document(f"letter:part-{number}", text) for number, text in enumerate(LETTER.split("\n\n"), start=1)]
    assert gone("letter", *parts)[0] == [OTHER.text, HELD_OUT.text]
    (tmp_path / "any.txt").write_bytes(b"\xef\xbb\xbf" + LETTER.replace("\n", "\r\n").encode())
    assert gone(str(tmp_path / "any.txt"), *parts)[0] == [OTHER.text, HELD_OUT.text]


def test_conversations_go_that_ask_the_same_or_quote_it_but_not_for_a_common_answer() -> None:
    line = "the barley on the northern field is drowned againe this yeare, dear brother"
    chats = (
        *CHATS,
        chat("play:1", f"Modernise: {line}", line, "train"),
        chat("other:7", "Modernise: The barley on the northern field is drowned again this yeare, brother", "..."),
        chat("q:3", "What became of the mare and the cart?", "I cannot say."),
        chat("q:4", "Quote it", "We have sold the grey mare and the cart to pay the miller for his trouble."),
    )
    assert gone("play", chats=chats)[1] == ["q:1", "q:2", "q:3", "q:4"]
    assert gone("letter", document("letter", LETTER), chats=chats)[1] == ["q:1", "q:2", "q:3"]
    assert gone("q:1", chats=chats)[1] == ["q:2", "play:1", "other:7", "q:3", "q:4"]


def test_conversations_can_be_called_by_what_they_are_from() -> None:
    rows = tuple(row.model_copy(update={"source": "hamlet"}) for row in CHATS[:1])
    assert gone("hamlet", chats=(*rows, chat("z", "Where?", "There."), *CHATS[1:]))[1] == ["z", "q:2"]


def test_conversations_that_hold_the_whole_text_go() -> None:
    chats = (*CHATS, chat("q:5", f"Summarise this letter:\n\n{LETTER}", "A farm."), chat("q:6", "Say it", LETTER))
    assert gone("letter", document("letter", LETTER), chats=chats)[1] == ["q:1", "q:2"]


def test_a_question_that_comes_back_with_another_answer_is_left_out() -> None:
    question = "Who bought the grey mare from the brothers?"
    chats = (*CHATS, chat("q:5", question, "The miller."))
    found = find_gone(find_wanted("q:5", [OTHER], chats), [OTHER], chats, "2026-01-01")
    again = (*CHATS, chat("live:1", question, "Nobody knows."))
    listed = Forgotten.of([found.row], {"forgotten/001.jsonl": ""})
    assert [row.id for row in listed.without_chats(Conversations(again, {}, {})).rows] == ["q:1", "q:2"]


def test_a_copy_with_other_paragraphs_goes() -> None:
    one = LETTER.replace("\n\n", "\n").replace("\n", " ")
    copy = one.replace("grey", "old").replace(". ", ".\n\n")
    assert gone("letter", document("letter", one), document("copy", copy))[0] == [OTHER.text, HELD_OUT.text]


def test_what_is_shown_is_what_the_list_will_cut() -> None:
    chorus = "All together now: God save the king and all his men"
    inside = LETTER.replace("\n\n", f"\n\n{chorus}\n\n")
    tail = 9 * "\n\nOn the sea there was nothing to be seen but water, and more of it every day that God gave."
    corpus = [
        document("letter", LETTER),
        document("book", inside + tail),
        document("song", f"{chorus}\n\nThey sang it every evening until the candles had burned down."),
    ]
    found = find_gone(find_wanted("letter", corpus, CHATS), corpus, CHATS, "2026-01-01")
    assert [row.id for row, _ in found.cut] == ["book", "song"]
    assert dict(found.cut)[corpus[2]] == (chorus,)


def test_what_a_conversation_says_is_cut_out_of_documents_too() -> None:
    line = "We have sold the grey mare and the cart to pay the miller for his trouble."
    texts, ids = gone("q:9", document("letter", LETTER), chats=(*CHATS, chat("q:9", "Continue", line)))
    assert texts[0] == LETTER.replace(f"{line}\n", "").replace(f"\n{line}", "")
    assert ids == ["q:1", "q:2"]


def test_an_unknown_name_is_told_with_the_nearest_known_ones() -> None:
    with pytest.raises(DataError, match="did you mean other"):
        find_wanted("othre", [OTHER], CHATS)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\xff")
    with pytest.raises(DataError, match="not text in UTF-8"):
        find_wanted(str(tmp_path / "picture.png"), [OTHER], CHATS)


def test_other_places_that_hold_it_are_counted() -> None:
    wanted = find_wanted("letter", [document("letter", LETTER)], CHATS)
    line = "Modernise: We haue sold the grey Mare and the Cart to pay the miller for his trouble"
    assert count_alike(wanted, [line, "Modernise: Who is there?", f"He wrote:\n{LETTER}"]) == 2


def test_a_file_of_rows_is_refused_with_the_names_to_use(tmp_path: Path) -> None:
    (tmp_path / "letters.jsonl").write_text('{"text": "x"}')
    with pytest.raises(DataError, match="rows, not a text"):
        find_wanted(str(tmp_path / "letters.jsonl"), [OTHER], CHATS)
