"""Attention as written out is attention as torch fuses it, and rotation knows distances only."""

import math

import pytest
import torch
import torch.nn.functional as F

from lal.model.attention import AttendOnCpu, attend, rotate, rotation_table


def causal(num_positions: int) -> torch.Tensor:
    return torch.full((num_positions, num_positions), -math.inf).triu(diagonal=1)


def test_attention_by_hand() -> None:
    """Two positions: the first sees itself; the second weighs both by e^score."""
    queries = torch.tensor([[0.0], [1.0]])[None, None]
    keys = torch.tensor([[0.0], [math.log(3.0)]])[None, None]
    values = torch.tensor([[4.0], [8.0]])[None, None]
    mixed = attend(queries, keys, values, torch.tensor([[0.0, -math.inf], [0.0, 0.0]]))
    torch.testing.assert_close(mixed.flatten(), torch.tensor([4.0, (1 * 4 + 3 * 8) / (1 + 3)]))


def test_attention_is_what_torch_computes() -> None:
    queries, keys, values = torch.randn(3, 2, 4, 7, 8, generator=torch.Generator().manual_seed(0)).unbind(0)
    expected = F.scaled_dot_product_attention(queries, keys, values, is_causal=True)
    torch.testing.assert_close(attend(queries, keys, values, causal(7)), expected)


@pytest.mark.parametrize("num_positions", [1, 2, 7, 64])
def test_the_backward_pass_by_hand_is_the_one_that_torch_derives(num_positions: int) -> None:
    generator = torch.Generator().manual_seed(0)
    queries, keys, values = torch.randn(3, 2, 4, num_positions, 8, generator=generator).requires_grad_().unbind(0)
    weights = torch.randn(2, 4, num_positions, 8, generator=generator)
    mask = causal(num_positions)
    results = []
    for attention in (attend, AttendOnCpu.apply):
        mixed = attention(queries, keys, values, mask)
        results.append([mixed, *torch.autograd.grad((mixed * weights).sum(), (queries, keys, values))])
    torch.testing.assert_close(results[1], results[0])


def test_rotation_keeps_lengths_and_makes_scores_depend_on_the_distance() -> None:
    query, key = torch.randn(2, 8, generator=torch.Generator().manual_seed(0)).unbind(0)
    cosines, sines = rotation_table(20, 8, 10000.0)
    queries = rotate(query.expand(1, 1, 20, 8), cosines, sines)[0, 0]
    keys = rotate(key.expand(1, 1, 20, 8), cosines, sines)[0, 0]
    torch.testing.assert_close(queries.norm(dim=-1), query.norm().expand(20))
    scores = queries @ keys.T
    for distance in range(-5, 6):
        diagonal = scores.diagonal(distance)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal))
    assert not torch.allclose(scores[0, 0], scores[0, 5])


def test_the_first_position_is_not_turned() -> None:
    cosines, sines = rotation_table(3, 4, 10000.0)
    vector = torch.tensor([1.0, 2.0, 3.0, 4.0])
    turned = rotate(vector.expand(1, 1, 3, 4), cosines, sines)[0, 0]
    assert turned[0].tolist() == vector.tolist()
    # Features 0 and 2 are one pair; it turns by one radian a position.
    assert math.isclose(turned[1, 0], math.cos(1) - 3 * math.sin(1), rel_tol=1e-5)
