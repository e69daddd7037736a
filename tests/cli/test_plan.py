"""`lal plan`: it proposes, writes its choice into params.yaml, keeps what it foretold, and says how true that was."""

from pathlib import Path

import pytest

from lal.advice import planning
from lal.advice.forecast import Range
from lal.advice.planning import Proposal
from lal.advice.prediction import Prediction, read_prediction
from lal.cli.plan import KEPT, METRICS, PARAMS, applied, plan
from lal.errors import DataError, ParamsError
from lal.files import sha256, write_json, write_text
from lal.params import Shape, load_params
from tests.tiny_training import ROOT, write_inputs

RANGE = Range(1.0, 2.0, 3.0)


def proposal(size: str | Shape) -> Proposal:
    return Proposal(size, 4, 2400, 3.0, RANGE, RANGE, RANGE)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with tokens, in which the candidates are tiny."""
    write_inputs(tmp_path / "made")
    (tmp_path / "data").mkdir()
    (tmp_path / "models").mkdir()
    (tmp_path / "made" / "tokens").rename(tmp_path / "data" / "tokens")
    (tmp_path / "made" / "tokenizer").rename(tmp_path / "models" / "tokenizer")
    write_text(tmp_path / "params.yaml", (ROOT / "tests" / "minute.params.yaml").read_text())
    monkeypatch.chdir(tmp_path)
    shapes = {f"tiny-{width}": Shape(num_layers=1, num_heads=2, width=width, context_length=16) for width in (8, 16)}
    monkeypatch.setattr(planning, "SHAPES", shapes)
    monkeypatch.setattr(planning, "WIDTHS", ())
    monkeypatch.setattr(planning, "_sizes", lambda: list(shapes.values()))
    return tmp_path


def test_it_shows_the_candidates_and_keeps_what_it_foretold(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = PARAMS.read_text()
    plan(minutes=5)
    printed = capsys.readouterr().out
    assert "1 x 8" in printed
    assert "1 x 16" in printed
    assert printed.count("\n* ") == 2  # The chosen line, and what the star means.
    assert "nats a token" in printed
    assert PARAMS.read_text() == before
    assert KEPT.exists()


def test_what_was_applied_is_reviewed_after_the_run(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan(minutes=5, apply=True)
    prediction = read_prediction(KEPT, load_params(PARAMS), sha256(project / "data" / "tokens" / "train.bin"))
    assert prediction is not None
    with pytest.raises(DataError, match=r"metrics/pretrain\.json"):
        plan(review=True)
    measured = prediction.bits_per_byte.likely / 1.02
    write_json(METRICS, {"prediction": prediction.review(measured, prediction.minutes.high * 2)})
    capsys.readouterr()
    plan(review=True)
    printed = capsys.readouterr().out
    assert "+2.0%" in printed
    assert "(inside" in printed
    assert "(outside" in printed


def test_a_prediction_is_of_one_run_only(project: Path) -> None:
    plan(minutes=5, apply=True)
    write_text(PARAMS, PARAMS.read_text().replace("learning_rate: 0.02", "learning_rate: 0.01", 1))
    with pytest.raises(ParamsError, match="another run"):
        plan(review=True)


def test_without_tokens_it_says_what_makes_them(project: Path) -> None:
    (project / "data" / "tokens" / "meta.json").unlink()
    with pytest.raises(DataError, match="no tokens to plan for") as caught:
        plan()
    assert "dvc repro tokenizer" in caught.value.remedy


def test_nothing_foretold_is_an_error(project: Path) -> None:
    with pytest.raises(DataError, match="nothing was foretold"):
        plan(review=True)


@pytest.mark.parametrize("size", ["small", Shape(num_layers=4, num_heads=6, width=192, context_length=256)])
def test_applying_changes_three_lines_and_no_comment(size: str | Shape) -> None:
    text = (ROOT / "params.yaml").read_text()
    before, after = text.splitlines(), applied(text, proposal(size)).splitlines()
    assert len(before) == len(after)
    changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert len(changed) == 3
    assert [new.split(":")[0].strip() for _, new in changed] == ["size", "steps", "batch_size"]
    assert all(old.partition("#")[2] == new.partition("#")[2] for old, new in changed)
    back = applied("\n".join(after) + "\n", proposal(Shape(num_layers=1, num_heads=2, width=8, context_length=16)))
    assert "width: 8" in back


def test_a_review_of_an_interrupted_run_leaves_the_minutes_out() -> None:
    review = Prediction(RANGE, RANGE).review(4.0, None)
    assert review["bits_per_byte_error"] == -0.5
    assert review["bits_per_byte_inside"] == 0
    assert "minutes" not in review
