"""Every row has one side, and keeps it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lal.data.split import GOLD_PLAYS, VALIDATION_PLAYS, split_all, split_of_play

IDS = [f"row-{number}" for number in range(2000)]


@pytest.mark.parametrize(("slug", "split"), [("macbeth", "test"), ("julius-caesar", "validation"), ("hamlet", "train")])
def test_a_play_is_on_one_side(slug: str, split: str) -> None:
    assert split_of_play(slug) == split


def test_no_play_is_held_out_twice() -> None:
    assert not GOLD_PLAYS & VALIDATION_PLAYS


@pytest.mark.parametrize("fraction", [0.05, 0.1, 0.5])
def test_about_the_wanted_share_is_held_out(fraction: float) -> None:
    held_out = [split for split in split_all(IDS, fraction, seed=1).values() if split == "validation"]
    assert len(held_out) / len(IDS) == pytest.approx(fraction, abs=0.02)


def test_a_row_keeps_its_split_when_others_go() -> None:
    everything, half = split_all(IDS, 0.1, seed=1), split_all(IDS[::2], 0.1, seed=1)
    assert all(everything[identity] == split for identity, split in half.items())


def test_another_seed_draws_others() -> None:
    assert split_all(IDS, 0.1, seed=1) != split_all(IDS, 0.1, seed=2)


@given(st.lists(st.text(min_size=1, max_size=5), min_size=2, max_size=9, unique=True), st.floats(0.001, 0.999))
def test_of_two_or_more_at_least_one_is_on_each_side(ids: list[str], fraction: float) -> None:
    assert set(split_all(ids, fraction, seed=0).values()) == {"train", "validation"}


def test_one_row_trains_and_none_is_no_trouble() -> None:
    assert split_all(["only"], 0.5, seed=0) == {"only": "train"}
    assert split_all([], 0.5, seed=0) == {}
