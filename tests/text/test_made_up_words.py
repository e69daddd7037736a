"""A made-up word stands wherever one of the conversation's words stood, and nothing else changes."""

import re

import numpy as np
import pytest

from lal.records import Message
from lal.text.made_up_words import MadeUpWords

TEXTS = ["Give me my Armour and the Constellation of the kingdom", "Whither wander you, spirit?"]


def talk(question: str, answer: str) -> list[Message]:
    return [Message(role="user", content=question), Message(role="assistant", content=answer)]


def contents(texts: list[str], messages: list[Message], seed: int) -> list[str]:
    return [message.content for message in MadeUpWords(texts).put_into(messages, np.random.default_rng(seed))]


def test_one_copied_word_gives_way_to_the_same_made_up_word_in_question_and_answer() -> None:
    question, answer = "Modernise: Giue Lysander my Armor, Lysander!", "Give Lysander my Armour, Lysander!"
    found = {tuple(contents(TEXTS, talk(question, answer), seed)) for seed in range(30)}
    assert len(found) > 20
    for asked, said in found:
        [word] = re.findall(r"Modernise: Giue (\w+) my Armor, \1!", asked)
        assert said == f"Give {word} my Armour, {word}!"
        assert word != "Lysander"
        assert word.istitle()


def test_a_word_is_the_beginning_of_one_and_the_end_of_another() -> None:
    for seed in range(30):
        [word, _] = contents(["kingdom spirit"], talk("wander", "wander"), seed)
        assert any(
            word == first[:head] + second[-tail:]
            for first in ("kingdom", "spirit")
            for second in ("kingdom", "spirit")
            for head in range(2, len(first))
            for tail in range(2, len(second))
        )


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Haue you loue?", "Have you love?"),  # no word of four letters is in both
        ("wealth then then", "riches than then"),  # one of two has become another
        ("they're", "they're"),
        ("1623 1623", "1623"),
    ],
)
def test_what_is_not_copied_stays(question: str, answer: str) -> None:
    assert contents(TEXTS, talk(question, answer), 0) == [question, answer]


def test_without_words_to_make_others_from_all_stays() -> None:
    assert contents(["a to be"], talk("wander", "wander"), 0) == ["wander", "wander"]


@pytest.mark.parametrize(
    ("word", "is_like_it"), [("WANDER", str.isupper), ("Wander", str.istitle), ("wander", str.islower)]
)
def test_capitals_stay_where_they_were(word: str, is_like_it: object) -> None:
    assert callable(is_like_it)
    assert is_like_it(contents(TEXTS, talk(word, word), 3)[0])
