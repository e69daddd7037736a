"""The sft stage, on eleven conversations."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from lal.errors import TrainingError
from lal.files import sha256, write_jsonl
from lal.model.folder import load_model
from lal.params import Params
from lal.records import Conversation
from lal.stages.pretrain import pretrain
from lal.stages.sft import Shown, sft, training_batches
from lal.text.chat import render
from tests.tiny_training import Listener, conversation, tiny_params, tokenizer, write_inputs


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_inputs(tmp_path)


@pytest.fixture
def with_base(folder: Path) -> Path:
    pretrain(
        params=tiny_params(),
        tokenizer=folder / "tokenizer",
        tokens=folder / "tokens",
        base=folder / "base",
        curve=folder / "curve.csv",
        scratch=folder / "scratch",
        reporter=Listener(),
    )
    return folder


def run(folder: Path, params: Params, listener: Listener | None = None, out: str = "out") -> dict[str, Any]:
    return sft(
        params=params,
        base=folder / "base",
        conversations=folder / "conversations",
        instruct=folder / out / "instruct",
        curve=folder / out / "curve.csv",
        scratch=folder / out / "scratch",
        reporter=listener or Listener(),
    )


def test_it_writes_a_model_that_knows_its_parent(with_base: Path) -> None:
    metrics = run(with_base, tiny_params())
    base, instruct = load_model(with_base / "base"), load_model(with_base / "out" / "instruct")
    # 10 pairs and one persona conversation shown twice: 12 rows, 3 batches of 4 an epoch, 1.5 epochs.
    assert metrics["steps"] == 5
    assert metrics["conversations"] == 11
    assert metrics["dropped_conversations"] == 0
    assert instruct.model.config == base.model.config
    assert instruct.provenance["stage"] == "sft"
    assert instruct.provenance["parent"]["stage"] == "pretrain"
    assert instruct.provenance["inputs"]["model.safetensors"] == sha256(with_base / "base" / "model.safetensors")
    assert not any((a == b).all() for a, b in zip(base.model.parameters(), instruct.model.parameters(), strict=True))


def test_it_learns_to_answer(with_base: Path) -> None:
    params = tiny_params(sft={"epochs": 15.0, "validate_every": 9, "patience": 100})
    run(with_base, params)
    rows = (with_base / "out" / "curve.csv").read_text().splitlines()
    losses = [float(row.split(",")[1]) for row in rows[1:]]
    assert losses[-1] < 0.5 * losses[0]


def test_only_answers_count_as_tokens_seen(with_base: Path) -> None:
    metrics = run(with_base, tiny_params(sft={"epochs": 1.0, "persona_repeats": 0}))
    tokenizer = load_model(with_base / "base").tokenizer
    answers = [f"to be {n}" for n in range(10)]
    assert metrics["tokens_seen"] == sum(len(ids) + 1 for ids in tokenizer.encode_batch(answers))


@pytest.mark.parametrize("at", [1, 2, 3, 4, 5])
def test_interrupted_after_any_step_it_ends_in_the_same_bytes(
    with_base: Path, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lal.text.batches import Batch, ConversationBatches

    run(with_base, tiny_params(), out="straight")
    original = ConversationBatches.__call__

    def interrupting(self: ConversationBatches, step: int) -> Batch:
        if step == at - 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return original(self, step)

    monkeypatch.setattr(ConversationBatches, "__call__", interrupting)
    monkeypatch.setattr(
        "lal.stages.sft.preflight", lambda *_: None
    )  # It asks for a batch before steps are listened for.
    with pytest.raises(SystemExit):
        run(with_base, tiny_params())
    monkeypatch.undo()
    listener = Listener()
    run(with_base, tiny_params(), listener)
    assert any(f"continuing after step {at} of 5" in line for line in listener.lines)
    for name in ("model.safetensors", "lal.json"):
        ours, straight = (with_base / out / "instruct" / name for out in ("out", "straight"))
        assert sha256(ours) == sha256(straight), name


def test_a_conversation_longer_than_the_context_is_left_out_counted_and_named(with_base: Path) -> None:
    path = with_base / "conversations" / "train.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    write_jsonl(path, [*rows, conversation("too-long", "x" * 300, "y"), conversation("too-long-2", "z" * 300, "y")])
    listener = Listener()
    assert run(with_base, tiny_params(), listener)["dropped_conversations"] == 2
    assert any("2 of 13 conversations are longer" in line and "'too-long'" in line for line in listener.lines)


def test_if_none_fits_the_error_says_what_to_change(with_base: Path) -> None:
    write_jsonl(with_base / "conversations" / "train.jsonl", [conversation("long", "x" * 300, "y")])
    with pytest.raises(TrainingError, match="none of 1 conversations fits") as caught:
        run(with_base, tiny_params())
    assert "context_length" in caught.value.remedy


def test_only_persona_conversations_shown_no_times_is_an_error_that_names_the_knob(with_base: Path) -> None:
    persona = conversation("persona-1", "Who are you?", "Lal.", task="persona")
    write_jsonl(with_base / "conversations" / "train.jsonl", [persona])
    with pytest.raises(TrainingError, match=r"sft\.persona_repeats is 0") as caught:
        run(with_base, tiny_params(sft={"persona_repeats": 0}))
    assert "sft.persona_repeats" in caught.value.remedy


def test_a_base_model_that_does_not_fit_into_the_memory_is_one_clear_error(
    with_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lal.stages.sft.load_model", lambda *_: torch.empty(2**58))
    with pytest.raises(TrainingError, match="sft: the base model does not fit"):
        run(with_base, tiny_params())


EPOCHS = 6
ASKED, SAID = "Modernise: whether nobler", "whether nobler"


def shown_in_each_epoch(bpe_dropout: float) -> list[list[int]]:
    """A conversation as six epochs show it, beside another that leaves it room."""
    talks = [conversation("0", ASKED, SAID), conversation("1", "to be " * 20, "or not to be")]
    chats = [Conversation.model_validate_json(json.dumps(talk)) for talk in talks]
    rows = [Shown(chat, render(chat.messages, tokenizer())) for chat in chats]
    batches = training_batches(
        rows, tiny_params(sft={"batch_size": 1, "bpe_dropout": bpe_dropout}).sft, 1337, tokenizer()
    )
    assert batches.steps_per_epoch == 2
    inputs = [batches(step).inputs[0].tolist() for step in range(2 * EPOCHS)]
    return [ids for ids in inputs if "to be" not in tokenizer().decode(ids)]


def test_questions_come_in_other_tokens_each_epoch_and_answers_in_the_same() -> None:
    shown = shown_in_each_epoch(bpe_dropout=0.5)
    assert {tokenizer().decode(ids) for ids in shown} == {ASKED + SAID}
    starts = [ids.index(tokenizer().role_id("assistant")) for ids in shown]
    assert len({tuple(ids[:start]) for ids, start in zip(shown, starts, strict=True)}) > EPOCHS // 2
    answer = tokenizer().encode(SAID)
    assert all(ids[start + 1 :][: len(answer)] == answer for ids, start in zip(shown, starts, strict=True))


def test_nothing_varies_without_dropout() -> None:
    shown = shown_in_each_epoch(bpe_dropout=0.0)
    assert len({tuple(ids) for ids in shown}) == 1
