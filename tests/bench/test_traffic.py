"""The archive's lines are those of the Folio but for their s, and their answers are the right ones."""

from pathlib import Path

import pytest

from bench.traffic import LONG_S, Line, main, send, traffic, with_long_s
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


def test_each_sixth_line_is_held_out_and_lines_without_a_long_s_are_passed_over() -> None:
    training = [row(number, "a house") for number in range(12)] + [row(99, "is")]
    lines = list(traffic(training, [row(100, "so"), row(101, "he is"), row(102, "see")]))
    assert [line.is_held_out for line in lines] == 2 * [*5 * [False], True] + [False, False]
    assert {line.answer for line in lines if line.is_held_out} == {"100", "102"}
    assert {line.prompt for line in lines if not line.is_held_out} == {f"Modernise: a hou{LONG_S}e"}


def test_right_answers_are_counted_and_as_many_corrected_as_asked_for(tmp_path: Path) -> None:
    write_speaking_model(tmp_path / "bundle")
    expected = chat_model("lal", load_model(tmp_path / "bundle"), 9, 1)
    said = expected.answer([asked("Modernise: giue")])[0].text
    with running(Options(lambda: tmp_path / "bundle", log_folder=tmp_path / "live")) as address:
        lines = [Line("Modernise: giue", said, is_held_out=False), Line("Modernise: loue", "no such", is_held_out=True)]
        assert send(f"{address}/v1", lines, 1) == [True, False]
    [row] = read_records(tmp_path / "live" / "feedback.jsonl", Feedback)
    assert (row.rating, row.correction) == ("up", said)


def asked(prompt: str) -> GoldItem:
    return GoldItem(
        id="g", slice="known", messages=(Message(role="user", content=prompt),), scorer="exact", expected="x",
        difficulty="easy", source="t", split="dev", version=1,
    )  # fmt: skip


def test_without_a_server_it_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for split in ("train", "validation"):
        write_jsonl(Path(f"data/conversations/{split}.jsonl"), [row(1, "a house")])
    with pytest.raises(SystemExit, match="no answer"):
        main(["--endpoint", "http://127.0.0.1:9/v1"])
