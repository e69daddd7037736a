"""Batches are functions of the step: every target once an epoch, nothing twice, nothing lost."""

from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lal.errors import TrainingError
from lal.text.batches import (
    MAX_WIDTHS,
    NO_TARGET,
    Batch,
    ConversationBatches,
    WindowBatches,
    choose_widths,
    consecutive_windows,
    pad_rows,
)
from lal.text.chat import Rendered

TOKENS = np.arange(1000, dtype=np.uint16)


def equal(first: Batch, second: Batch) -> bool:
    return np.array_equal(first.inputs, second.inputs) and np.array_equal(first.targets, second.targets)


def conversations(lengths: list[int]) -> list[Rendered]:
    """Rows of these many ids, all different; the second half is the answer."""
    starts = np.cumsum([0, *lengths]).tolist()
    return [
        Rendered(list(range(start, start + length)), [place >= length // 2 for place in range(length)])
        for start, length in zip(starts, lengths, strict=False)
    ]


def test_a_target_is_the_id_that_follows() -> None:
    batch = WindowBatches(TOKENS, context_length=16, batch_size=4, seed=0)(3)
    assert batch.inputs.shape == batch.targets.shape == (4, 16)
    assert batch.inputs.dtype == batch.targets.dtype == np.int64
    assert np.array_equal((batch.inputs + 1) % 1000, batch.targets)


def test_no_window_comes_twice_in_an_epoch_and_each_epoch_cuts_anew() -> None:
    batches = WindowBatches(TOKENS, context_length=16, batch_size=4, seed=0)
    epochs = [
        [batches(epoch * batches.steps_per_epoch + step).targets for step in range(batches.steps_per_epoch)]
        for epoch in range(3)
    ]
    for epoch in epochs:
        assert max(Counter(np.ravel(epoch).tolist()).values()) == 1
        assert np.size(epoch) > 1000 - 16 * 4 - 16
    assert len({int(epoch[0][0, 0]) % 16 for epoch in epochs}) > 1


LENGTHS = [9, 20, 5, 33, 8, 8, 40]


def other_ids(draws: np.random.Generator) -> list[Rendered]:
    """`LENGTHS` rows of other ids, most of them longer than they were."""
    drawn = [draws.integers(1000, 10**12, size=length + draws.integers(5)).tolist() for length in LENGTHS]
    return [Rendered(ids, [place > 0 for place in range(len(ids))]) for ids in drawn]


@pytest.mark.parametrize(
    "batches",
    [
        WindowBatches(TOKENS, 8, 3, seed=5),
        ConversationBatches(conversations(LENGTHS), 2, 5, pad_id=0),
        ConversationBatches(conversations(LENGTHS), 2, 5, pad_id=0, vary=other_ids),
    ],
)
def test_resuming_at_a_step_gives_that_steps_batch(batches: WindowBatches | ConversationBatches) -> None:
    steps = range(3 * batches.steps_per_epoch)
    forwards = [batches(step) for step in steps]
    assert all(equal(batches(step), forwards[step]) for step in reversed(steps))


def test_another_seed_is_another_order() -> None:
    assert not equal(WindowBatches(TOKENS, 16, 4, seed=0)(0), WindowBatches(TOKENS, 16, 4, seed=1)(0))


@pytest.mark.parametrize("length", [0, 1, 16, 63])
def test_a_text_too_short_for_a_batch_is_refused(length: int) -> None:
    with pytest.raises(TrainingError, match=f"{length} tokens: fewer than a batch of 4 windows of 16"):
        WindowBatches(TOKENS[:length], context_length=16, batch_size=4, seed=0)


def test_a_window_never_meets_its_own_beginning() -> None:
    with pytest.raises(TrainingError, match="16 tokens"):
        WindowBatches(TOKENS[:16], context_length=16, batch_size=1, seed=0)
    targets = WindowBatches(TOKENS[:17], context_length=16, batch_size=1, seed=0)(0)
    assert set(targets.inputs[0]) != set(range(17))


@given(st.integers(0, 200), st.integers(1, 9), st.integers(1, 5))
def test_validation_sees_every_id_but_the_first_exactly_once(length: int, context_length: int, batch_size: int) -> None:
    batches = list(consecutive_windows(TOKENS[:length], context_length, batch_size))
    assert {batch.inputs.shape for batch in batches} <= {(batch_size, context_length)}
    targets = [int(target) for batch in batches for target in batch.targets.ravel() if target != NO_TARGET]
    assert targets == list(range(1, length))
    for batch in batches:
        seen = batch.targets != NO_TARGET
        assert np.array_equal(batch.inputs[seen] + 1, batch.targets[seen])


@given(st.integers(0, 100), st.integers(1, 9), st.integers(1, 5))
def test_an_id_before_the_text_makes_its_first_id_a_target(length: int, context_length: int, batch_size: int) -> None:
    tokens = TOKENS[: length + 1]
    expected, found = (
        consecutive_windows(tokens, context_length, batch_size),
        consecutive_windows(tokens[1:], context_length, batch_size, before=int(tokens[0])),
    )
    assert len(found) == len(expected)
    assert all(map(equal, found, expected))
    assert all(map(equal, found[1:], list(expected)[1:]))


@given(st.lists(st.integers(3, 70), min_size=1, max_size=60), st.integers(1, 8))
def test_every_conversation_comes_once_an_epoch_with_targets_on_its_answer_only(
    lengths: list[int], batch_size: int
) -> None:
    rows = conversations(lengths)
    batches = ConversationBatches(rows, batch_size, seed=1, pad_id=0)
    expected = [token_id for row in rows for token_id, answer in zip(row.ids, row.is_answer, strict=True) if answer]
    for epoch in range(2):
        epoch_batches = [batches(epoch * batches.steps_per_epoch + step) for step in range(batches.steps_per_epoch)]
        assert {batch.inputs.shape[0] for batch in epoch_batches} == {batch_size}
        assert {batch.inputs.shape[1] for batch in epoch_batches} <= set(batches.widths)
        targets = [int(target) for batch in epoch_batches for target in batch.targets.ravel() if target != NO_TARGET]
        assert sorted(targets) == expected


def test_what_varies_is_drawn_anew_each_epoch_and_never_wider_than_the_widest_row() -> None:
    rows = conversations(LENGTHS)
    batches = ConversationBatches(rows, 2, seed=5, pad_id=0, vary=other_ids)
    seen = []
    for epoch in range(20):
        epoch_batches = [batches(epoch * batches.steps_per_epoch + step) for step in range(batches.steps_per_epoch)]
        assert {batch.inputs.shape[1] for batch in epoch_batches} <= set(batches.widths)
        seen.append({int(target) for batch in epoch_batches for target in batch.targets.ravel()} - {NO_TARGET})
    # The longest row, of 40 ids, is seldom drawn with no more; then it is shown as it was.
    assert {len(epoch & set(rows[6].ids)) for epoch in seen} == {0, 20}
    assert all(not first & second - set(rows[6].ids) for first, second in combinations(seen, 2))


def test_rows_keep_to_themselves() -> None:
    batch = pad_rows(conversations([4, 3]), width=5, batch_size=3, pad_id=9)
    assert batch.inputs.tolist() == [[0, 1, 2, 9, 9], [4, 5, 9, 9, 9], [9, 9, 9, 9, 9]]
    assert batch.targets.tolist() == [[-1, 2, 3, -1, -1], [5, 6, -1, -1, -1], [-1, -1, -1, -1, -1]]


@given(st.lists(st.integers(1, 600), min_size=1, max_size=200))
def test_widths_are_few_and_hold_every_row(lengths: list[int]) -> None:
    widths = choose_widths(np.array(lengths))
    assert widths == sorted(set(widths))
    assert len(widths) <= MAX_WIDTHS
    assert widths[-1] == max(lengths)


def test_widths_follow_the_lengths() -> None:
    assert choose_widths(np.array([30] * 50 + [61] * 50 + [62] + [200] * 3)) == [32, 64, 200]


def test_no_conversations_is_an_error_of_the_user() -> None:
    with pytest.raises(TrainingError, match="no conversations"):
        ConversationBatches([], 4, seed=0, pad_id=0)
