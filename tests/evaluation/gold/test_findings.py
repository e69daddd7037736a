from pathlib import Path
from typing import Any

import pytest

from lal.data.tables import Line
from lal.evaluation.gold.findings import (
    ENOUGH,
    REFUSAL,
    find_item_flaws,
    find_leaks,
    find_misplaced,
    find_near_twins,
    find_set_flaws,
    find_settled_slices,
    planted,
)
from lal.evaluation.gold.slices import WordForms
from lal.evaluation.scores.results import Result
from lal.gold_items import GoldItem, SecondReading
from lal.records import Conversation, Message

ROOT = Path(__file__).parents[3]
READ = SecondReading(reader="A. Person", on="2026-11-24", outcome="agrees")


def line(number: int = 1, file: str = "gold", **changes: Any) -> Line[GoldItem]:
    fields: dict[str, Any] = {
        "id": f"g{number}",
        "slice": "known",
        "messages": (Message(role="user", content=f"Modernise: Haue you seene {number} horses?"),),
        "scorer": "exact",
        "expected": f"Have you seen {number} horses?",
        "difficulty": "easy",
        "source": "macbeth",
        "split": "dev",
        "version": 1,
        "provenance": "by hand",
        "second_reading": READ,
    }
    return Line(f"gold/{file}.jsonl:{number}", file, GoldItem(**(fields | changes)))


def question(text: str, **checks: Any) -> Line[GoldItem]:
    return line(messages=(Message(role="user", content=text),), scorer="checks", expected="", **checks)


def flaws(*lines: Line[GoldItem]) -> list[str]:
    return [f"{finding.severity}: {finding.text}" for finding in find_item_flaws(lines)]


def test_a_sound_item_has_no_flaws() -> None:
    assert not flaws(line(), question("Who are you?", slice="persona", must_contain=("my name",)))


def test_an_alternative_that_is_the_line_itself_lets_copying_pass() -> None:
    item = line(alternatives=("Haue you seene 1 horses?",))
    assert flaws(item) == ["error: g1: copying the line passes: Haue you seene 1 horses?"]


def test_an_alternative_that_lacks_a_word_is_found() -> None:
    assert flaws(line(alternatives=("Have seen 1 horses?",))) == [
        "error: g1: leaving out a word passes: Have seen 1 horses?"
    ]


def test_checks_that_the_stock_refusal_passes_are_found_unless_it_is_to_decline() -> None:
    assert flaws(question("What do you do?", must_contain=("spelling",))) == [
        f"error: g1: the stock refusal passes: {REFUSAL}"
    ]
    assert not flaws(question("Write code.", subslice="declines", must_contain=("cannot",)))


def test_checks_that_silence_passes_are_found() -> None:
    assert flaws(question("Who are you?", must_not_contain=("human", "cannot"))) == [
        "error: g1: an empty answer passes: "
    ]


def test_two_checks_that_no_answer_can_keep_together_are_found() -> None:
    item = question("Which?", must_contain=("a lion",), must_not_contain=("nothing; a", "Lal"), slice="x")
    assert not flaws(item)
    broken = question("Which?", must_contain=("one", "two"), must_not_contain=("one; two",), slice="x")
    assert any("a right answer fails: one; two" in flaw for flaw in flaws(broken))


def test_what_a_sealed_item_says_is_not_shown() -> None:
    (said,) = flaws(line(file="sealed", split="sealed", alternatives=("Haue you seene 1 horses?",)))
    assert said == "error: g1: copying the line passes"


def test_an_item_without_provenance_is_a_warning() -> None:
    assert flaws(line(provenance="")) == ["warning: g1: no provenance"]


def test_every_word_is_left_out_once() -> None:
    texts = [text for what, text in planted(line().record) if what == "leaving out a word"]
    assert texts[0] == "you seen 1 horses?"
    assert len(texts) == 5


def set_flaws(*lines: Line[GoldItem]) -> list[str]:
    return [f"{finding.place}: {finding.severity}: {finding.text}" for finding in find_set_flaws(lines, ["known"])]


def test_a_question_that_is_asked_twice_in_other_dress_is_an_error() -> None:
    twice = line(2, messages=(Message(role="user", content="Modernise: haue you seene 1 Horses"),))
    assert "gold/gold.jsonl:2: error: g2: its question stands in gold/gold.jsonl:1, g1, too" in set_flaws(line(), twice)


def test_an_id_that_is_used_in_two_files_is_an_error() -> None:
    other = line(2, file="more", id="g1")
    assert "gold/more.jsonl:2: error: g1: its id stands in gold/gold.jsonl:1, g1, too" in set_flaws(line(), other)


def test_a_sealed_item_among_the_dev_items_is_a_warning() -> None:
    (finding,) = [text for text in set_flaws(line(), line(2, split="sealed")) if "sealed.jsonl" in text]
    assert finding.startswith("gold/gold.jsonl:2: warning: g2: split 'sealed' in gold.jsonl")


def test_a_slice_of_few_items_is_a_warning_and_a_headline_slice_of_none_an_error() -> None:
    assert set_flaws(*[line(number) for number in range(ENOUGH)]) == []
    assert set_flaws(*[line(number) for number in range(ENOUGH - 1)]) == [
        "gold: warning: slice 'known' has 29 dev items, fewer than 30: its share says little"
    ]
    other = [line(number, slice="keep") for number in range(ENOUGH)]
    assert set_flaws(*other) == ["gold: error: slice 'known' has 0 dev items, fewer than 30: its share says little"]


def test_items_that_nobody_read_twice_are_counted_and_disputed_ones_named() -> None:
    lines = [line(number) for number in range(ENOUGH)]
    disputed = SecondReading(reader="A. Person", on="2026-11-24", outcome="disputed")
    lines += [line(ENOUGH, second_reading=None), line(ENOUGH + 1, second_reading=disputed)]
    assert set_flaws(*lines) == [
        "gold/gold.jsonl:30: warning: 1 of 32 items have no second reading, first g30",
        "gold/gold.jsonl:31: warning: 1 items are disputed, first g31: settle them, or take them out",
    ]


def test_a_sealed_item_that_is_nearly_a_dev_item_is_found_without_showing_it() -> None:
    content = "Modernise: When shall we three meet againe in Thunder"
    dev = line(1, messages=(Message(role="user", content=content),))
    near = line(2, "sealed", split="sealed", messages=(Message(role="user", content=f"{content} or raine"),))
    (finding,) = find_near_twins([dev, near])
    assert finding.place == "gold/sealed.jsonl:2"
    assert "Thunder" not in finding.text
    assert not find_near_twins([dev, line(3, "sealed", split="sealed")])


def test_a_line_in_another_slice_than_the_program_says_is_a_warning() -> None:
    forms = WordForms([("haue you seene horses 1", "have you seen horses 1")])
    assert not find_misplaced([line()], forms)
    (finding,) = find_misplaced([line(slice="unseen")], forms)
    assert finding.severity == "warning"
    assert "slice 'unseen', by program 'known'" in finding.text


def test_an_item_that_is_trained_on_is_an_error() -> None:
    prompt, answer = line().record.messages[0], Message(role="assistant", content="Have you seen 1 horses?")
    chat = Conversation(id="c", messages=(prompt, answer), task="t", source="s", licence="l", split="train")
    found = find_leaks([line()], [], [Line("train.jsonl:1", "train", chat)], 0.7)
    assert [(finding.place, finding.severity) for finding in found] == [("gold/gold.jsonl:1", "error")]


def result(item: GoldItem, passed: bool) -> Result:
    return Result(
        item_id=item.id,
        solver="lal",
        slice=item.slice,
        subslice=item.subslice,
        source=item.source,
        scorer=item.scorer,
        prompt=item.prompt,
        expected=item.expected,
        alternatives=item.alternatives,
        text="",
        finish_reason="stop",
        num_tokens=1,
        scores={"exact": float(passed)},
        explanation="",
    )


@pytest.mark.parametrize(("right", "said"), [(0, "all 3 items wrong"), (1, ""), (3, "all 3 items right")])
def test_a_slice_that_is_all_right_or_all_wrong_is_named(right: int, said: str) -> None:
    lines = [line(number) for number in range(3)]
    results = [result(each.record, number < right) for number, each in enumerate(lines)]
    found = [finding.text for finding in find_settled_slices(lines, results)]
    assert found == ([f"slice 'known': {said}"] if said else [])


def test_the_refusal_is_the_one_that_lal_was_taught() -> None:
    assert f'"{REFUSAL}"' in (ROOT / "data/sft/persona.jsonl").read_text()
