from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lal.errors import DataError
from lal.evaluation.copies.measure import NUM_SAMPLES, SAMPLE_CHARACTERS, Learned, copy_metrics, measure_copies
from lal.evaluation.copies.records import AT_LEAST, Copies, read_copies, write_copies
from lal.evaluation.copies.spans import SpanIndex
from lal.evaluation.report.copies import copies_section
from lal.evaluation.scores.results import Result
from lal.files import write_json
from lal.model.folder import LoadedModel
from lal.model.transformer import Config, Transformer
from lal.records import Conversation, Document, Message
from lal.text.batches import consecutive_windows
from lal.text.tokenizer import Tokenizer
from lal.train.validation import validate

TEXT = "".join(
    f"Speaker {number}:\nThe {number} of all these words are quite my own, good sir {number}.\n"
    for number in range(200)
)
HELD_OUT = "".join(
    f"A line of {number} that nobody has ever had to learn by heart; {number}.\n" for number in range(400)
)
LINE = "Have you had quiet Guard, and is it <b>well</b> with you?"


def document(identity: str, text: str, split: Any) -> Document:
    return Document(id=identity, text=text, source="test", licence="CC0-1.0", split=split)


def conversation(identity: str, prompt: str, answer: str) -> Conversation:
    messages = (Message(role="user", content=prompt), Message(role="assistant", content=answer))
    return Conversation(id=identity, messages=messages, task="x", source="x", licence="CC0-1.0", split="train")


def result(identity: str, text: str, expected: str = "", scorer: Any = "exact") -> Result:
    return Result(
        item_id=identity,
        solver="lal",
        slice="known",
        subslice="",
        source="macbeth",
        scorer=scorer,
        prompt="Modernise: x",
        expected=expected,
        alternatives=(),
        text=text,
        finish_reason="stop",
        num_tokens=1,
        scores={scorer: 1.0},
        explanation="",
    )


RESULTS = [
    result("copied", f"{LINE} So be it.", "Nothing of this was ever seen before"),
    result("own", "zxqv wvut", "Nothing here, either"),
    result("empty", "", "Words"),
    result("persona", "I am Lal, and I modernise spelling.", scorer="checks"),
]


@pytest.fixture(scope="module")
def base() -> LoadedModel:
    tokenizer = Tokenizer.train([TEXT], 300)
    config = Config(300, 1, 2, 2, 16, 32, 64, query_key_norm=True, tied_embeddings=False)
    return LoadedModel(Transformer(config, seed=1).eval(), tokenizer, {})


@pytest.fixture(scope="module")
def learned() -> Learned:
    return Learned(
        corpus=[document("train", TEXT, "train")],
        held_out=[document("held", HELD_OUT, "validation")],
        conversations=[
            conversation("play-1", "Modernise: Haue you had", LINE),
            conversation("persona-1", "Who are you?", "I am Lal, and I modernise spelling. I can do that."),
            conversation("quoting", "What is held out?", HELD_OUT[:500]),
        ],
    )


@pytest.fixture(scope="module")
def measured(base: LoadedModel, learned: Learned) -> Copies:
    return measure_copies(RESULTS, base, learned)


def test_each_answer_names_its_longest_span_and_where_it_stands(measured: Copies) -> None:
    copied, own, empty, persona = measured.answers
    assert (copied.text, copied.start, copied.place) == (LINE, 0, "play-1")
    assert (persona.text, persona.place) == ("I am Lal, and I modernise spelling.", "persona-1")
    assert [(one.text, one.place, one.num_characters) for one in (own, empty)] == [("", "", 9), ("", "", 0)]


def test_shares_fall_with_the_length_of_the_span_and_count_characters(measured: Copies) -> None:
    group = measured.groups[0]
    characters = len(LINE) + len(" So be it.") + len("zxqv wvut")
    assert (group.num_texts, group.num_characters, group.longest) == (3, characters, len(LINE))
    assert group.shares["50"] == pytest.approx(len(LINE) / characters)
    assert group.shares["80"] == 0
    assert group.median_longest == 0
    for other in measured.groups:
        shares = [other.shares[str(least)] for least in AT_LEAST]
        assert shares == sorted(shares, reverse=True)


def test_the_expected_answers_of_the_same_items_are_the_yardstick(measured: Copies) -> None:
    expected = measured.groups[1]
    assert (expected.by, expected.num_texts, expected.shares["20"]) == ("people", 3, 0.0)
    assert (measured.groups[2].by, measured.groups[2].num_texts, measured.groups[2].shares["30"]) == ("model", 1, 1.0)


def test_the_base_model_is_compared_with_the_corpus_alone(measured: Copies, learned: Learned) -> None:
    written, real = measured.groups[3:]
    assert (written.by, real.by, written.body, real.body) == ("model", "people", "corpus", "corpus")
    assert written.num_characters == real.num_characters
    assert written.num_texts == NUM_SAMPLES
    assert written.num_characters <= NUM_SAMPLES * SAMPLE_CHARACTERS
    # The start of the held-out text stands in a conversation, which the base model has not seen.
    assert real.longest < 40
    assert measured.bodies["corpus"] == len(TEXT)
    assert measured.bodies["training text"] > len(TEXT)


def test_a_model_that_recites_is_found_out(
    learned: Learned, base: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    recited = base.tokenizer.encode(TEXT)
    monkeypatch.setattr(
        "lal.evaluation.copies.measure.continue_batch",
        lambda model, beginnings, *rest: [recited[9 * n : 9 * n + 40] for n in range(len(beginnings))],
    )
    written, real = measure_copies(RESULTS, base, learned).groups[3:]
    assert written.shares["30"] == 1.0
    assert real.shares["30"] == 0.0


def test_bits_per_byte_are_those_of_the_training_validation(base: LoadedModel, learned: Learned) -> None:
    held_out = HELD_OUT[:3000]
    less = Learned(learned.corpus, [document("held", held_out, "validation")], [])
    found = measure_copies([], base, less).likelihood
    ids = np.array(base.tokenizer.encode(held_out))
    windows = (len(ids) - 1) // 64
    assert found is not None
    assert found.num_windows == windows
    batches = list(consecutive_windows(ids[: windows * 64 + 1], 64, 1))
    assert found.held_out == pytest.approx(validate(base.model, batches, base.tokenizer).bits_per_byte, rel=1e-6)
    assert found.training != found.held_out


def test_a_held_out_text_too_short_for_a_sample_leaves_that_part_out(base: LoadedModel, learned: Learned) -> None:
    short = Learned(learned.corpus, [document("held", "Too short.", "validation")], learned.conversations)
    copies = measure_copies(RESULTS, base, short)
    assert copies.likelihood is None
    assert [group.by for group in copies.groups] == ["model", "people", "model"]
    assert copies_section(copies)
    nothing = measure_copies([], base, Learned([], [], []))
    assert (nothing.groups, nothing.answers, copies_section(nothing)) == ((), (), "")


def test_measuring_twice_gives_the_same(measured: Copies, base: LoadedModel, learned: Learned) -> None:
    assert measure_copies(RESULTS, base, learned) == measured


def test_the_file_reads_back_and_another_is_an_error(measured: Copies, tmp_path: Path) -> None:
    path = tmp_path / "copies.json"
    write_copies(path, measured)
    assert read_copies(path) == measured
    write_json(path, {"groups": []})
    with pytest.raises(DataError, match=r"copies\.json: not a file of copies"):
        read_copies(path)


def test_metrics_are_the_shares_at_twenty_characters(measured: Copies) -> None:
    metrics = copy_metrics(measured)
    assert set(metrics) == {"answers", "expected", "samples", "held_out"}
    assert metrics["answers"] == round(measured.groups[0].shares["20"], 4)


def test_the_section_shows_every_row_and_escapes_what_was_copied(measured: Copies) -> None:
    html = copies_section(measured)
    assert html.startswith('<section id="copies">')
    assert html.count("<tr>") == len(measured.groups) + 1
    assert "&lt;b&gt;well&lt;/b&gt;" in html
    assert "<b>well" not in html
    assert "play-1" in html
    assert "bits a byte" in html


def test_a_line_to_modernise_is_indexed_without_the_words_before_it(base: LoadedModel) -> None:
    learned = Learned([], [], [conversation("c", "Modernise: Haue you had quiet Guard", "Have you")])
    copies = measure_copies([result("a", "Modernise: Haue you had quiet Guard", "x")], base, learned)
    assert copies.answers[0].text == "Haue you had quiet Guard"
    assert SpanIndex([]).num_characters == 0
