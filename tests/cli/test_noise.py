from pathlib import Path

import pytest
from typer.testing import CliRunner

from lal.cli import app
from lal.cli.noise import render_noise
from lal.errors import LalError
from lal.evaluation.statistics.noise import Subject, noise_floor, write_noise

SUBJECT = Subject(
    profile="profiles/small.yaml",
    params={},
    parameters=1000,
    num_items=40,
    gold_sha256="a",
    corpus_sha256="b",
    conversations_sha256="c",
)
FLOOR = noise_floor({seed: {"exact": {"headline": 0.6 + 0.01 * seed}} for seed in range(5)}, SUBJECT)


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_table_has_mean_ends_and_spread_with_its_interval() -> None:
    text = render_noise(FLOOR)
    (line,) = [line for line in text.splitlines() if line.startswith("exact")]
    assert line.split() == ["exact", "headline", "0.6200", "0.6000", "0.6400", "0.0158", "0.0095", "to", "0.0454"]
    assert "5 trainings of profiles/small.yaml (1,000 parameters) on 40 gold items" in text
    assert "more than 2.8 units" in text


def test_show_tells_what_was_measured_last_and_trains_nothing(elsewhere: Path) -> None:
    write_noise(elsewhere / "metrics" / "noise.json", None)
    assert "nothing was measured yet" in CliRunner().invoke(app, ["noise", "--show"]).output
    write_noise(elsewhere / "metrics" / "noise.json", FLOOR)
    assert CliRunner().invoke(app, ["noise", "--show"]).output.strip() == render_noise(FLOOR).strip()


def test_outside_of_a_project_it_says_so(elsewhere: Path) -> None:
    failed = CliRunner().invoke(app, ["noise"])
    assert isinstance(failed.exception, LalError)
    assert "in the folder of the project" in str(failed.exception)


@pytest.mark.parametrize("seeds", ["1", "0", "x"])
def test_one_seed_has_no_spread(elsewhere: Path, seeds: str) -> None:
    assert CliRunner().invoke(app, ["noise", "--seeds", seeds]).exit_code == 2
