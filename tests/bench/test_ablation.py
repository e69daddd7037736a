"""Each variant of the ablation is another network or another training, and the table says what was measured."""

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bench import ablation as bench
from bench.ablation import DEFAULT, VARIANTS, Runs, Text, Trainee, half_width, relative_step_time, rows_of
from bench.shakespeare import Parts
from lal.model.transformer import count_parameters
from lal.params import ModelParams, Params, Shape, load_params

ROOT = Path(__file__).parents[2]
SENTENCE = "To be, or not to be, that is the question: whether 'tis nobler in the mind to suffer. "
PARTS = Parts(SENTENCE * 12, SENTENCE[7:] * 2)
SHAPE = Shape(num_layers=2, num_heads=4, width=32, context_length=8)
UNSEEN_HERE = {"not compiled", "gradient at most 1", "no warm-up"}
"""Nothing is compiled in a test, gradients this small are not cut at 1, and 2 % of five steps is none."""


@pytest.fixture(scope="module")
def params() -> Params:
    read = load_params(ROOT / "tests" / "minute.params.yaml")
    size = ModelParams(size=SHAPE, num_kv_heads=None, query_key_norm=True, tied_embeddings=False)
    changes = {"batch_size": 4, "compile": False, "precision": "fp32", "max_grad_norm": 10.0, "weight_decay": 0.0}
    return read.model_copy(update={"model": size, "pretrain": read.pretrain.model_copy(update=changes)})


@pytest.fixture(scope="module")
def text() -> Text:
    return Text.of(PARTS, 270)


def trained(name: str, params: Params, text: Text, steps: int = 5) -> Trainee:
    trainee = Trainee(VARIANTS[name], params, text, seed=0)
    for _ in trainee.steps(steps):
        pass
    return trainee


@pytest.fixture(scope="module")
def default_bits(params: Params, text: Text) -> float:
    return trained(DEFAULT, params, text).bits_per_byte()


@pytest.mark.parametrize("name", [name for name in VARIANTS if name not in UNSEEN_HERE | {DEFAULT}])
def test_a_variant_ends_elsewhere_than_the_default(name: str, params: Params, text: Text, default_bits: float) -> None:
    size = VARIANTS[name].vocabulary_size
    own_text = text if size is None else Text.of(PARTS, min(size, 265))
    bits = trained(name, params, own_text).bits_per_byte()
    assert bits != default_bits
    assert 0 < bits < 12


@pytest.mark.parametrize("name", sorted(UNSEEN_HERE))
def test_what_a_tiny_run_cannot_show_is_at_least_asked_for(name: str) -> None:
    params = load_params(ROOT / "params.yaml")
    assert Trainee.pretrain_params(VARIANTS[name], params) != params.pretrain


def test_the_same_variant_and_seed_end_in_the_same_loss(params: Params, text: Text, default_bits: float) -> None:
    assert trained(DEFAULT, params, text).bits_per_byte() == default_bits


@pytest.mark.parametrize("name", ["GELU", "squared ReLU"])
def test_activations_are_compared_at_equal_parameters(name: str, params: Params, text: Text) -> None:
    counts = {count_parameters(Trainee(VARIANTS[each], params, text, 0).model) for each in (name, DEFAULT)}
    assert len(counts) == 1


@pytest.mark.parametrize(
    ("name", "knows_order"), [(DEFAULT, True), ("learned positions", True), ("no positions", False)]
)
def test_one_layer_tells_the_order_of_what_came_before_by_positions_alone(
    name: str, knows_order: bool, params: Params, text: Text
) -> None:
    shape = SHAPE.model_copy(update={"num_layers": 1})
    flat = params.model_copy(update={"model": params.model.model_copy(update={"size": shape})})
    model = trained(name, flat, text).model
    ids = torch.tensor([[70, 71, 72, 73, 74], [73, 71, 70, 72, 74]])
    last = model(ids)[:, -1]
    assert torch.allclose(last[0], last[1], atol=1e-6) is not knows_order


def test_bits_per_byte_count_every_byte_whatever_the_tokenizer(params: Params) -> None:
    for size in (0, 270):
        text = Text.of(PARTS, size)
        trainee = Trainee(VARIANTS[DEFAULT], params, text, 0)
        assert text.held_out_bytes == len(PARTS.held_out)
        num_tokens = len(text.held_out) - 1  # a head of zeros gives equal odds
        expected = num_tokens * math.log2(text.vocabulary_size) / len(PARTS.held_out)
        assert trainee.bits_per_byte() == pytest.approx(expected, rel=1e-5)


def test_a_variant_with_twice_the_batch_takes_longer_a_step(params: Params) -> None:
    text = Text.of(Parts(SENTENCE * 400, SENTENCE), 270)
    wide = dataclasses.replace(VARIANTS["batch doubled"], scale={"batch_size": 32.0})
    trainees = [Trainee(variant, params, text, 0) for variant in (wide, VARIANTS[DEFAULT])]
    assert relative_step_time(trainees[0], trainees[1], turns=3) > 1.1


def test_the_table_pairs_seeds_and_calls_a_tie_a_tie(tmp_path: Path) -> None:
    runs = Runs(tmp_path / "runs.jsonl", {"steps": 300})
    other = Runs(tmp_path / "runs.jsonl", {"steps": 9})
    losses = {DEFAULT: [2.0, 2.1, 2.2], "GELU": [2.1, 2.21, 2.29], "no warm-up": [2.1, 2.0, 2.2]}
    for name, found in losses.items():
        for seed, loss in enumerate(found):
            runs.add({"variant": name, "seed": seed, "own_steps": 1, "bits_per_byte": loss})
    runs.add({"variant": "GELU", "relative_time": 1.25})
    runs.add({"variant": "no warm-up", "relative_time": 1.0})
    assert other.losses(DEFAULT) == {}
    rows = rows_of(Runs(tmp_path / "runs.jsonl", {"steps": 300}), 300)
    assert [(row["variant"], row["verdict"]) for row in rows] == [
        (DEFAULT, "-"), ("no warm-up", "tie"), ("GELU", "worse"),
    ]  # fmt: skip
    assert rows[2]["steps"] == 240
    assert str(rows[2]["against the default"]).startswith("+0.1000 ± ")


def test_the_interval_is_students() -> None:
    assert half_width([1.0, 2.0, 3.0]) == pytest.approx(4.3027 / np.sqrt(3), rel=1e-4)
    assert math.isinf(half_width([1.0]))


def test_what_was_measured_is_not_measured_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, params: Params
) -> None:
    asked: list[str] = []

    def in_this_process(runs: Runs, jobs: list[tuple[Any, ...]]) -> None:
        for measure_one, *arguments in jobs:
            asked.append(arguments[0])
            runs.add(measure_one(*arguments))

    chosen = (DEFAULT, "batch halved")
    monkeypatch.setattr(bench, "_in_processes", in_this_process)
    tokenizer = params.tokenizer.model_copy(update={"vocabulary_size": 270})
    monkeypatch.setattr(bench, "load_params", lambda path: params.model_copy(update={"tokenizer": tokenizer}))
    monkeypatch.setattr(bench, "read_shakespeare", lambda is_tuning: PARTS)
    runs = Runs(tmp_path / "runs.jsonl", {"steps": 6})
    bench.measure(runs, tmp_path / "params.yaml", steps=6, seeds=2, names=chosen)
    assert asked == ["batch halved", DEFAULT, "batch halved", DEFAULT, "batch halved"]
    assert [(row["variant"], row["seeds"]) for row in rows_of(runs, 6)] == [(DEFAULT, 2), ("batch halved", 2)]
    assert [row["variant"] for row in rows_of(runs, 6, ["batch halved"])] == ["batch halved"]
    again = Runs(tmp_path / "runs.jsonl", {"steps": 6})
    bench.measure(again, tmp_path / "params.yaml", steps=6, seeds=2, names=chosen)
    assert len(asked) == 5
