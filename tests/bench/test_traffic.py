"""The archive's lines are those of the Folio but for their s, and their answers are the right ones."""

from pathlib import Path

import pytest

from bench.traffic import LONG_S, main, send, traffic, with_long_s
from lal.evaluation.solvers.solver import chat_model
from lal.files import write_jsonl
from lal.gold_items import GoldItem
from lal.live import Feedback
from lal.model.folder import load_model
from lal.records import Conversation, Message, read_records
from lal.serve.process import Options, running
from tests.tiny_model import write_speaking_model

LINE = "Haue you seene his house, Sir? Les Dieux"


def row(number: int, line: str) -> Conversation:
    messages = (Message(role="user", content=f"Modernise: {line}"), Message(role="assistant", content=f"{number}"))
    told = {"task": "modernise", "source": "t", "licence": "CC0-1.0", "split": "validation"}
    return Conversation.model_validate({"id": f"r{number}", "messages": messages, **told})


def test_an_s_is_long_unless_it_ends_a_word_or_is_a_capital() -> None:
    assert with_long_s(LINE) == LINE.replace("seene", f"{LONG_S}eene").replace("house", f"hou{LONG_S}e")


def test_lines_without_a_long_s_are_passed_over_and_answers_stay_with_theirs() -> None:
    pairs = dict(traffic([row(1, "a house"), row(2, "is"), row(3, "so")]))
    assert pairs == {f"Modernise: a hou{LONG_S}e": "1", f"Modernise: {LONG_S}o": "3"}


def test_right_answers_are_counted_and_as_many_corrected_as_asked_for(tmp_path: Path) -> None:
    write_speaking_model(tmp_path / "bundle")
    expected = chat_model("lal", load_model(tmp_path / "bundle"), 9, 1)
    said = expected.answer([asked("Modernise: giue")])[0].text
    with running(Options(lambda: tmp_path / "bundle", log_folder=tmp_path / "live")) as address:
        assert send(f"{address}/v1", [("Modernise: giue", said), ("Modernise: loue", "no such answer")], 1) == (1, 1)
    [row] = read_records(tmp_path / "live" / "feedback.jsonl", Feedback)
    assert (row.rating, row.correction) == ("up", said)


def asked(prompt: str) -> GoldItem:
    return GoldItem(
        id="g", slice="known", messages=(Message(role="user", content=prompt),), scorer="exact", expected="x",
        difficulty="easy", source="t", split="dev", version=1,
    )  # fmt: skip


def test_without_a_server_it_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    write_jsonl(Path("data/conversations/validation.jsonl"), [row(1, "a house")])
    with pytest.raises(SystemExit, match="no answer"):
        main(["--endpoint", "http://127.0.0.1:9/v1"])
