"""The serving bench counts what it says, and runs from first to last at a tiny size."""

import asyncio
import time
from pathlib import Path

import psutil
import pytest

from bench.serve import Answer, Contestant, Watch, closed_loop, lal_command, overload, prepare, row, started
from lal.errors import LalError
from tests.tiny_model import write_speaking_model

QUESTIONS = ["giue", "haue", "loue"]


def test_rates_are_of_answers_alone_and_waits_are_percentiles_in_milliseconds() -> None:
    contestant = Contestant("lal", ("127.0.0.1", 1), psutil.Process())
    answers = [Answer(200, second / 1000, 1.0, 10) for second in range(1, 101)] + [Answer(429, float("nan"), 0.1, 0)]
    told = row(contestant, 4, answers, 10.0)
    assert (told["requests a second"], told["tokens a second"], told["refused"]) == (10.0, 100, 1)
    assert (told["first text ms, p50"], told["p99"]) == (50.5, 99.0)


def test_memory_is_told_at_first_at_most_and_at_last() -> None:
    watch = Watch(psutil.Process())
    watch.look()
    assert 0 < watch.last <= watch.most


@pytest.mark.slow
def test_a_real_server_is_asked_and_nothing_is_lost_when_it_is_asked_for_too_much(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("gguf")
    write_speaking_model(tmp_path / "model")
    folder, _ = prepare(tmp_path / "model", tmp_path / "scratch")
    assert (folder / "model-f16.gguf").is_file()
    assert not (tmp_path / "model" / "model-f16.gguf").exists()
    with started("lal, torch", lal_command(folder, "torch", "--no-log")) as contestant:
        begun = time.perf_counter()
        answers = asyncio.run(closed_loop(contestant.address, QUESTIONS, 3, 0.5))
        assert time.perf_counter() - begun < 10
    assert {answer.status for answer in answers} == {200}
    rows = overload(folder, QUESTIONS, 2.0, tmp_path)
    assert {str(each["status"]) for each in rows} <= {"200", "429"}
    said = capsys.readouterr().out
    logged, answered = said.split("request log: ")[1].split(" answers")[0].split(" of ")
    assert logged == answered


@pytest.mark.slow
def test_a_server_that_does_not_start_is_told_of() -> None:
    with pytest.raises(LalError, match="lal, torch does not start"), started("lal, torch", ["print('no')"]):
        pass
