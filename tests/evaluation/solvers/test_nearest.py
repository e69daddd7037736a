import math
import random
from collections import Counter

import pytest

from lal.evaluation.scores.alignment import words
from lal.evaluation.solvers.nearest import Nearest
from lal.records import Conversation, Message


def conversation(identity: str, prompt: str, answer: str) -> Conversation:
    return Conversation(
        id=identity,
        messages=(Message(role="user", content=prompt), Message(role="assistant", content=answer)),
        task="any",
        source="hamlet",
        licence="CC0-1.0",
        split="train",
    )


ROWS = [
    conversation("l1", "Modernise: Haue you had quiet Guard?", "Have you had quiet Guard?"),
    conversation("l2", "Modernise: Not a Mouse stirring", "Not a Mouse stirring"),
    conversation("l3", "Modernise: Who are you?", "Who are you?"),
    conversation("p1", "Who are you?", "I am Lal."),
    conversation("p2", "Who made you?", "A student."),
]


def test_the_nearest_answer_is_that_of_the_question_with_the_rarest_words_in_common() -> None:
    nearest = Nearest.build(ROWS)
    assert nearest.num_rows == 5
    assert nearest.answer_to("Modernise: a quiet guard, you") == "Have you had quiet Guard?"
    assert [row.id for row, _ in nearest.best("Who has made it?", 2)] == ["p2", "p1"]


def test_a_line_is_looked_up_among_lines_and_a_question_among_questions() -> None:
    nearest = Nearest.build(ROWS)
    assert nearest.answer_to("Who are you?") == "I am Lal."
    assert nearest.answer_to("Modernise: Who are you?") == "Who are you?"


def test_what_shares_no_word_has_no_neighbour() -> None:
    nearest = Nearest.build(ROWS)
    assert nearest.best("Zounds", 3) == []
    assert nearest.answer_to("Modernise: ...") == ""
    assert len(nearest.best("Who", 10)) == 2


@pytest.mark.parametrize("rows", [[], ROWS[:1], [conversation("x", "?!", "no words")]])
def test_an_index_over_little_or_nothing_works(rows: list[Conversation]) -> None:
    nearest = Nearest.build(rows)
    assert nearest.best("Who are you?", 2) == []
    assert nearest.answer_to("?!") == ""


def test_of_equally_near_rows_the_first_comes_first() -> None:
    nearest = Nearest.build([conversation(f"r{n}", "the same words", str(n)) for n in range(50)])
    assert [row.id for row, _ in nearest.best("same words", 3)] == ["r0", "r1", "r2"]


def test_scores_are_those_of_the_formula() -> None:
    """Lucene's BM25, k1 = 1.5 and b = 0.75, written out."""
    generator = random.Random(7)  # noqa: S311 - a draw, not a secret
    vocabulary = ["haue", "you", "had", "quiet", "guard", "not", "a", "mouse", "stirring", "who", "made", "it"]
    texts = [" ".join(generator.choices(vocabulary, k=generator.randint(1, 9))) for _ in range(40)]
    query = "you had a quiet mouse"
    documents = [Counter(words(text)) for text in texts]
    mean_length = sum(document.total() for document in documents) / len(documents)

    def score(document: Counter[str]) -> float:
        total = 0.0
        for word in words(query):
            having = sum(word in other for other in documents)
            idf = math.log(1 + (len(documents) - having + 0.5) / (having + 0.5))
            count = document[word]
            total += idf * count / (count + 1.5 * (1 - 0.75 + 0.75 * document.total() / mean_length))
        return total

    expected = {f"r{n}": score(document) for n, document in enumerate(documents)}
    nearest = Nearest.build([conversation(f"r{n}", text, "x") for n, text in enumerate(texts)])
    found = {row.id: value for row, value in nearest.best(query, 40)}
    assert found == pytest.approx({key: value for key, value in expected.items() if value > 0})
