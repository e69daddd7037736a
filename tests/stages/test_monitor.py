"""The stage `monitor` on a project that was really made, in small: a model, its bundle, its server, its request log."""

from pathlib import Path
from typing import Any

import pytest

from lal.evaluation.scores.results import write_results
from lal.evaluation.scores.scoring import score_answers
from lal.evaluation.solvers.solver import chat_model
from lal.export.manifest import write_manifest
from lal.files import sha256, write_jsonl
from lal.gold_items import GoldItem
from lal.live import Request
from lal.model.folder import load_model
from lal.params import Params, load_params
from lal.records import Conversation, Document, Message, read_records
from lal.reporting import NullReporter
from lal.serve.process import Options, running, running_server
from lal.stages.monitor import monitor
from tests.tiny_model import write_speaking_model

ROOT = Path(__file__).parents[2]
LINES = ["giue me loue", "haue no horsse", "loue and haue", "giue vs no loue", "no horsse vs", "haue vs giue me"]


@pytest.fixture(scope="module")
def params() -> Params:
    return load_params(ROOT / "params.yaml")


def message(text: str) -> tuple[Message, ...]:
    return (Message(role="user", content=f"Modernise: {text}"),)


def request(number: int, text: str, share: float = 1.0) -> Request:
    return Request(
        id=f"r{number}", time=f"2026-01-01T00:00:{number:02}.000Z", model="a", messages=message(text),
        answer="have", finish_reason="stop", prompt_tokens=1, answer_tokens=1, first_token_seconds=None, seconds=0.1,
        mean_log_probability=None, tags={}, redactions=0, kept_because="share", kept_share=share,
    )  # fmt: skip


def line(number: int) -> str:
    return f"{LINES[number % 6]} {LINES[(number // 6) % 6]}"


@pytest.fixture
def project(tmp_path: Path) -> dict[str, Path]:
    write_speaking_model(tmp_path / "bundle")
    write_speaking_model(tmp_path / "base", seed=2)
    items = [
        GoldItem(
            id=f"g{number}", slice="known", messages=message(line(7 * number)), scorer="exact", expected="x",
            difficulty="easy", source="t", split="dev", version=1,
        )
        for number in range(5)
    ]  # fmt: skip
    write_jsonl(tmp_path / "gold" / "gold.jsonl", items)
    said = chat_model("lal", load_model(tmp_path / "bundle"), 8, 8).answer(items)
    write_results(tmp_path / "answers.jsonl", score_answers(items, said))
    told = {"source": "t", "licence": "CC0-1.0"}
    write_jsonl(tmp_path / "corpus" / "train.jsonl", [Document(id="d", text=" ".join(LINES), split="train", **told)])
    for split in ("train", "validation"):
        rows: list[Any] = [
            {"id": f"{split}{n}", "task": "modernise", "split": split, "messages": chat(line(n)), **told}
            for n in range(36)
        ]
        write_jsonl(tmp_path / "conversations" / f"{split}.jsonl", [Conversation.model_validate(row) for row in rows])
    write_jsonl(tmp_path / "live" / "requests.jsonl", [request(n, line(n)) for n in range(60)])
    names = ("live", "gold", "corpus", "conversations", "base", "bundle")
    return {name: tmp_path / name for name in names} | {
        "answers": tmp_path / "answers.jsonl",
        "report": tmp_path / "monitor.html",
    }


def chat(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": f"Modernise: {text}"}, {"role": "assistant", "content": text}]


def look(params: Params, project: dict[str, Path], **changes: Any) -> dict[str, Any]:
    settings = params.monitor.model_copy(update=changes)
    return monitor(params=params.model_copy(update={"monitor": settings}), reporter=NullReporter(), **project)


def test_traffic_of_the_known_kind_raises_no_alarm(params: Params, project: dict[str, Path]) -> None:
    found = look(params, project)
    assert found["sentences"] == []
    assert found["requests"] == 60
    assert (found["gold_items"], found["served_otherwise"]) == (5, 0)
    assert "No alarm" in project["report"].read_text()


def test_other_traffic_is_drift_and_names_what_to_label(params: Params, project: dict[str, Path]) -> None:
    foreign = [request(n, "BITTE SCHREIBE MIR EINEN LANGEN BRIEF <b>") for n in range(60)]
    write_jsonl(project["live"] / "requests-20260101T000000.jsonl", foreign[:30])  # A file that was put aside counts.
    write_jsonl(project["live"] / "requests.jsonl", foreign[30:])
    found = look(params, project)
    assert found["drift"]["unseen_grams"]["alarm"]
    assert found["uncovered"] == 1.0
    assert {sentence.split(":")[0] for sentence in found["sentences"]} == {"drift", "coverage"}
    assert "BITTE SCHREIBE MIR EINEN LANGEN BRIEF &lt;b&gt;" in project["report"].read_text()


def test_a_row_that_stands_for_many_counts_as_many(params: Params, project: dict[str, Path]) -> None:
    rare = [request(n, line(n), share=0.01) for n in range(50)] + [request(50 + n, "XYZ QQQ") for n in range(50)]
    write_jsonl(project["live"] / "requests.jsonl", rare)
    assert look(params, project)["uncovered"] == pytest.approx(50 / 5050, abs=1e-4)


def test_with_few_requests_only_the_server_is_looked_at(params: Params, project: dict[str, Path]) -> None:
    found = look(params, project, min_requests=61)
    assert found["drift"] == {}
    assert found["uncovered"] is None
    assert found["alarms"] == 0


def test_an_endpoint_with_another_model_is_an_alarm(params: Params, project: dict[str, Path], tmp_path: Path) -> None:
    write_speaking_model(tmp_path / "other", seed=5)
    with running_server(tmp_path / "other") as address:
        found = look(params, project, endpoint=address)
    assert found["served_otherwise"] > 0
    assert found["sentences"][0].startswith(f"serving: {address} answers")
    assert "Served in other words" in project["report"].read_text()


def test_what_it_asks_is_not_taken_for_traffic(params: Params, project: dict[str, Path], tmp_path: Path) -> None:
    with running(Options(lambda: project["bundle"], log_folder=tmp_path / "log", log_share=1.0)) as address:
        assert look(params, project, endpoint=f"{address}/v1")["served_otherwise"] == 0
    assert (tmp_path / "log" / "requests.jsonl").read_text() == ""


def trained(project: dict[str, Path]) -> None:
    files = {"train.jsonl": sha256(project["conversations"] / "train.jsonl")}
    write_manifest(project["bundle"], {"data": {"conversations": {"files": files}}})


def test_what_was_trained_on_since_is_drift_no_longer(params: Params, project: dict[str, Path]) -> None:
    long_s = "\N{LATIN SMALL LETTER LONG S}"
    asked = [f"{long_s}ome {long_s}trange {line(number)} {long_s}pelling" for number in range(60)]
    write_jsonl(project["live"] / "requests.jsonl", [request(number, text) for number, text in enumerate(asked)])
    assert look(params, project)["drift"]["unseen_grams"]["alarm"]
    path = project["conversations"] / "train.jsonl"
    told = {"task": "modernise", "split": "train", "licence": "CC0-1.0"}
    since = [
        Conversation.model_validate({"id": f"f:{n}", "source": f"live/f{n}", "messages": chat(text), **told})
        for n, text in enumerate(asked[:30])
    ]
    write_jsonl(path, [*read_records(path, Conversation), *since])
    assert look(params, project)["drift"]["unseen_grams"]["alarm"]  # The bundle was not trained on them yet.
    trained(project)
    assert not [each for each in look(params, project)["drift"].values() if each["alarm"]]
    write_jsonl(path, [row for row in read_records(path, Conversation) if row.source != "live/f7"][:-11])
    trained(project)
    assert look(params, project)["drift"]["unseen_grams"]["alarm"]  # Too few to say what their kind is.
