import json
from pathlib import Path
from typing import Any

import pytest

from lal.errors import DataError
from lal.gold_items import GoldItem
from lal.records import Conversation, Message, read_records, stream_records


def conversation(**changes: Any) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": "a-1",
        "messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}],
        "task": "persona",
        "source": "hand",
        "licence": "CC0-1.0",
        "split": "train",
    }
    return row | changes


def gold(**changes: Any) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": "g-1",
        "slice": "known",
        "messages": [{"role": "user", "content": "Modernise: Giue"}],
        "scorer": "exact",
        "expected": "Give",
        "difficulty": "easy",
        "source": "macbeth",
        "split": "dev",
        "version": 1,
    }
    return row | changes


def written(folder: Path, *rows: dict[str, Any]) -> Path:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_conversation_knows_its_last_prompt_and_answer(tmp_path: Path) -> None:
    (record,) = read_records(written(tmp_path, conversation()), Conversation)
    assert (record.prompt, record.answer) == ("Hi", "Hello")
    assert record.messages[0] == Message(role="user", content="Hi")


@pytest.mark.parametrize(
    ("messages", "problem"),
    [
        ([], "got nothing"),
        ([{"role": "user", "content": "Hi"}], "assistant last; got user"),
        ([{"role": "assistant", "content": "Hi"}, {"role": "user", "content": "Hi"}], "got assistant, user"),
        (
            [
                {"role": "user", "content": "a"},
                {"role": "system", "content": "b"},
                {"role": "assistant", "content": "c"},
            ],
            "got user, system",
        ),
        (
            [{"role": "robot", "content": "Hi"}],
            "messages.0.role: Input should be 'system', 'user' or 'assistant', got 'robot'",
        ),
        ([{"role": "user", "content": "Hi"}, {"role": "assistant", "content": ""}], "messages.1.content"),
    ],
)
def test_a_conversation_out_of_order_is_named_by_line(
    tmp_path: Path, messages: list[dict[str, str]], problem: str
) -> None:
    path = written(tmp_path, conversation(), conversation(id="a-2", messages=messages))
    with pytest.raises(DataError) as raised:
        read_records(path, Conversation)
    assert str(raised.value).startswith(f"{path}:2: ")
    assert problem in str(raised.value)


def test_all_bad_lines_are_reported_at_once(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        conversation(),
        conversation(),
        conversation(id="b", spilt="train"),
        conversation(id="c", split="tarin"),
    )
    with pytest.raises(DataError) as raised:
        read_records(path, Conversation)
    first, second, third = str(raised.value).splitlines()
    assert first == f"{path}:2: duplicate id 'a-1', first used in line 1"
    assert "spilt" in second
    assert "'tarin'" in third


def test_lines_that_are_not_json_are_reported_with_those_that_are_no_records(tmp_path: Path) -> None:
    path = written(tmp_path, conversation(), conversation(id="c", split="tarin"))
    path.write_text("{\n" + path.read_text() + "[]\n")
    with pytest.raises(DataError) as raised:
        read_records(path, Conversation)
    first, second, third = raised.value.problem.splitlines()
    assert first.startswith(f"{path}:1: not valid JSON")
    assert second.startswith(f"{path}:3: split: ")
    assert third.startswith(f"{path}:4: expected a JSON object")
    assert raised.value.remedy == "write one JSON object a line"


def test_a_stream_gives_records_one_by_one_and_names_all_bad_lines_at_its_end(tmp_path: Path) -> None:
    path = written(tmp_path, conversation(), conversation(id="b", spilt="train"), conversation(id="c"))
    path.write_text(path.read_text() + "[]\n")
    stream = stream_records(path, Conversation)
    assert [next(stream).id, next(stream).id] == ["a-1", "c"]
    with pytest.raises(DataError) as raised:
        next(stream)
    first, second = raised.value.problem.splitlines()
    assert first.startswith(f"{path}:2: spilt")
    assert second.startswith(f"{path}:4: expected a JSON object")


def test_a_gold_item_must_be_scorable(tmp_path: Path) -> None:
    assert read_records(written(tmp_path, gold()), GoldItem)[0].prompt == "Modernise: Giue"
    cases: list[tuple[dict[str, Any], str]] = [
        ({"expected": ""}, "needs a non-empty 'expected'"),
        ({"scorer": "checks", "expected": ""}, "needs 'must_contain'"),
        ({"scorer": "checks", "must_contain": ["Lal"]}, "'checks' does not look at 'expected' and 'alternatives'"),
        ({"must_not_contain": ["Lal"]}, "'exact' does not look at 'must_contain' and 'must_not_contain'"),
        ({"split": "test"}, "split: Input should be 'dev' or 'sealed', got 'test'"),
        ({"scorer": "vibes"}, "'exact' or 'checks'"),
        ({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}, "user last"),
    ]
    for changes, problem in cases:
        with pytest.raises(DataError, match=problem):
            read_records(written(tmp_path, gold(**changes)), GoldItem)
