"""Reading the expected answer in one go gives the answer that step by step would have given."""

import math
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lal.export.forward import ForwardModel, largest_difference, torch_forward
from lal.model.folder import LoadedModel, load_model
from lal.model.generate import generate_batch, next_token_logits
from tests.export.questions import question
from tests.tiny_model import write_grouped_model

PROMPTS = ["Giue me loue", "1623", "haue no horsse, haue no horsse, haue no horsse", "Modernise: vs"]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    folder: Path = tmp_path_factory.mktemp("forward")
    write_grouped_model(folder)
    return load_model(folder)


def forward_model(loaded: LoadedModel) -> ForwardModel:
    return ForwardModel(torch_forward(loaded.model), loaded.tokenizer, loaded.model.config.context_length)


def greedy(loaded: LoadedModel, limit: int) -> list[str]:
    ids = [question(loaded, text).ids for text in PROMPTS]
    answers = generate_batch(loaded.model, ids, limit, loaded.tokenizer.end_id)
    return [loaded.tokenizer.decode(answer.ids) for answer in answers]


@pytest.mark.parametrize("limit", [1, 2, 12, 999])
@pytest.mark.parametrize("expected", ["right", "nothing", "other words, quite a few of them", "half right"])
def test_the_answers_are_the_greedy_ones_whatever_was_expected(loaded: LoadedModel, limit: int, expected: str) -> None:
    said = greedy(loaded, limit)
    drafts = {"right": said, "nothing": [""] * 4, "half right": [text[: len(text) // 2] + "x" for text in said]}
    asked = [
        question(loaded, text, draft) for text, draft in zip(PROMPTS, drafts.get(expected, [expected] * 4), strict=True)
    ]
    assert forward_model(loaded).answers(asked, limit) == said


@settings(max_examples=25)
@given(st.lists(st.text(max_size=30), min_size=4, max_size=4), st.integers(1, 30))
def test_no_draft_changes_an_answer(loaded: LoadedModel, drafts: list[str], limit: int) -> None:
    asked = [question(loaded, text, draft) for text, draft in zip(PROMPTS, drafts, strict=True)]
    assert forward_model(loaded).answers(asked, limit) == greedy(loaded, limit)


def test_a_right_draft_is_read_once(loaded: LoadedModel) -> None:
    calls: list[tuple[int, ...]] = []
    inner = torch_forward(loaded.model)
    limit = 8
    asked = [question(loaded, text, said) for text, said in zip(PROMPTS, greedy(loaded, limit), strict=True)]
    if any(
        loaded.tokenizer.decode(loaded.tokenizer.encode(each.measured.text)) != each.measured.text for each in asked
    ):
        pytest.skip("an answer that is no text cannot be read as one")

    def counting(ids):  # type: ignore[no-untyped-def]
        calls.append(ids.shape)
        return inner(ids)

    model = ForwardModel(counting, loaded.tokenizer, loaded.model.config.context_length)
    assert model.answers(asked, limit) == [each.measured.text for each in asked]
    assert len(calls) <= limit


def test_the_odds_are_those_of_the_next_token(loaded: LoadedModel) -> None:
    asked = question(loaded, "Giue me loue")
    odds = forward_model(loaded).next_log_probabilities(asked)
    wanted = next_token_logits(loaded.model, asked.ids).double().log_softmax(dim=-1)
    assert torch.allclose(torch.tensor(list(odds.values()), dtype=torch.double), wanted, atol=1e-5)
    assert math.isclose(sum(math.exp(value) for value in odds.values()), 1.0, rel_tol=1e-6)


def test_nothing_in_common_and_what_is_no_number_are_without_bound() -> None:
    assert largest_difference({1: -1.0}, {2: -1.0}) == math.inf
    assert largest_difference({1: -1.0}, {}) == math.inf
    assert largest_difference({1: -1.0}, {1: math.nan}) == math.inf
    assert largest_difference({1: -1.0, 2: -3.0}, {1: -1.5, 2: -3.25}) == 0.5
