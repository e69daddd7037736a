"""The race is fair: the peer is the published one, the whole held-out part is scored, and each clock is its own."""

import math
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from bench import race as bench
from bench.nanogpt import Peer, PeerConfig, peer_rate, peer_steps, random_batches
from bench.race import RECIPES, Recipe, Run, judge, ngram_loss, our_run, peer_run, race, recipe_for, row_of
from bench.shakespeare import Characters, Parts, for_tuning, mean_loss, windows
from lal.model.ngram import NGram
from lal.model.transformer import count_parameters
from lal.params import PretrainParams, Shape, load_params
from lal.text.batches import NO_TARGET

ROOT = Path(__file__).parents[2]
TEXT = "To be, or not to be, that is the question: whether 'tis nobler in the mind to suffer. " * 12
TINY = Characters.of(Parts(TEXT[:900], TEXT[900:]))
SHAPE = Shape(num_layers=1, num_heads=2, width=16, context_length=8)
PEER = PeerConfig(num_layers=1, num_heads=2, width=16, context_length=8, batch_size=2, steps=30, warmup_steps=5)


@pytest.fixture
def params() -> PretrainParams:
    return load_params(ROOT / "tests" / "minute.params.yaml").pretrain


def test_the_peer_has_the_documented_size() -> None:
    num_parameters = count_parameters(Peer(PeerConfig(), 65))
    positions = 64 * 128  # nanoGPT's own count leaves them out
    assert f"{(num_parameters - positions) / 1e6:.2f}M" == "0.80M"
    assert f"{num_parameters / 1e6:.2f}M" == "0.80M"


def test_the_peer_sees_nothing_of_the_future_and_all_of_the_past() -> None:
    torch.manual_seed(0)
    model = Peer(PEER, 20)
    ids = torch.randint(20, (1, 8))
    before = model(ids)
    changed = ids.clone()
    changed[0, 4] = (ids[0, 4] + 1) % 20
    difference = (model(changed) - before).abs().amax(dim=-1)[0]
    assert difference[:4].max() == 0
    assert difference[4:].min() > 0


def test_the_peers_rate_follows_the_published_schedule() -> None:
    config = PeerConfig()
    assert peer_rate(config, 0) == pytest.approx(1e-3 / 101)
    assert peer_rate(config, 100) == 1e-3
    assert peer_rate(config, 1050) == pytest.approx((1e-3 + 1e-4) / 2)
    assert peer_rate(config, 2000) == pytest.approx(1e-4)


def test_the_peer_learns_and_decays_its_matrices_alone() -> None:
    torch.manual_seed(0)
    losses = list(peer_steps(Peer(PEER, TINY.vocabulary_size), PEER, TINY.training, 0))
    assert len(losses) == 30
    assert losses[0] == pytest.approx(math.log(TINY.vocabulary_size), abs=0.1)
    assert losses[-1] < losses[0] - 0.03


def test_random_batches_are_windows_of_the_text_with_the_next_character_as_target() -> None:
    batch = next(random_batches(np.arange(100), PEER, 0))
    assert batch.inputs.shape == (2, 8)
    assert (batch.targets == batch.inputs + 1).all()
    assert (np.diff(batch.inputs) == 1).all()


def test_tuning_never_sees_the_customary_validation_part() -> None:
    text = "".join(chr(32 + place % 90) for place in range(1000))
    parts = for_tuning(text[:900], 100)
    assert (parts.training, parts.held_out) == (text[:800], text[800:900])


@pytest.mark.parametrize("context_length", [8, 64, 4096])
def test_each_character_but_the_first_is_scored_once(context_length: int) -> None:
    targets = np.concatenate([batch.targets.ravel() for batch in windows(TINY.held_out, context_length)])
    assert (targets[targets != NO_TARGET] == TINY.held_out[1:]).all()


def test_equal_odds_cost_the_logarithm_of_the_vocabulary(params: PretrainParams) -> None:
    run = our_run(Recipe("ours", SHAPE, {"steps": 1, "batch_size": 2}), params, TINY)  # its head begins at zero
    assert mean_loss(run.losses, windows(TINY.held_out, 8)) == pytest.approx(math.log(TINY.vocabulary_size), rel=1e-5)


def test_the_ngram_is_scored_in_windows_and_needs_no_window_for_a_single_one() -> None:
    whole = NGram.train(TINY.training, 3, TINY.vocabulary_size).nats(TINY.held_out)[1:].mean()
    assert ngram_loss(TINY, order=3, context_length=4096) == pytest.approx(whole)
    assert ngram_loss(TINY, order=3, context_length=8) > whole


def test_both_train_in_turns_to_their_ends_and_their_rows_say_so(params: PretrainParams) -> None:
    peer, _ = peer_run(PEER, TINY)
    ours = our_run(
        Recipe("ours", SHAPE, {"steps": 40, "batch_size": 2, "compile": False}, goal=2.9, limit=lambda peer: peer * 99),
        params,
        TINY,
    )
    race([peer, ours], turn_seconds=0.01)
    rows = [judge(row_of(run, TINY.held_out), run.recipe, peer.total_seconds) for run in (peer, ours)]
    assert [row["steps"] for row in rows] == [30, 40]
    assert list(rows[0]) == list(rows[1])
    assert rows[0]["times sooner"] == pytest.approx(1, abs=0.5)
    assert rows[1]["reached"] == "yes"
    assert float(str(rows[1]["loss"])) < 2.9


def test_runs_take_turns_and_end_together_each_on_its_own_clock() -> None:
    order = []

    def steps(name: str, number: int, seconds: float) -> Iterator[int]:
        for step in range(number):
            order.append(name)
            time.sleep(seconds)
            yield step

    runs = [
        Run(name, 1, 8, 1, lambda _: torch.zeros(()), steps(name, number, seconds), number)
        for name, number, seconds in (("long", 40, 0.005), ("short", 4, 0.01))
    ]
    race(runs, turn_seconds=0.001)
    assert [len(run.seconds) for run in runs] == [40, 4]
    assert runs[0].total_seconds >= 40 * 0.005
    assert runs[1].total_seconds < runs[0].total_seconds
    assert [place // 11 for place, name in enumerate(order) if name == "short"] == [0, 1, 2, 3]


def test_clean_seconds_keep_the_first_step_whole_and_forget_disturbances() -> None:
    run = Run("ours", 1, 8, 1, lambda _: torch.zeros(()), iter(()), 5, seconds=[5.0, 1.0, 1.0, 1.0, 60.0])
    assert run.total_seconds == 68
    assert run.clean_seconds == 9


@pytest.mark.parametrize(
    ("loss", "seconds", "verdict"), [(1.8, 9.0, "yes"), (1.8, 11.0, "the loss, too late"), (1.9, 1.0, "no")]
)
def test_a_goal_is_a_loss_within_a_time(loss: float, seconds: float, verdict: str) -> None:
    recipe = Recipe("ours", SHAPE, {}, goal=1.88, limit=lambda peer: peer / 10)
    row = judge({"loss": loss, "seconds": seconds}, recipe, 100.0)
    assert row["reached"] == verdict
    assert row["goal"] == "1.88 in 10 s"


def test_a_run_with_a_time_to_fill_makes_as_many_steps_as_fit(params: PretrainParams) -> None:
    changes = {"batch_size": 2, "compile": False}
    run = our_run(Recipe("ours", SHAPE, changes, minutes=1.5 / 60), params, TINY)
    race([run])
    assert len(run.seconds) > 12
    assert 0.3 < run.total_seconds < 15


def test_every_recipe_is_one_that_lal_accepts(params: PretrainParams) -> None:
    for recipe in [*RECIPES.values(), recipe_for(3), recipe_for(10)]:
        assert our_run(recipe, params, Characters(np.arange(65).repeat(100), TINY.held_out, 65)).num_parameters > 0


def test_the_command_races_for_the_goals_it_is_given_and_tuning_writes_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    changes = {"steps": 40, "batch_size": 2, "compile": False}
    recipe = Recipe("as low as theirs", SHAPE, changes, goal=9.0, limit=lambda peer: peer * 99)
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(bench, "RECIPES", {"peer": recipe})
    monkeypatch.setattr(bench, "PeerConfig", lambda: PEER)
    monkeypatch.setattr(bench, "read_shakespeare", lambda is_tuning: Parts(TEXT[:900], TEXT[900:]))
    before = (ROOT / "docs" / "experiments.md").read_bytes()
    bench.main(["--goals", "peer", "--tune"])
    shown = capsys.readouterr().out
    assert "| nanoGPT's CPU recipe |" in shown
    assert "| yes" in shown
    assert "1.88 is documented" in shown
    assert (ROOT / "docs" / "experiments.md").read_bytes() == before
