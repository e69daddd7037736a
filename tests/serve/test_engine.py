"""The engine writes for many at once what each would get alone, and lets nobody's place be taken."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from lal.model.generate import generate_batch
from lal.model.sampling import Sampling
from lal.records import Message
from lal.runtime import Runtime, Settings
from lal.serve import engine as engine_module
from lal.serve.engine import TorchEngine
from lal.serve.jobs import BusyError, ClosedError, End, Job, Update
from lal.text.chat import render_prompt

WORDS = ["giue", "vs", "loue", "haue", "no", "horsse", "Modernise:"]


class Asked:
    """A job and what came of it."""

    def __init__(
        self,
        prompt: list[int],
        sampling: Sampling | None = None,
        limit: int = 20,
        seed: int = 0,
        stops: tuple[str, ...] = (),
        num_candidates: int = 0,
        seconds: float = 60.0,
    ) -> None:
        self.updates: list[Update] = []
        self.done = threading.Event()
        deadline = time.monotonic() + seconds
        self.job = Job(prompt, sampling or Sampling(), limit, seed, stops, num_candidates, deadline, self._take)

    def _take(self, update: Update) -> None:
        self.updates.append(update)
        if update.end is not None:
            self.done.set()

    def wait(self) -> tuple[str, End | None]:
        assert self.done.wait(30)
        assert [update.end for update in self.updates[:-1]] == [None] * (len(self.updates) - 1)
        return "".join(update.passage.text for update in self.updates), self.updates[-1].end


@pytest.fixture(scope="module")
def runtime(folder: Path) -> Runtime:
    return Runtime.load(folder)


@pytest.fixture
def engine(runtime: Runtime) -> Iterator[TorchEngine]:
    engine = TorchEngine(runtime.model, runtime.tokenizer.end_id, runtime.tokenizer.token_bytes, 4, 50)
    yield engine
    engine.close()


def prompt(runtime: Runtime, number: int) -> list[int]:
    text = " ".join(WORDS[(number * 3 + place) % len(WORDS)] for place in range(1 + number % 5))
    return render_prompt([Message(role="user", content=text)], runtime.tokenizer)


def test_many_at_once_greedy_and_drawn_get_what_each_gets_alone(engine: TorchEngine, runtime: Runtime) -> None:
    drawn = Sampling(temperature=1.3, top_p=0.95)
    asked = [
        Asked(prompt(runtime, number), drawn if number % 3 == 0 else None, 5 + number, seed=number)
        for number in range(24)
    ]
    for each in asked:
        engine.submit(each.job)
    for number, each in enumerate(asked):
        text, end = each.wait()
        if number % 3 == 0:
            settings = Settings(drawn, 5 + number)
            words = " ".join(WORDS[(number * 3 + place) % len(WORDS)] for place in range(1 + number % 5))
            assert text == "".join(runtime.chat([Message(role="user", content=words)], settings, seed=number))
            continue
        alone = generate_batch(runtime.model, [each.job.prompt], 5 + number, runtime.tokenizer.end_id)[0]
        assert (text, end) == (runtime.tokenizer.decode(alone.ids), alone.finish_reason)
        assert each.job.num_tokens == len(alone.ids)


def test_one_who_goes_away_frees_the_row_at_the_next_step(engine: TorchEngine, runtime: Runtime) -> None:
    hogs = [Asked([token_id], Sampling(temperature=5.0), 96, seed=token_id) for token_id in range(4)]
    for hog in hogs:
        engine.submit(hog.job)
    patient = Asked(prompt(runtime, 1), limit=3)
    engine.submit(patient.job)
    before = []
    for hog in hogs:
        before.append(hog.job.num_tokens)
        hog.job.cancel()
    assert patient.wait()[1] in ("stop", "length")
    for hog, count in zip(hogs, before, strict=True):
        assert hog.done.wait(10)
        assert hog.job.num_tokens - count <= 3
    deadline = time.monotonic() + 5
    while engine.num_running or engine.num_waiting:
        assert time.monotonic() < deadline


@pytest.mark.parametrize(("most_for_one_core", "expected"), [(engine_module.MOST_FOR_ONE_CORE, 1), (0, 2)])
def test_a_small_model_is_written_with_on_one_core_and_nobody_else_is_kept_to_it(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch, most_for_one_core: int, expected: int
) -> None:
    seen: list[int] = []
    head = runtime.model.head

    def watched(hidden: Tensor) -> Tensor:
        seen.append(torch.get_num_threads())
        return head(hidden)

    monkeypatch.setattr(runtime.model, "head", watched)
    monkeypatch.setattr(engine_module, "MOST_FOR_ONE_CORE", most_for_one_core)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        engine = TorchEngine(runtime.model, runtime.tokenizer.end_id, runtime.tokenizer.token_bytes, 4, 50)
        asked = Asked(prompt(runtime, 1), limit=3)
        engine.submit(asked.job)
        asked.wait()
        engine.close()
        assert set(seen) == {expected}
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_one_whose_time_is_over_ends_with_what_there_is(engine: TorchEngine, runtime: Runtime) -> None:
    late = Asked(prompt(runtime, 1), seconds=-1.0)
    engine.submit(late.job)
    assert late.wait() == ("", "timeout")


def test_a_full_line_takes_nobody_and_a_closed_one_ends_what_it_has(runtime: Runtime) -> None:
    engine = TorchEngine(runtime.model, runtime.tokenizer.end_id, runtime.tokenizer.token_bytes, 1, 2)
    asked = [Asked(prompt(runtime, number), limit=90) for number in range(40)]
    accepted, num_refused = [], 0
    for each in asked:
        try:
            engine.submit(each.job)
            accepted.append(each)
        except BusyError:
            num_refused += 1
    engine.close()
    assert num_refused > 0
    assert len(accepted) >= 2
    assert {each.wait()[1] for each in accepted} <= {"stop", "length"}
    with pytest.raises(ClosedError):
        engine.submit(asked[-1].job)


def test_alternatives_come_likeliest_first_and_agree_with_the_models_odds(
    engine: TorchEngine, runtime: Runtime
) -> None:
    few, many = Asked([5, 6], limit=4, num_candidates=2), Asked([7], limit=4, num_candidates=20)
    engine.submit(few.job)
    engine.submit(many.job)
    for asked, count in ((few, 2), (many, 20)):
        asked.wait()
        for update in asked.updates:
            for token in update.passage.tokens:
                values = [each.log_probability for each in token.candidates]
                assert len(values) == count
                assert values == sorted(values, reverse=True)
                assert token.log_probability == values[0]


def test_a_step_that_fails_ends_its_requests_with_an_error_and_the_next_ones_are_answered(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    engine = TorchEngine(runtime.model, runtime.tokenizer.end_id, runtime.tokenizer.token_bytes)
    broken, fine = Asked(prompt(runtime, 1)), Asked(prompt(runtime, 1))
    with monkeypatch.context() as patch:
        patch.setattr(engine, "_choose", lambda: 1 / 0)
        engine.submit(broken.job)
        assert broken.wait() == ("", "error")
    engine.submit(fine.job)
    assert fine.wait()[1] in ("stop", "length")
    engine.close()
    assert "a step failed" in caplog.text
