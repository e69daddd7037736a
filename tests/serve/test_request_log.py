"""The request log keeps what its policy says, without what is personal, and never costs an answer."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lal.errors import DataError
from lal.live import FEEDBACK, REQUESTS, Feedback, Request
from lal.records import Message, read_records
from lal.serve import log_files
from lal.serve.log_files import Appender
from lal.serve.metrics import Metrics
from lal.serve.process import Options, running
from lal.serve.request_log import (
    LEAST_SEEN,
    MAX_QUEUED,
    REMEMBERED,
    Confidence,
    RequestLog,
    UnknownRequestError,
    UnwrittenError,
)
from tests.serve.conftest import Client


def metrics() -> Metrics:
    return Metrics(lambda: 0, lambda: 0, lambda: 0)


def request(number: int, content: str = "giue", mean: float | None = -0.5) -> Request:
    return Request(
        id=f"chatcmpl-{number}",
        time="2026-01-01T00:00:00.000Z",
        model="0" * 12,
        messages=(Message(role="user", content=content),),
        answer="give",
        finish_reason="stop",
        prompt_tokens=4,
        answer_tokens=1,
        first_token_seconds=0.1,
        seconds=0.2,
        mean_log_probability=mean,
        tags={"source": "api"},
        redactions=0,
        kept_because="share",
        kept_share=1.0,
    )


def rows(folder: Path) -> list[Request]:
    return read_records(folder / REQUESTS, Request)


def test_a_share_is_kept_and_says_with_which_chance(tmp_path: Path) -> None:
    draws = iter([0.09, 0.11, 0.0, 0.99])
    log = RequestLog(tmp_path, 0.1, metrics(), lambda: next(draws))
    for number in range(4):
        log.add(request(number))
    log.close()
    assert [(row.id, row.kept_because, row.kept_share) for row in rows(tmp_path)] == [
        ("chatcmpl-0", "share", 0.1),
        ("chatcmpl-2", "share", 0.1),
    ]


def test_the_least_confident_tenth_is_always_kept(tmp_path: Path) -> None:
    log = RequestLog(tmp_path, 0.0, metrics())
    for number in range(200):
        log.add(request(number, mean=-1.0 - (number * 37 % 100) / 100))
    log.add(request(1000, mean=-5.0))
    log.add(request(1001, mean=-0.1))
    log.close()
    kept = rows(tmp_path)
    assert all(row.kept_because == "low confidence" and row.kept_share == 1.0 for row in kept)
    assert kept[-1].id == "chatcmpl-1000"
    assert 5 <= len(kept) <= 30


def test_nothing_counts_as_low_before_there_is_something_to_compare_with() -> None:
    confidence = Confidence()
    assert not any(confidence.is_low(-number) for number in range(LEAST_SEEN))
    assert confidence.is_low(-1000.0)
    assert not confidence.is_low(None)
    assert not confidence.is_low(0.0)


def test_feedback_writes_the_request_that_was_not_kept_once_and_before_itself(tmp_path: Path) -> None:
    log = RequestLog(tmp_path, 0.0, metrics())
    log.add(request(1, "call me: +44 20 7946 0958"))
    log.flag("chatcmpl-1", "up", "", "").result(5)
    log.flag("chatcmpl-1", "down", "mail will@globe.example", "bad").result(5)
    with pytest.raises(UnknownRequestError):
        log.flag("chatcmpl-2", "up", "", "")
    log.close()
    kept = rows(tmp_path)
    assert [(row.id, row.kept_because, row.kept_share, row.redactions) for row in kept] == [
        ("chatcmpl-1", "flagged", 1.0, 1)
    ]
    assert kept[0].prompt == "call me: [phone]"
    told = read_records(tmp_path / FEEDBACK, Feedback)
    assert [(row.rating, row.correction, row.redactions) for row in told] == [
        ("up", "", 0),
        ("down", "mail [email]", 1),
    ]
    assert {row.request for row in told} == {"chatcmpl-1"}


def test_only_the_last_thousand_can_get_feedback_and_the_memory_does_not_grow(tmp_path: Path) -> None:
    log = RequestLog(tmp_path, 0.0, metrics())
    for number in range(REMEMBERED + 1):
        log.add(request(number, mean=None))
    with pytest.raises(UnknownRequestError):
        log.flag("chatcmpl-0", "up", "", "")
    log.flag("chatcmpl-1", "up", "", "").result(5)
    log.close()


class Stuck:
    """A disk that does not answer."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_stuck = True
        monkeypatch.setattr(Appender, "append", self._append)

    def _append(self, *_: object, **__: object) -> None:
        while self.is_stuck:
            time.sleep(0.01)


def test_a_slow_disk_drops_rows_and_counts_them_instead_of_delaying_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, counts = Stuck(monkeypatch), metrics()
    log = RequestLog(tmp_path, 1.0, counts)
    started = time.monotonic()
    for number in range(MAX_QUEUED + 100):
        log.add(request(number, mean=None))
    assert time.monotonic() - started < 2
    with pytest.raises(UnwrittenError):
        log.flag(f"chatcmpl-{MAX_QUEUED}", "up", "", "")
    dropped = [line for line in counts.text().decode().splitlines() if 'outcome="dropped"' in line]
    assert float(dropped[0].split()[1]) >= 99
    disk.is_stuck = False
    log.close()


def test_files_are_put_aside_when_full_and_the_oldest_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_files, "MAX_BYTES", 100)
    file = Appender(tmp_path / "requests.jsonl", rotates=True)
    for number in range(60):
        file.append(json.dumps({"number": number, "text": "x" * 20}))
    file.close()
    older = sorted(tmp_path.glob("requests-*.jsonl"))
    assert len(older) == log_files.KEPT_FILES
    assert all(path.stat().st_size <= 100 for path in older)
    lines = [line for path in [*older, tmp_path / "requests.jsonl"] for line in path.read_text().splitlines()]
    numbers = [json.loads(line)["number"] for line in lines]
    assert numbers == list(range(60 - len(numbers), 60))


def test_a_file_that_somebody_takes_away_is_begun_anew(tmp_path: Path) -> None:
    rows = Appender(tmp_path / "live" / "rows.jsonl", rotates=True)
    rows.append("1")
    rows.path.unlink()
    rows.append("2")
    assert rows.path.read_text() == "2\n"
    rows.path.rename(tmp_path / "mine.jsonl")
    rows.path.parent.rmdir()
    rows.append("3", is_precious=True)
    rows.append("4")
    assert (rows.path.read_text(), (tmp_path / "mine.jsonl").read_text()) == ("3\n4\n", "2\n")
    rows.close()


def test_half_a_line_that_a_kill_left_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "requests.jsonl"
    path.write_text('{"a": 1}\n{"a": 2')
    file = Appender(path, rotates=True)
    file.append('{"a": 3}')
    file.close()
    assert path.read_text() == '{"a": 1}\n{"a": 3}\n'


def test_a_last_row_without_its_line_end_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"n":1}\n{"n":2}')
    rows = Appender(path, rotates=False)
    rows.append('{"n":3}')
    rows.close()
    assert path.read_text() == '{"n":1}\n{"n":2}\n{"n":3}\n'


def test_a_second_server_does_not_write_into_the_same_file(tmp_path: Path) -> None:
    log = RequestLog(tmp_path, 0.1, metrics())
    with pytest.raises(DataError, match=r"another server writes to it\n  -> .*--log"):
        RequestLog(tmp_path, 0.1, metrics())
    log.close()
    RequestLog(tmp_path, 0.1, metrics()).close()


@pytest.fixture
def logged(folder: Path, tmp_path: Path) -> Iterator[Client]:
    with running(Options(lambda: folder, log_folder=tmp_path / "live", log_share=1.0)) as address:
        yield Client(address)


def wait_for(client: Client, metric: str, value: float) -> None:
    deadline = time.monotonic() + 10
    while client.number(metric) < value:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_over_http_each_kind_of_request_leaves_its_row_and_who_opts_out_leaves_none(
    logged: Client, tmp_path: Path
) -> None:
    chat = logged.chat("mail will@globe.example", max_tokens=4, metadata={"source": "page", "mine": "1.2.3.4"}).json
    text = logged.complete("giue", max_tokens=4, stream=True).events
    hidden = [logged.chat("secret", store=False).json["id"]]
    hidden.append(logged.post("/v1/completions", {"model": "lal", "prompt": "secret"}, X_Lal_No_Log="1").json["id"])
    for request_id in hidden:
        reply = logged.post("/v1/feedback", {"request": request_id, "rating": "up"})
        assert (reply.status, reply.error["code"]) == (404, "request_not_found")
    wait_for(logged, "lal_log_rows_total", 2)
    first, second = rows(tmp_path / "live")
    assert (first.id, first.prompt, first.redactions) == (chat["id"], "mail [email]", 2)
    assert first.tags == {"source": "page", "mine": "[ip]"}
    assert first.answer == chat["choices"][0]["message"]["content"]
    assert (first.prompt_tokens, first.answer_tokens) == (chat["usage"]["prompt_tokens"], 4)
    assert first.mean_log_probability is not None
    assert (second.id, second.text, second.tags) == (text[0]["id"], "giue", {"source": "api"})
    assert "secret" not in (tmp_path / "live" / REQUESTS).read_text()


def test_over_http_feedback_is_answered_once_it_is_on_the_disk(logged: Client, tmp_path: Path) -> None:
    answered = logged.chat("giue", max_tokens=4).json["id"]
    reply = logged.post("/v1/feedback", {"request": answered, "rating": "down", "correction": "give"})
    assert (reply.status, reply.json["request"]) == (200, answered)
    told = read_records(tmp_path / "live" / FEEDBACK, Feedback)
    assert [(row.id, row.correction) for row in told] == [(reply.json["id"], "give")]
    assert logged.post("/v1/feedback", {"request": answered}).status == 400


def test_a_full_disk_costs_no_answer_is_told_once_and_feedback_is_not_promised(
    logged: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Appender, "append", full)
    answered = [logged.chat("giue", max_tokens=2) for _ in range(3)]
    assert [reply.status for reply in answered] == [200] * 3
    reply = logged.post("/v1/feedback", {"request": answered[0].json["id"], "rating": "up"})
    assert (reply.status, reply.error["code"]) == (503, "not_written")
    assert caplog.text.count("cannot be written") == 1
    wait_for(logged, 'lal_log_rows_total{outcome="failed"}', 3)


def test_without_a_log_feedback_is_refused(client: Client) -> None:
    answered = client.chat("giue", max_tokens=2).json["id"]
    reply = client.post("/v1/feedback", {"request": answered, "rating": "up"})
    assert (reply.status, reply.error["code"]) == (503, "no_log")
    assert client.get("/health").json["logs"] is False
