"""A whole run: validation, best weights, early stopping, and going on after an interruption."""

import hashlib
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from lal.errors import TrainingError
from lal.model.transformer import Transformer
from lal.text.batches import Batch
from lal.train.fit import Fitted, best_row, fit, out_of_patience, write_curve
from lal.train.loop import Plan
from lal.train.resume import open_checkpoints
from lal.train.validation import validate
from tests.tiny_training import Listener, held_out, new_model, new_plan, tokenizer


def digest(model: Transformer) -> str:
    weights = b"".join(weight.detach().numpy().tobytes() for weight in model.parameters())
    return hashlib.sha256(weights).hexdigest()


@pytest.fixture
def train(tmp_path: Path) -> Callable[..., tuple[str, Fitted]]:
    """Trains a new model with a plan; gives the digest of its weights and how it went."""

    def run(plan: Plan, scratch: str = "scratch", listener: Listener | None = None, **more: Any) -> tuple[str, Fitted]:
        model, reporter = new_model(), listener or Listener()
        with open_checkpoints(tmp_path / scratch, {"plan": 1}, reporter) as checkpoints:
            fitted = fit(model, plan, held_out(), tokenizer(), checkpoints, reporter, **more)
        return digest(model), replace(fitted, tokens_per_second=None)

    return run


def interrupted(plan: Plan, at: int, act: Callable[[], None]) -> Plan:
    """The plan, but `act` happens before step `at` (from 1) learns."""

    def batches(step: int) -> Batch:
        if step == at - 1:
            act()
        return plan.batches(step)

    return replace(plan, batches=batches)


def crash() -> None:
    raise OSError("the power went out")


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.fixture
def undisturbed(train: Callable[..., tuple[str, Fitted]]) -> tuple[str, Fitted]:
    return train(new_plan(), scratch="undisturbed")


@pytest.mark.parametrize("at", [1, 3, 5, 6, 9, 12])
def test_a_run_that_crashed_at_any_step_ends_in_the_same_bytes(
    train: Callable[..., tuple[str, Fitted]], undisturbed: tuple[str, Fitted], at: int
) -> None:
    with pytest.raises(OSError, match="power"):
        train(interrupted(new_plan(), at, crash))
    assert train(new_plan()) == undisturbed


@pytest.mark.parametrize("at", [1, 4, 6, 8, 12])
def test_a_run_that_was_terminated_saves_says_so_and_ends_in_the_same_bytes(
    train: Callable[..., tuple[str, Fitted]], undisturbed: tuple[str, Fitted], at: int
) -> None:
    listener = Listener()
    with pytest.raises(SystemExit) as caught:
        train(interrupted(new_plan(), at, terminate), listener=listener)
    assert caught.value.code == 143
    assert listener.lines[-1] == f"pretrain: stopped after step {at}, saved; the same command continues it"
    again = Listener()
    assert train(new_plan(), listener=again) == undisturbed
    assert again.lines[0] == f"pretrain: continuing after step {at} of 12"


def test_many_interruptions_one_after_the_other_change_nothing(
    train: Callable[..., tuple[str, Fitted]], undisturbed: tuple[str, Fitted]
) -> None:
    for at, act in ((2, terminate), (4, crash), (7, terminate), (8, crash), (11, crash), (11, terminate)):
        with pytest.raises((SystemExit, OSError)):
            train(interrupted(new_plan(), at, act))
    assert train(new_plan()) == undisturbed


def test_ctrl_c_exits_with_130_and_gives_the_handlers_back(train: Callable[..., tuple[str, Fitted]]) -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(SystemExit) as caught:
        train(interrupted(new_plan(), 2, lambda: os.kill(os.getpid(), signal.SIGINT)))
    assert caught.value.code == 130
    assert signal.getsignal(signal.SIGINT) is before


def test_the_best_weights_are_kept_not_the_last(train: Callable[..., tuple[str, Fitted]]) -> None:
    # A rate this high makes the model worse and worse.
    worsening = {"learning_rate": 1.0, "embedding_learning_rate": 1.0, "head_learning_rate": 1.0, "decay_fraction": 0.0}
    plan = new_plan(**worsening, warmup_fraction=0.0, validate_every=1, patience=12)
    kept, fitted = train(plan)
    best = best_row(fitted.rows)
    assert fitted.best_step == best["step"] < fitted.steps == 12
    assert fitted.validation.nats_per_token == pytest.approx(best["validation_loss"], rel=1e-6)
    # At a constant rate, a run that ends there has the same weights.
    shorter = new_plan(**worsening, warmup_fraction=0.0, validate_every=1, patience=12, steps=fitted.best_step)
    assert train(shorter, scratch="shorter")[0] == kept


def test_training_stops_when_patience_runs_out_and_stays_stopped(train: Callable[..., tuple[str, Fitted]]) -> None:
    plan = new_plan(
        steps=40,
        validate_every=1,
        patience=2,
        learning_rate=1.0,
        embedding_learning_rate=1.0,
        head_learning_rate=1.0,
        warmup_fraction=0.0,
        decay_fraction=0.0,
    )
    straight, fitted = train(plan, scratch="a")
    assert fitted.stopped_early
    assert fitted.steps == fitted.best_step + 2 < 40
    with pytest.raises(SystemExit):  # Stopped at the very step at which patience runs out.
        train(interrupted(plan, fitted.steps, terminate))
    assert train(plan) == (straight, fitted)


def test_out_of_patience_counts_validations_since_the_best() -> None:
    rows = [{"validation_loss": loss} for loss in (3.0, 2.0, 2.0, 2.5)]
    assert not out_of_patience([], 1)
    assert out_of_patience(rows, 2)
    assert not out_of_patience(rows, 3)


def test_each_validation_gives_a_line_a_sample_and_a_point(train: Callable[..., tuple[str, Fitted]]) -> None:
    listener = Listener()
    _, fitted = train(new_plan(), listener=listener, sample=lambda: "it writes: x")
    assert [row["step"] for row in fitted.rows] == [4, 8, 12]
    assert sum("nats a token" in line for line in listener.lines) == 3
    assert listener.lines.count("it writes: x") == 3
    assert [step for step, point in listener.points if "validation_loss" in point] == [4, 8, 12]
    assert [step for step, point in listener.points if "train_loss" in point] == [10, 12]


def test_the_speed_is_left_out_if_all_steps_had_been_taken_before(tmp_path: Path) -> None:
    def once_more(plan: Plan) -> Fitted:
        with open_checkpoints(tmp_path, {"plan": 1}, Listener()) as checkpoints:
            return fit(new_model(), plan, held_out(), tokenizer(), checkpoints, Listener())

    with pytest.raises(SystemExit):
        once_more(interrupted(new_plan(), 12, terminate))
    assert once_more(new_plan()).timing() == {}
    assert once_more(new_plan()).timing()["tokens_per_second"] > 0


@pytest.mark.parametrize("part", ["validate", "Optimizer"])
def test_a_lack_of_memory_anywhere_is_a_clear_error(
    train: Callable[..., tuple[str, Fitted]], part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"lal.train.fit.{part}", lambda *_: torch.empty(2**58))
    with pytest.raises(TrainingError, match=r"pretrain: .* does not fit into the memory") as caught:
        train(new_plan())
    assert "pretrain.batch_size (now 2)" in caught.value.remedy


def test_another_thread_count_is_said(train: Callable[..., tuple[str, Fitted]]) -> None:
    with pytest.raises(OSError, match="power"):
        train(interrupted(new_plan(), 6, crash))
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    listener = Listener()
    try:
        train(new_plan(), listener=listener)
    finally:
        torch.set_num_threads(threads)
    assert any(f"made with {threads} threads, this process has {threads + 1}" in line for line in listener.lines)


def test_a_model_that_validates_to_infinity_has_diverged(train: Callable[..., tuple[str, Fitted]]) -> None:
    plan = new_plan(validate_every=1, learning_rate=1.0, embedding_learning_rate=1.0, head_learning_rate=1.0)
    poisoned = replace(plan, params=plan.params.model_copy(update={"embedding_learning_rate": 1e38}))
    with pytest.raises(TrainingError, match="diverged"):
        train(poisoned)


def test_the_curve_is_a_csv_with_a_row_a_validation(tmp_path: Path) -> None:
    write_curve(tmp_path / "curve.csv", [{"step": 4, "train_loss": 0.1}, {"step": 8, "train_loss": 0.05}])
    assert (tmp_path / "curve.csv").read_text() == "step,train_loss\n4,0.1\n8,0.05\n"


def test_every_byte_and_character_of_the_text_is_counted() -> None:
    import math

    import numpy as np

    from lal.text.batches import consecutive_windows

    text = "Ünd — naïve 日本 🎭 ok" * 5
    ids = np.array([tokenizer().end_id, *tokenizer().encode(text)], dtype=np.uint16)
    scores = validate(new_model(), list(consecutive_windows(ids, 16, 3)), tokenizer())
    assert scores.num_bytes == len(text.encode())
    assert scores.num_characters == len(text)
    assert scores.num_tokens == len(ids) - 1
    # A head of zeros gives every token the same odds.
    assert scores.nats_per_token == pytest.approx(math.log(tokenizer().vocabulary_size), rel=1e-5)
    assert scores.bits_per_byte == pytest.approx(scores.nats / math.log(2) / len(text.encode()))
    assert scores.nats_per_character == pytest.approx(scores.nats / len(text))
