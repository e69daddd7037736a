"""Feedback goes to gold or to training, never to both, however it is spelled."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from lal.cli import app
from lal.data.patches import read_patch
from lal.files import write_jsonl
from lal.gold_items import GoldItem
from lal.live import Feedback, Request
from lal.monitor.triage import read_decisions
from lal.records import Conversation, Document, Message, read_records

ROOT = Path(__file__).parents[2]
ASKED = "Modernise: Where is the olde Kinge of the blacke beares"
RIGHT = "Where is the old King of the black bears"
TOLD = {"source": "t", "licence": "CC0-1.0", "split": "train"}


def request(name: str, prompt: str, answer: str = "wrong", turns: tuple[Message, ...] = ()) -> Request:
    return Request(
        id=name, time="2026-01-01T00:00:00.000Z", model="abc", messages=(*turns, Message(role="user", content=prompt)),
        answer=answer, finish_reason="stop", prompt_tokens=1, answer_tokens=1, first_token_seconds=None, seconds=0.1,
        mean_log_probability=None, tags={}, redactions=0, kept_because="flagged", kept_share=1.0,
    )  # fmt: skip


def said(number: int, about: str, correction: str = "", rating: Any = "down") -> Feedback:
    return Feedback(
        id=f"f{number}", time=f"2026-01-01T00:00:{number:02}.000Z", request=about, rating=rating, correction=correction,
        comment="", redactions=0,
    )  # fmt: skip


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one gold item and one training row, and two pieces of feedback that are nearly one."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    gold = GoldItem(
        id="known-001", slice="known", messages=(Message(role="user", content="Modernise: Giue me my Armor heere"),),
        scorer="exact", expected="Give me my Armour here", difficulty="easy", source="t", split="dev", version=1,
    )  # fmt: skip
    write_jsonl(Path("gold/gold.jsonl"), [gold])
    chat = {"id": "c1", "task": "modernise", **TOLD}
    turns = [{"role": "user", "content": "Modernise: loue"}, {"role": "assistant", "content": "love"}]
    for split in ("train", "validation"):
        rows = [Conversation.model_validate({**chat, "messages": turns, "split": split})]
        write_jsonl(Path(f"data/conversations/{split}.jsonl"), rows)
        write_jsonl(Path(f"data/corpus/{split}.jsonl"), [Document.model_validate({"id": "d", "text": "x", **TOLD})])
    write_jsonl(Path("data/live/requests.jsonl"), [request("r1", ASKED), request("r2", ASKED.replace("olde", "old"))])
    write_jsonl(Path("data/live/feedback.jsonl"), [said(1, "r1", RIGHT), said(2, "r2", RIGHT)])
    return tmp_path


def triage(keys: str, *options: str) -> str:
    done = CliRunner().invoke(app, ["triage", *options], input=keys, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def gold() -> list[GoldItem]:
    return read_records(Path("gold/gold.jsonl"), GoldItem)


def test_training_takes_a_correction_with_its_origin_and_gold_then_refuses_the_like() -> None:
    output = triage("t\ng\n", "--licence", "CC0-1.0")
    (row,) = read_patch(Path("data/drafts/feedback-001.jsonl"))
    assert [message.content for message in row.messages] == [ASKED, RIGHT]
    assert (row.source, row.origin, row.licence, row.group) == ("live/f1", "r1", "CC0-1.0", "feedback")
    assert "NOT TAKEN, it waits on: like the training row feedback-001:0001" in output
    assert len(gold()) == 1
    assert [each.to for each in read_decisions(Path("ledger/triage.jsonl"))] == ["training"]


def test_gold_takes_a_correction_and_training_then_refuses_the_like() -> None:
    output = triage("g\nt\n")
    item = gold()[-1]
    assert (item.prompt, item.expected, item.source) == (ASKED, RIGHT, "live")
    assert "f1 on r1, answered by abc" in item.provenance
    assert f"NOT TAKEN, it waits on: like the gold item {item.id}" in output
    assert not Path("data/drafts").exists()


def test_a_correction_like_a_gold_item_never_trains() -> None:
    write_jsonl(Path("data/live/requests.jsonl"), [request("r1", "Modernise: Give me my armor here!")])
    assert "like the gold item known-001" in triage("t\n")
    assert not Path("ledger").exists()


def test_what_was_decided_is_not_asked_again_and_what_was_not_is() -> None:
    triage("n\nl\n")
    assert "1 of 1  f2" in triage("q\n")
    assert json.loads(Path("ledger/triage.jsonl").read_text())["to"] == "nowhere"


def test_thumbs_up_make_the_answer_right_and_thumbs_down_ask_for_one() -> None:
    write_jsonl(
        Path("data/live/requests.jsonl"), [request("r1", "Who is the fairest", "You are"), request("r2", ASKED)]
    )
    write_jsonl(Path("data/live/feedback.jsonl"), [said(1, "r1", rating="up"), said(2, "r2")])
    triage(f"t\nt\n{RIGHT}\n")
    rows = read_patch(Path("data/drafts/feedback-001.jsonl"))
    assert [row.answer for row in rows] == ["You are", RIGHT]
    assert [row.task for row in rows] == ["chat", "modernise"]
    assert rows[1].id == "feedback-001:0002"


def test_several_turns_train_and_are_no_gold_item() -> None:
    turns = (Message(role="user", content="Hello"), Message(role="assistant", content="Hello."))
    write_jsonl(Path("data/live/requests.jsonl"), [request("r1", ASKED, turns=turns)])
    assert "not a single question" in triage("g\n")
    triage("t\n")
    (row,) = read_patch(Path("data/drafts/feedback-001.jsonl"))
    assert len(row.messages) == 4


def test_an_applied_draft_stays_and_the_next_rows_begin_another() -> None:
    triage("t\nl\n")
    Path("data/patches").mkdir(parents=True)
    Path("data/drafts/feedback-001.jsonl").rename("data/patches/feedback-001.jsonl")
    assert "like the training row feedback-001:0001" in triage("g\n")
    triage("t\n")
    (row,) = read_patch(Path("data/drafts/feedback-002.jsonl"))
    assert row.id == "feedback-002:0001"


def test_listing_changes_nothing_and_an_empty_queue_says_so() -> None:
    assert "2 of 2  f2" in triage("", "--show")
    assert not Path("ledger").exists()
    Path("data/live/feedback.jsonl").unlink()
    assert "no feedback waits" in triage("")
