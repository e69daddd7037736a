"""BPE-dropout keeps every byte, and its outcomes are as frequent as the published algorithm makes them."""

from collections import Counter, defaultdict
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lal.records import Message, Role
from lal.text.bpe_dropout import BpeDropout
from lal.text.chat import render
from lal.text.tokenizer import Tokenizer

TOKENIZER = Tokenizer.train(["Giue me my Armour, giue me armour; murmur no more. "] * 5, 284)

any_text = st.text(st.characters(exclude_categories=["Cs"])).filter(str.strip)
texts = st.lists(any_text | st.sampled_from([" armour", "Giue me"]))
probabilities = st.sampled_from([0.0, 0.1, 0.5, 1.0])


def encode(texts: list[str], probability: float, seed: int = 0) -> list[list[int]]:
    """The ids of each text as a question, without the control tokens around it."""
    rows = BpeDropout([[Message(role="user", content=text)] for text in texts], TOKENIZER, probability)
    return [row.ids[1:-1] for row in rows(np.random.default_rng(seed))]


@given(texts, probabilities)
def test_every_text_comes_back_whatever_is_left_out(texts: list[str], probability: float) -> None:
    assert [TOKENIZER.decode(ids) for ids in encode(texts, probability)] == texts


@given(texts)
def test_nothing_left_out_is_the_tokenizer_and_all_left_out_are_bytes(texts: list[str]) -> None:
    assert encode(texts, 0.0) == TOKENIZER.encode_batch(texts)
    assert [b"".join(map(TOKENIZER.token_bytes, ids)) for ids in encode(texts, 1.0)] == [t.encode() for t in texts]
    assert all(len(TOKENIZER.token_bytes(token_id)) == 1 for ids in encode(texts, 1.0) for token_id in ids)


def test_a_vocabulary_of_bytes_has_nothing_to_leave_out() -> None:
    only_bytes = Tokenizer.train(["Giue me"], 260)
    talk = [Message(role="user", content="Giue"), Message(role="assistant", content="Give")]
    [found] = BpeDropout([talk], only_bytes, 0.5)(np.random.default_rng(0))
    assert found == render(talk, only_bytes)


@given(
    st.lists(
        st.lists(
            st.tuples(st.sampled_from(["system", "user", "assistant"]), st.sampled_from(["a", "Giue me", " armour"])),
            min_size=1,
        )
    ),
    probabilities,
)
def test_all_but_the_questions_is_as_ever(talks: list[list[tuple[Role, str]]], probability: float) -> None:
    conversations = [[Message(role=role, content=content) for role, content in talk] for talk in talks]
    rows = BpeDropout(conversations, TOKENIZER, probability)(np.random.default_rng(0))
    for row, messages in zip(rows, conversations, strict=True):
        plain = render(messages, TOKENIZER)
        assert [i for i, said in zip(row.ids, row.is_answer, strict=True) if said] == [
            i for i, said in zip(plain.ids, plain.is_answer, strict=True) if said
        ]
        assert [i for i in row.ids if i >= TOKENIZER.end_id] == [i for i in plain.ids if i >= TOKENIZER.end_id]
        if probability == 0:
            assert row == plain


def test_the_same_draws_give_the_same_ids_and_others_others() -> None:
    texts = ["Giue me my armour"] * 20
    assert encode(texts, 0.3, seed=5) == encode(texts, 0.3, seed=5) != encode(texts, 0.3, seed=6)
    assert len({tuple(ids) for ids in encode(texts, 0.3)}) > 1


def by_the_paper(ids: tuple[int, ...], probability: float) -> dict[tuple[int, ...], float]:
    """How probable each outcome is for one word, by following every branch of the published algorithm."""
    learned = {(left, right): (place, merged) for place, (left, right, merged) in enumerate(TOKENIZER.merges())}
    possible = sorted((*learned[pair], at) for at, pair in enumerate(pairwise(ids)) if pair in learned)
    outcomes: dict[tuple[int, ...], float] = defaultdict(float)
    for passed_over, (_, merged, at) in enumerate(possible):
        weight = probability**passed_over * (1 - probability)
        for outcome, share in by_the_paper((*ids[:at], merged, *ids[at + 2 :]), probability).items():
            outcomes[outcome] += weight * share
    outcomes[ids] += probability ** len(possible)
    return outcomes


@pytest.mark.parametrize("word", [" armour", " murmur"])
def test_outcomes_are_as_frequent_as_the_published_algorithm_makes_them(word: str) -> None:
    count = 20_000
    [ids] = TOKENIZER.words(word)
    expected = by_the_paper(tuple(ids), 0.3)
    found = Counter(map(tuple, encode([word] * count, 0.3)))
    assert len(expected) > 5
    assert sum(expected.values()) == pytest.approx(1)
    # Half the summed differences; twenty thousand draws from so few outcomes differ by less than .02 from their source.
    assert sum(abs(share - found[outcome] / count) for outcome, share in expected.items()) / 2 < 0.02
