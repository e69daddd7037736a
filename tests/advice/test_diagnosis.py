"""What a curve is said to show: on synthetic curves of each kind, and on real ones that are kept in the repository."""

import csv
from collections.abc import Sequence
from pathlib import Path

import pytest

from lal.advice.diagnosis import Facts, diagnose

ROOT = Path(__file__).parents[2]
FACTS = Facts("pretrain", parameters=1_000_000, epochs=5.0, num_targets=500_000)
MANY = Facts("pretrain", parameters=1_000_000, epochs=40.0, num_targets=500_000)


def curve(train: Sequence[float], validation: Sequence[float]) -> list[dict[str, float]]:
    return [
        {"step": 100.0 * place, "train_loss": one, "validation_loss": other}
        for place, (one, other) in enumerate(zip(train, validation, strict=True), start=1)
    ]


@pytest.mark.parametrize(
    ("train", "validation", "facts", "finding", "knob"),
    [
        ([3.0, 2.5, 2.2, 2.9, 3.5, 3.6], [3.1, 2.6, 2.4, 3.0, 3.6, 3.7], FACTS, "diverged", "pretrain.learning_rate"),
        (
            [3.0, 2.5, 2.2, 1.9, 1.6, 1.3],
            [3.1, 2.6, 2.4, 2.45, 2.5, 2.6],
            FACTS,
            "overfitting",
            "pretrain.steps to about 300",
        ),
        ([3.0, 2.0, 1.2, 0.7, 0.4, 0.2], [3.1, 2.6, 2.5, 2.6, 2.9, 3.3], MANY, "too small a corpus", "data.corpus"),
        ([3.0, 2.7, 2.5, 2.4, 2.3, 2.2], [3.1, 2.8, 2.7, 2.65, 2.6, 2.5], FACTS, "still improving", "pretrain.steps"),
        ([3.0, 2.5, 2.41, 2.4, 2.4, 2.4], [3.1, 2.5, 2.41, 2.4, 2.4, 2.4], FACTS, "plateau", "model.size"),
        ([3.0, 2.5, 2.2, 2.0, 1.95, 1.9], [3.1, 2.6, 2.5, 2.42, 2.41, 2.41], FACTS, "healthy", "data.corpus"),
        ([3.0, 2.5], [3.1, 2.6], FACTS, "cannot tell", "pretrain.validate_every"),
    ],
)
def test_each_kind_of_curve_is_recognised_with_its_knob(
    train: list[float], validation: list[float], facts: Facts, finding: str, knob: str
) -> None:
    found = diagnose(curve(train, validation), facts)
    assert found.finding == finding
    assert knob in found.next
    assert any(character.isdigit() for character in found.evidence)


def test_the_knobs_of_fine_tuning_are_its_own() -> None:
    facts = Facts("sft", parameters=1_000_000, epochs=4.0, num_targets=10_000)
    found = diagnose(curve([3, 2.5, 2.2, 1.9, 1.6, 1.3], [3.1, 2.6, 2.4, 2.45, 2.5, 2.6]), facts)
    assert all(knob in found.next for knob in ("sft.epochs", "sft.weight_decay", "data.conversations"))


def test_one_bad_validation_at_the_end_is_no_overfitting() -> None:
    found = diagnose(curve([3, 2.5, 2.2, 2.0, 1.9], [3.1, 2.6, 2.4, 2.3, 2.31]), FACTS)
    assert found.finding != "overfitting"


def test_the_default_run_could_go_on() -> None:
    with (ROOT / "plots" / "pretrain.csv").open() as handle:
        rows = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(handle)]
    found = diagnose(rows, FACTS)
    assert found.finding in ("still improving", "healthy")
    assert found.metrics().keys() == {"finding", "evidence", "next"}
