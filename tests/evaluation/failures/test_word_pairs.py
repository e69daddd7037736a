import pytest

from lal.evaluation.failures.word_pairs import WordPairs, pairs_of
from lal.records import Conversation, Message


def row(prompt: str, answer: str) -> Conversation:
    messages = (Message(role="user", content=prompt), Message(role="assistant", content=answer))
    return Conversation(id="a", messages=messages, task="modernise", source="x", licence="y", split="train")


TRAINING = WordPairs.count(
    [
        row("Modernise: Then I went", "Then I went"),
        row("Modernise: better then he", "better than he"),
        row("Modernise: worse THEN she", "worse THAN she"),
        row("Modernise: I may be", "Maybe"),
        row("Who are you then?", "I am Lal then"),
    ]
)


def test_pairs_are_counted_in_small_letters_over_lines_alone() -> None:
    then = TRAINING.of("then", "than")
    assert (then.num_seen, then.num_old) == (2, 3)
    assert TRAINING.of("you", "you").num_old == 0


def test_a_line_whose_words_do_not_pair_off_teaches_nothing() -> None:
    assert pairs_of(row("Modernise: I may be", "Maybe")) == []
    assert TRAINING.of("may", "may").num_old == 0


@pytest.mark.parametrize(
    ("old", "modern", "evidence"),
    [
        ("then", "than", "majority"),
        ("then", "then", "minority"),
        ("then", "thin", "other readings only"),
        ("murther", "murder", "never seen"),
    ],
)
def test_the_evidence_for_a_reading_is_its_share_of_the_word(old: str, modern: str, evidence: str) -> None:
    assert TRAINING.of(old, modern).evidence == evidence
