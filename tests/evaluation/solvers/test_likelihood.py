import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lal.evaluation.solvers.likelihood import MIN_SHARED_IDS, answer_bits, continuation_nats, text_cost
from lal.evaluation.solvers.solver import chat_model, few_shot_model
from lal.gold_items import GoldItem
from lal.model.folder import LoadedModel
from lal.model.generate import next_token_logits
from lal.model.transformer import Config, Transformer
from lal.text.tokenizer import Tokenizer

Items = Callable[..., GoldItem]
CONTEXT_LENGTH = 64


@pytest.fixture(scope="module")
def loaded() -> LoadedModel:
    """An untrained network with opinions: a fresh one says everything with the same probability."""
    tokenizer = Tokenizer.train(["Haue you had quiet Guard? I am Lal. " * 4], 270)
    config = Config(tokenizer.vocabulary_size, 2, 2, 2, 16, 32, CONTEXT_LENGTH, True, False)
    model = Transformer(config, seed=3)
    for weight in model.parameters():
        weight.data.add_(0.3 * weight.data.new_tensor(range(weight.numel())).sin().view_as(weight))
    return LoadedModel(model.eval(), tokenizer, {})


def one_by_one(model: Transformer, prompt: list[int], answer: list[int]) -> float:
    """The obvious way: a fresh pass for each token."""
    nats = 0.0
    for place, token_id in enumerate(answer):
        logits = next_token_logits(model, [*prompt, *answer[:place]]).double()
        nats -= float(torch.log_softmax(logits, dim=-1)[token_id])
    return nats


rows = st.lists(
    st.tuples(
        st.lists(st.integers(0, 269), min_size=1, max_size=20), st.lists(st.integers(0, 269), min_size=1, max_size=20)
    ),
    max_size=7,
)


@settings(max_examples=15)
@given(rows, st.integers(1, 4))
def test_a_row_costs_what_its_tokens_cost_one_by_one_whatever_stands_beside_it(
    loaded: LoadedModel, rows: list[tuple[list[int], list[int]]], batch_size: int
) -> None:
    found = continuation_nats(loaded.model, rows, batch_size)
    assert found == pytest.approx([one_by_one(loaded.model, *row) for row in rows], abs=1e-4)
    assert found == pytest.approx(continuation_nats(loaded.model, rows, 64), abs=1e-4)


def test_a_beginning_that_all_prompts_share_changes_nothing(loaded: LoadedModel) -> None:
    """It is read once: examples before each question would be most of the work."""
    examples = [(7 * n) % 270 for n in range(MIN_SHARED_IDS)]
    rows = [([*examples, 5, 6], [7, 8]), (examples + [9] * 20, [1, 2, 3]), ([*examples, 5], [4])]
    for some in (rows, rows[:2], rows[1:2]):
        expected = [one_by_one(loaded.model, *row) for row in some]
        assert continuation_nats(loaded.model, some, 8) == pytest.approx(expected, abs=1e-4)


def test_the_bits_of_an_answer_are_those_of_its_tokens_and_the_end_over_the_bytes_of_its_text(
    loaded: LoadedModel, line: Items
) -> None:
    solver, tokenizer = chat_model("lal", loaded, 8, 4), loaded.tokenizer
    item = line("a", "Haue", "Have é")
    nats = one_by_one(loaded.model, solver.ask(item), [*tokenizer.encode("Have é"), tokenizer.end_id])
    assert answer_bits(solver, [item])["a"] == pytest.approx(nats / math.log(2) / 7, abs=1e-5)


def test_right_wordings_add_up_and_a_repeated_one_counts_once(loaded: LoadedModel, line: Items) -> None:
    solver = chat_model("lal", loaded, 8, 4)
    items = [
        line("one", "haue", "have"),
        line("two", "haue", "hath"),
        line("either", "haue", "have", alternatives=("hath", "have")),
    ]
    bits = answer_bits(solver, items)
    one, two = (2.0 ** (-4 * (bits[key] or 0.0)) for key in ("one", "two"))
    assert 2.0 ** (-4 * (bits["either"] or 0.0)) == pytest.approx(one + two, rel=1e-4)


def test_items_without_one_right_text_have_no_bits_and_too_long_ones_are_not_scored(
    loaded: LoadedModel, line: Items, question: Items
) -> None:
    solver = chat_model("lal", loaded, 8, 4)
    items = [line("long", "haue " * 40, "have"), line("short", "haue", "have"), question("p", "Who?", "Lal")]
    bits = answer_bits(solver, items)
    assert list(bits) == ["long", "short"]
    assert bits["long"] is None
    assert bits["short"] is not None


def test_an_answer_that_just_fits_the_context_is_scored(loaded: LoadedModel, line: Items) -> None:
    """The last id is only ever predicted, so it needs no place."""
    solver, tokenizer = chat_model("lal", loaded, 8, 4), loaded.tokenizer
    item = line("a", "x", "have")
    room = CONTEXT_LENGTH - len(solver.ask(item))
    fits, too_long = ("z" * room, "z" * (room + 1))
    assert len(tokenizer.encode(fits)) == room
    bits = answer_bits(solver, [line("fits", "x", fits), line("long", "x", too_long)])
    assert bits["fits"] is not None
    assert bits["long"] is None


def test_a_base_model_ends_its_answer_with_its_line(loaded: LoadedModel, line: Items) -> None:
    solver, tokenizer = few_shot_model("base", loaded, [], 0, 8, 4), loaded.tokenizer
    item = line("a", "haue", "have")
    nats = one_by_one(loaded.model, solver.ask(item), [*tokenizer.encode("have"), *tokenizer.encode("\n")])
    assert answer_bits(solver, [item])["a"] == pytest.approx(nats / math.log(2) / 4, abs=1e-5)


@pytest.mark.parametrize("texts", [["Haue you had quiet Guard? " * 9], ["é", "", "Lal"], ["x"]])
def test_every_byte_of_a_text_is_scored_once(loaded: LoadedModel, texts: list[str]) -> None:
    cost = text_cost(loaded, texts)
    assert cost.num_bytes == sum(len(text.encode()) for text in texts)
    end = loaded.tokenizer.end_id
    ids = [end] + [token_id for text in texts for token_id in (*loaded.tokenizer.encode(text), end)]
    nats = sum(
        one_by_one(loaded.model, ids[start : start + 1], ids[start + 1 : start + 1 + CONTEXT_LENGTH])
        for start in range(0, len(ids) - 1, CONTEXT_LENGTH)
    )
    assert cost.nats == pytest.approx(nats, abs=1e-3)
    assert cost.bits_per_byte == pytest.approx(nats / math.log(2) / cost.num_bytes, rel=1e-5)
