"""A user's own chats and the persona: read, completed, drawn, joined."""

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from lal.data.conversations import Conversations, draw, join, read_chats, read_persona, share_changed
from lal.errors import DataError
from lal.records import Conversation

TURNS = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Good day"}]
OTHERS = [{"role": "user", "content": "Bye"}, {"role": "assistant", "content": "Good day"}]


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def conversation(
    identity: str, split: str = "train", question: str = "Modernise: haue", answer: str = "have"
) -> Conversation:
    row = {
        "id": identity, "task": "modernise", "source": "x", "licence": "y", "split": split,
        "messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}],
    }  # fmt: skip
    return Conversation.model_validate_json(json.dumps(row))


def test_messages_are_all_a_row_needs(tmp_path: Path) -> None:
    path = write(
        tmp_path / "my chats.jsonl", [{"messages": TURNS}, {"messages": OTHERS, "id": "mine", "task": "greet"}]
    )
    first, second = read_chats(path, 0.5, seed=1).rows
    assert (first.id, first.task, first.source, first.licence) == ("my-chats:1", "own", "my chats.jsonl", "unknown")
    assert (second.id, second.task) == ("mine", "greet")
    assert {first.split, second.split} == {"train", "validation"}
    assert first.answer == "Good day"


def test_a_whole_record_is_taken_as_it_is(tmp_path: Path) -> None:
    rows = [
        conversation(split, split=split, question=f"Modernise: {split}") for split in ("train", "validation", "test")
    ]
    path = write(tmp_path / "chats.jsonl", [row.model_dump() for row in rows])
    chats = read_chats(path, 0.5, seed=1)
    assert list(chats.rows) == rows
    assert list(chats.sources) == ["chats.jsonl"]


def test_about_the_wanted_share_is_held_out(tmp_path: Path) -> None:
    path = write(
        tmp_path / "chats.jsonl",
        [{"messages": [{"role": "user", "content": f"Say {number}"}, TURNS[1]]} for number in range(500)],
    )
    counts = Counter(row.split for row in read_chats(path, 0.2, seed=1).rows)
    assert counts["validation"] == pytest.approx(100, abs=30)


def test_line_ends_are_mended(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "Hi\r\nthere"}, {"role": "assistant", "content": "one\r\r\ntwo\rthree"}]
    path = write(
        tmp_path / "chats.jsonl", [{"messages": turns, "split": "train"}, {"messages": TURNS, "split": "validation"}]
    )
    row = read_chats(path, 0.5, seed=1).rows[0]
    assert (row.prompt, row.answer) == ("Hi\nthere", "one\ntwo\nthree")


def test_rows_that_say_the_same_are_left_out_and_counted(tmp_path: Path) -> None:
    louder = [{"role": "user", "content": "hello!"}, {"role": "assistant", "content": "GOOD  DAY"}]
    path = write(tmp_path / "chats.jsonl", [{"messages": turns} for turns in (TURNS, louder, OTHERS, TURNS)])
    chats = read_chats(path, 0.5, seed=1)
    assert [row.id for row in chats.rows] == ["chats:1", "chats:3"]
    assert chats.dropped == {"duplicate": 2}


def test_a_name_that_is_not_utf8_is_shown_as_text(tmp_path: Path) -> None:
    path = write(tmp_path / os.fsdecode(b"caf\xe9.jsonl"), [{"messages": TURNS}, {"messages": OTHERS}])
    chats = read_chats(path, 0.5, seed=1)
    assert list(chats.sources) == [r"caf\xe9.jsonl"]
    assert chats.rows[0].id == r"caf\xe9:1"
    assert chats.rows[0].model_dump_json()


BAD_ROWS: list[tuple[dict[str, Any], str]] = [
    ({"messages": []}, "roles must be"),
    ({"messages": TURNS[::-1]}, "roles must be"),
    ({"messages": TURNS[:1]}, "assistant last"),
    ({"messages": [*TURNS, {"role": "tool", "content": "x"}]}, "messages.2.role"),
    ({"messages": [TURNS[0], {"role": "assistant", "content": ""}]}, "messages.1.content"),
    ({"messages": [TURNS[0], {"role": "assistant", "content": " \n"}]}, "more than blanks"),
    ({"messages": [TURNS[0], {"role": "assistant", "content": "\r"}]}, "more than blanks"),
    ({"messages": [TURNS[0], {"role": "assistant", "content": "a\n\fb"}]}, "control character U+000C in line 2"),
    ({"messages": TURNS, "id": "has blanks"}, "id"),
    ({"messages": TURNS, "split": "dev"}, "split"),
    ({"mesages": TURNS}, "messages"),
    ({"messages": "hello"}, "messages"),
]


@pytest.mark.parametrize(("row", "said"), BAD_ROWS)
def test_a_row_that_is_no_conversation_is_named_by_line(row: dict[str, Any], said: str, tmp_path: Path) -> None:
    path = write(tmp_path / "chats.jsonl", [{"messages": TURNS}, row])
    with pytest.raises(DataError) as caught:
        read_chats(path, 0.5, seed=1)
    assert "chats.jsonl:2: " in str(caught.value)
    assert said in str(caught.value)


def test_all_bad_rows_are_named_at_once(tmp_path: Path) -> None:
    path = write(tmp_path / "chats.jsonl", [row for row, _ in BAD_ROWS])
    with pytest.raises(DataError) as caught:
        read_chats(path, 0.5, seed=1)
    assert all(f"chats.jsonl:{number}: " in str(caught.value) for number in range(1, len(BAD_ROWS) + 1))


def test_an_id_that_stands_twice_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "chats.jsonl", [{"messages": TURNS, "id": "a"}, {"messages": TURNS, "id": "a"}])
    with pytest.raises(DataError, match=r"chats\.jsonl:2: duplicate id 'a', first used in line 1"):
        read_chats(path, 0.5, seed=1)


def test_an_id_that_looks_like_a_made_one_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "chats.jsonl", [{"messages": TURNS}, {"messages": OTHERS, "id": "chats:1"}])
    with pytest.raises(DataError, match="duplicate id 'chats:1'"):
        read_chats(path, 0.5, seed=1)


@pytest.mark.parametrize("rows", [[], [{"messages": TURNS}], [{"messages": TURNS, "split": "train"}] * 2])
def test_chats_that_leave_nothing_to_train_or_validate_on_are_refused(
    rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="no conversations for"):
        read_chats(write(tmp_path / "chats.jsonl", rows), 0.5, seed=1)


def test_a_folder_in_place_of_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a file"):
        read_chats(tmp_path, 0.5, seed=1)


def test_the_persona_trains_unless_it_says_otherwise(tmp_path: Path) -> None:
    write(tmp_path / "b.jsonl", [{"id": "p2", "messages": TURNS, "split": "validation", "licence": "CC0-1.0"}])
    write(tmp_path / "a.jsonl", [{"id": "p1", "messages": TURNS}])
    persona = read_persona(tmp_path)
    assert [(row.id, row.split) for row in persona.rows] == [("p1", "train"), ("p2", "validation")]
    assert {row.task for row in persona.rows} == {"persona"}
    assert list(persona.sources) == ["a.jsonl", "b.jsonl"]


def test_a_folder_without_persona_is_no_trouble_and_a_missing_one_is(tmp_path: Path) -> None:
    assert read_persona(tmp_path).rows == ()
    with pytest.raises(DataError, match="not a folder"):
        read_persona(tmp_path / "none")


def test_a_draw_takes_training_rows_alone_and_leaves_them_in_order() -> None:
    rows = tuple(conversation(f"r{number}", split="train" if number % 2 else "validation") for number in range(40))
    chats = Conversations(rows, {"duplicate": 1}, {})
    drawn = draw(chats, 5, seed=1)
    assert Counter(row.split for row in drawn.rows) == {"train": 5, "validation": 20}
    assert [row for row in rows if row in drawn.rows] == list(drawn.rows)
    assert drawn.dropped == {"duplicate": 1, "not_drawn": 15}
    assert drawn == draw(chats, 5, seed=1)
    assert drawn != draw(chats, 5, seed=2)


@pytest.mark.parametrize("count", [None, 2, 3])
def test_a_draw_of_everything_changes_nothing(count: int | None) -> None:
    chats = Conversations((conversation("a"), conversation("b")), {}, {})
    assert draw(chats, count, seed=1) == chats


def test_joined_conversations_must_not_share_ids() -> None:
    one = Conversations((conversation("a"),), {"x": 1}, {"f": "1"})
    other = Conversations((conversation("b"),), {"x": 2}, {"g": "2"})
    both = join(one, other)
    assert [row.id for row in both.rows] == ["a", "b"]
    assert (both.dropped, both.sources) == ({"x": 3}, {"f": "1", "g": "2"})
    with pytest.raises(DataError, match="duplicate id 'a'"):
        join(one, one)


def test_the_share_of_changed_lines_counts_answers_that_differ() -> None:
    rows = [conversation("a"), conversation("b", question="Modernise: keep it", answer="keep it")]
    assert share_changed(rows) == 0.5
    assert share_changed([]) == 0.0
