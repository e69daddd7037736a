import pytest
import torch

from lal.model.generate import stream
from lal.model.samples import continue_batch
from lal.model.sampling import Sampling
from lal.model.transformer import Config, Transformer


@pytest.fixture
def model() -> Transformer:
    torch.manual_seed(0)
    model = Transformer(Config(20, 2, 2, 2, 16, 32, 24, query_key_norm=True, tied_embeddings=False), seed=1)
    for weight in model.parameters():
        weight.data.add_(0.3 * weight.data.new_tensor(range(weight.numel())).sin().view_as(weight))
    return model.eval()


def test_greedy_continuations_are_those_of_one_row_at_a_time(model: Transformer) -> None:
    beginnings = [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
    drawn = continue_batch(model, beginnings, Sampling(), 10, end_id=0, seed=1)
    assert drawn == [list(stream(model, row, Sampling(), 10, end_id=0)) for row in beginnings]


def test_the_same_seed_draws_the_same_and_another_one_others(model: Transformer) -> None:
    draws = [continue_batch(model, [[1, 2]] * 4, Sampling(1.0), 12, end_id=0, seed=seed) for seed in (1, 1, 2)]
    assert draws[0] == draws[1]
    assert draws[0] != draws[2]
    assert len({tuple(row) for row in draws[0]}) > 1


def test_a_continuation_ends_before_the_end_token_and_where_the_context_ends(model: Transformer) -> None:
    for row in continue_batch(model, [[1, 2]] * 8, Sampling(2.0), 100, end_id=3, seed=1):
        assert 3 not in row
        assert len(row) <= 24 - 2 + 1
    (whole,) = continue_batch(model, [[1, 2]], Sampling(), 100, end_id=-1, seed=1)
    assert len(whole) == 24 - 2 + 1


def test_nothing_to_continue_is_nothing(model: Transformer) -> None:
    assert continue_batch(model, [], Sampling(), 5, end_id=0, seed=1) == []
