"""Odds by temperature, top-k and top-p are what a plain reading of their definitions gives."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from lal.errors import LalError
from lal.model.sampling import Sampling, draw, probabilities

scores = st.lists(st.floats(-(2.0**127), 2.0**127, width=32), min_size=1, max_size=30).map(torch.tensor)
samplings = st.builds(
    Sampling,
    temperature=st.one_of(st.just(0.0), st.floats(1e-300, 100)),
    top_k=st.one_of(st.none(), st.integers(1, 40)),
    top_p=st.floats(1e-9, 1),
)


def plain(logits: list[float], temperature: float, top_k: int, top_p: float) -> list[float]:
    """The definitions word by word: keep the k likeliest, then the likeliest until they reach top_p."""
    weights = [math.exp(score / temperature) for score in logits]
    ranking = sorted(range(len(logits)), key=lambda place: -logits[place])[:top_k]
    total = sum(weights[place] for place in ranking)
    kept: list[int] = []
    for place in ranking:
        kept.append(place)
        if sum(weights[other] for other in kept) / total >= top_p:
            break
    total = sum(weights[place] for place in kept)
    return [weights[place] / total if place in kept else 0.0 for place in range(len(logits))]


@given(
    st.lists(st.integers(-50, 50), min_size=1, max_size=20, unique=True),
    st.floats(0.3, 3),
    st.integers(1, 25),
    st.sampled_from([0.05, 0.31, 0.77, 0.93, 1.0]),
)
def test_odds_follow_the_definitions(logits: list[int], temperature: float, top_k: int, top_p: float) -> None:
    values = [score / 10 for score in logits]
    odds = probabilities(torch.tensor(values, dtype=torch.float64), Sampling(temperature, top_k, top_p))
    assert odds.tolist() == pytest.approx(plain(values, temperature, top_k, top_p), abs=1e-9)


@given(scores, samplings)
def test_odds_add_up_to_one_whatever_the_scores(logits: Tensor, sampling: Sampling) -> None:
    odds = probabilities(logits, sampling)
    assert odds.shape == logits.shape
    assert float(odds.min()) >= 0
    assert float(odds.sum()) == pytest.approx(1)
    if sampling.top_k:
        assert int((odds > 0).sum()) <= sampling.top_k
    assert odds[logits.argmax()] == odds.max()


def test_greedy_takes_the_first_of_equals() -> None:
    assert probabilities(torch.tensor([1.0, 3.0, 3.0]), Sampling()).tolist() == [0, 1, 0]
    assert draw(torch.tensor([1.0, 3.0, 3.0]), Sampling(), torch.Generator()) == 1


def test_a_temperature_near_zero_is_nearly_greedy() -> None:
    odds = probabilities(torch.tensor([1.0, 1.001, -1e30]), Sampling(temperature=1e-6))
    assert odds.tolist() == pytest.approx([0, 1, 0])


def test_draws_follow_the_odds_and_the_seed() -> None:
    logits = torch.tensor([2.0, 1.0, 0.0, -9.0])
    sampling = Sampling(temperature=1.0, top_k=3)

    def draws(seed: int) -> list[int]:
        generator = torch.Generator().manual_seed(seed)
        return [draw(logits, sampling, generator) for _ in range(2000)]

    assert draws(1) == draws(1) != draws(2)
    shares = [draws(1).count(token_id) / 2000 for token_id in range(4)]
    assert shares == pytest.approx(probabilities(logits, sampling).tolist(), abs=0.04)


class FromApple(torch.Tensor):
    """Stands for logits on a GPU without float64: they can be moved to the CPU, and little else."""

    def cpu(self, *_: object, **__: object) -> torch.Tensor:
        return self.as_subclass(torch.Tensor)

    def double(self, *_: object, **__: object) -> torch.Tensor:
        raise TypeError("Cannot convert a MPS Tensor to float64 dtype")


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_draw_happens_on_the_cpu(temperature: float) -> None:
    logits = torch.tensor([0.0, 50.0, 0.0]).as_subclass(FromApple)
    assert draw(logits, Sampling(temperature), torch.Generator().manual_seed(0)) == 1


@pytest.mark.parametrize(
    "values",
    [
        {"temperature": -1},
        {"temperature": math.nan},
        {"temperature": math.inf},
        {"top_k": 0},
        {"top_p": 0},
        {"top_p": 1.1},
    ],
)
def test_values_out_of_range_are_refused_by_name(values: dict[str, float]) -> None:
    with pytest.raises(LalError, match=f"{next(iter(values))} must be"):
        Sampling(**values)  # type: ignore[arg-type]
