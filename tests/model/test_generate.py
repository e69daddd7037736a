"""Generation gives what reading everything anew would give, however prompts are batched, and always ends."""

from collections.abc import Callable
from itertools import islice

import pytest
import torch

from lal.errors import ModelError
from lal.model.generate import CompiledStep, Generated, generate_batch, next_token_logits, stream
from lal.model.sampling import Sampling
from lal.model.transformer import Transformer

NewModel = Callable[..., Transformer]
PROMPTS = [[5, 6, 7], [8], [9, 10, 11, 12, 13, 14], [5, 6, 7], [40, 41], [100, 3, 90, 8]]


@torch.inference_mode()
def plain(model: Transformer, prompt: list[int], most: int, end_id: int) -> Generated:
    """Greedy without memory: the whole text is read again for every token."""
    ids = list(prompt)
    while len(ids) - len(prompt) < most and len(ids) <= model.config.context_length:
        token_id = int(model(torch.tensor([ids]))[0, -1].argmax())
        if token_id == end_id:
            return Generated(ids[len(prompt) :], "stop")
        ids.append(token_id)
    return Generated(ids[len(prompt) :], "length")


@pytest.fixture
def model(new_model: NewModel) -> Transformer:
    return new_model()


@pytest.fixture
def end_id(model: Transformer) -> int:
    """A token that ends some of the answers early and others not at all."""
    answers = [plain(model, prompt, 10, end_id=-1).ids for prompt in PROMPTS]
    token_id = answers[2][4]
    assert 0 < sum(token_id in answer for answer in answers) < len(answers)
    return token_id


@pytest.mark.parametrize("batch_size", [1, 2, 64])
def test_answers_are_those_of_reading_everything_anew(model: Transformer, end_id: int, batch_size: int) -> None:
    expected = [plain(model, prompt, 10, end_id) for prompt in PROMPTS]
    assert {answer.finish_reason for answer in expected} == {"stop", "length"}
    assert generate_batch(model, PROMPTS, 10, end_id, batch_size) == expected


def test_a_full_context_ends_the_answer(model: Transformer) -> None:
    prompts = [[1] * 20, [2] * 24, [3]]
    answers = generate_batch(model, prompts, 100, end_id=-1)
    assert [len(answer.ids) for answer in answers] == [5, 1, 24]
    assert {answer.finish_reason for answer in answers} == {"length"}
    assert answers == [plain(model, prompt, 100, end_id=-1) for prompt in prompts]


def test_a_prompt_longer_than_the_context_is_refused(model: Transformer) -> None:
    for generate in (
        lambda: generate_batch(model, [[1], [1] * 25], 5, end_id=0),
        lambda: list(stream(model, [1] * 25, Sampling(), 5, end_id=0)),
        lambda: next_token_logits(model, [1] * 25),
    ):
        with pytest.raises(ModelError, match="25 tokens, the model reads 24"):
            generate()


def test_nothing_asked_is_nothing_answered(model: Transformer) -> None:
    assert generate_batch(model, [], 5, end_id=0) == []


def test_a_greedy_stream_says_what_the_batch_says(model: Transformer, end_id: int) -> None:
    for prompt in PROMPTS:
        answer = plain(model, prompt, 10, end_id)
        tokens = stream(model, prompt, Sampling(), 10, end_id)
        assert [next(tokens) for _ in answer.ids] == answer.ids
        with pytest.raises(StopIteration) as stopped:
            next(tokens)
        assert stopped.value.value == answer.finish_reason


def test_a_stream_repeats_with_its_seed_only(model: Transformer) -> None:
    sampling = Sampling(temperature=1.0)
    first, same, other = (list(stream(model, [1, 2], sampling, 12, end_id=-1, seed=seed)) for seed in (7, 7, 8))
    assert first == same != other


def test_a_stream_can_be_left_early(model: Transformer) -> None:
    assert list(islice(stream(model, [1, 2], Sampling(), 12, end_id=-1), 3)) == plain(model, [1, 2], 3, -1).ids
    assert torch.is_inference_mode_enabled() is False


def test_next_token_logits_are_those_of_the_last_position(model: Transformer) -> None:
    logits = next_token_logits(model, [5, 6, 7])
    assert logits.shape == (270,)
    torch.testing.assert_close(logits, model(torch.tensor([[5, 6, 7]]))[0, -1].detach())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # torch's compiler imports deprecated parts of itself
def test_a_compiled_step_gives_the_same_answers(model: Transformer, end_id: int) -> None:
    """Six prompts in batches of four: rows end at different times, and the second batch has places left over."""
    expected = [plain(model, prompt, 10, end_id) for prompt in PROMPTS]
    assert generate_batch(model, PROMPTS, 10, end_id, compiled=CompiledStep(model, 4)) == expected
    one = CompiledStep(model, 1)
    for prompt in PROMPTS[:3]:
        answer = plain(model, prompt, 10, -1).ids
        assert list(stream(model, prompt, Sampling(), 10, end_id=-1, compiled=one)) == answer


@pytest.fixture
def uncompiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step for one shape that is not compiled: what rows do in it can be tested in no time."""
    monkeypatch.setattr(torch, "compile", lambda step, **_: step)


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("num_rows", [1, 4, 7])
def test_rows_that_stay_in_place_give_the_same_answers(model: Transformer, end_id: int, num_rows: int) -> None:
    expected = [plain(model, prompt, 10, end_id) for prompt in PROMPTS]
    assert generate_batch(model, PROMPTS, 10, end_id, compiled=CompiledStep(model, num_rows)) == expected
    full = [[1] * 20, [2] * 24, [3]]
    answers = generate_batch(model, full, 100, -1, compiled=CompiledStep(model, num_rows))
    assert answers == [plain(model, prompt, 100, -1) for prompt in full]


@pytest.mark.usefixtures("uncompiled")
def test_a_stream_through_a_step_for_one_row_says_the_same(model: Transformer) -> None:
    step = CompiledStep(model, 1)
    for prompt in PROMPTS:
        answer = plain(model, prompt, 100, -1).ids
        assert list(stream(model, prompt, Sampling(), 100, end_id=-1, compiled=step)) == answer


def test_a_computer_without_a_compiler_is_told_so(model: Transformer, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(step: object, **_: object) -> Callable[..., None]:
        def call(*_: object) -> None:
            raise RuntimeError("backend='inductor' raised:\nInvalidCxxCompiler: none found")

        return call

    monkeypatch.setattr(torch, "compile", broken)
    with pytest.raises(ModelError, match="inductor' raised: InvalidCxxCompiler: none found"):
        CompiledStep(model, 1)
