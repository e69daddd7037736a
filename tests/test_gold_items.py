"""The gold set that is shipped: what gold/README.md promises of it, and nothing about how it is read."""

import re
from collections import Counter
from pathlib import Path

import pytest

from lal.data.tables import read_lines
from lal.evaluation.gold.findings import REFUSAL, find_item_flaws, find_near_twins, find_set_flaws
from lal.evaluation.gold.folder import load_gold
from lal.evaluation.scores.scorers import failed_checks
from lal.gold_items import GoldItem
from lal.params import load_params
from lal.records import MODERNISE_PREFIX, Conversation, read_records

ROOT = Path(__file__).parents[1]
TWO_WORDS_OR_ONE = {("Any thing in or out of our Demands,", "Anything in or out of our Demands,")}
"""The one place where an alternative joins two words."""

RIGHT_FOR_SEVERAL = {
    "I am Lal, a small language model that modernises First Folio spelling.": {"identity", "task", "limits"},
    "Hello, I am Lal. Put Modernise: before a line of the First Folio.": {"identity", "use"},
}
"""The stock answers that are right in several subslices; `limits` asks whether Lal is human."""

FILED = read_lines(ROOT / "gold", GoldItem)
ITEMS = [line.record for line in FILED]
LINES = [item for item in ITEMS if item.scorer == "exact"]
PERSONA = [item for item in ITEMS if item.slice == "persona"]


PLAYS = {"macbeth", "twelfth-night", "henry-v"}

pytestmark = pytest.mark.skipif(
    PLAYS.isdisjoint(item.source for item in ITEMS),
    reason="gold/ holds a gold set of your own, not the one that is shipped",
)


def source_of(item: GoldItem) -> str:
    return item.prompt.removeprefix(MODERNISE_PREFIX)


def frame(line: str) -> str:
    """A line with each word as one letter, upper or lower: its words, spaces, capitals and punctuation."""
    return re.sub(r"[A-Za-z'-]+", lambda word: "W" if word[0].lstrip("'")[:1].isupper() else "w", line)


def letters(text: str) -> str:
    return re.sub(r"[^a-z]", "", text.lower())


def conversations() -> list[Conversation]:
    return read_records(ROOT / "data/sft/persona.jsonl", Conversation)


def test_the_counts_in_the_readme_are_the_counts_of_the_items() -> None:
    readme = (ROOT / "gold/README.md").read_text()
    table = re.findall(r"^\| ([a-z-]+) \| (\d+) \| (\d+) \|", readme, re.MULTILINE)
    counted = Counter((item.split, item.subslice if item.slice == "context" else item.slice) for item in ITEMS)
    said = {("dev", name): int(dev) for name, dev, _ in table} | {
        ("sealed", name): int(n) for name, _, n in table if n != "0"
    }
    assert said == counted
    dev = sum(item.split == "dev" for item in ITEMS)
    assert f"{len(ITEMS)} questions" in readme
    assert f"{dev} to develop with and {len(ITEMS) - dev} under seal" in " ".join(readme.split())


def test_there_are_600_items_or_more() -> None:
    assert len(ITEMS) >= 600


def test_lal_gold_check_finds_nothing_wrong_with_the_items_and_says_only_what_is_known() -> None:
    headline = load_params(ROOT / "params.yaml").gold.headline
    assert not find_item_flaws(FILED)
    assert not find_near_twins(FILED)
    (finding,) = find_set_flaws(FILED, headline)
    assert f"{len(PERSONA)} of {len(ITEMS)} items have no second reading" in finding.text


def test_every_line_was_read_twice_and_says_where_it_comes_from() -> None:
    assert {item.second_reading.outcome for item in LINES if item.second_reading} <= {
        "agrees",
        "upheld",
        "corrected",
        "alternative added",
    }
    assert not [item.id for item in LINES if item.second_reading is None]
    assert not [item.id for item in ITEMS if not item.provenance]


def test_what_is_loaded_to_develop_with_is_not_under_seal() -> None:
    dev, sealed = load_gold(ROOT / "gold"), load_gold(ROOT / "gold", split="sealed")
    assert {item.split for item in dev} == {"dev"}
    assert {line.file for line in FILED if line.record in sealed} == {"sealed"}
    assert len(dev) + len(sealed) == len(ITEMS)


def test_the_sealed_items_have_the_slices_of_the_headline_in_like_shares() -> None:
    counts = {split: Counter(item.slice for item in LINES if item.split == split) for split in ("dev", "sealed")}
    shares = [{name: n / counts[split].total() for name, n in counts[split].items()} for split in ("dev", "sealed")]
    assert all(abs(shares[0][name] - shares[1][name]) < 0.05 for name in shares[0])


def test_every_line_has_the_prefix_and_every_persona_question_has_not() -> None:
    assert all(item.prompt.startswith(MODERNISE_PREFIX) for item in LINES)
    assert not [item.id for item in PERSONA if item.prompt.startswith(MODERNISE_PREFIX)]
    assert len(LINES) + len(PERSONA) == len(ITEMS)


def test_no_line_is_asked_twice() -> None:
    repeated = [text for text, count in Counter(letters(item.prompt) for item in ITEMS).items() if count > 1]
    assert not repeated


def test_answers_keep_the_words_capitals_and_punctuation_of_the_folio() -> None:
    changed = [
        (item.id, answer)
        for item in LINES
        for answer in (item.expected, *item.alternatives)
        if frame(answer) != frame(source_of(item)) and (source_of(item), answer) not in TWO_WORDS_OR_ONE
    ]
    assert not changed


def test_only_the_slice_keep_repeats_its_source() -> None:
    unchanged = {item.id for item in LINES if item.expected == source_of(item)}
    assert unchanged == {item.id for item in LINES if item.slice == "keep"}


def test_alternatives_differ_from_the_expected_answer_and_from_each_other() -> None:
    assert not [item.id for item in LINES if len({item.expected, *item.alternatives}) <= len(item.alternatives)]


def test_items_are_plain_ascii_without_stray_blanks() -> None:
    texts = [
        (item.id, text)
        for item in ITEMS
        for text in (item.prompt, item.expected, item.note, *item.alternatives)
        if not text.isascii() or text != " ".join(text.split())
    ]
    assert not texts


def test_lines_are_from_the_three_plays_and_the_sealed_ones_are_of_version_2() -> None:
    assert {item.source for item in LINES} == {"macbeth", "twelfth-night", "henry-v"}
    assert {(item.split, item.version) for item in ITEMS} == {("dev", 1), ("dev", 2), ("sealed", 2)}


def test_no_persona_question_of_the_gold_set_stands_in_the_persona_conversations() -> None:
    learned = {letters(message.content) for row in conversations() for message in row.messages}
    assert not [item.id for item in PERSONA if letters(item.prompt) in learned]


def stock_answers() -> set[str]:
    return {message.content for row in conversations() for message in row.messages if message.role == "assistant"}


def items_passed(answer: str) -> list[GoldItem]:
    return [item for item in PERSONA if not failed_checks(item.must_contain, item.must_not_contain, answer)]


def test_some_persona_answer_passes_the_checks_of_each_persona_question() -> None:
    passed = {item.id for answer in stock_answers() for item in items_passed(answer)}
    assert passed == {item.id for item in PERSONA}


def test_no_stock_answer_passes_in_two_subslices_unless_it_is_right_in_both() -> None:
    passed = {answer: {item.subslice for item in items_passed(answer)} for answer in stock_answers()}
    assert {answer: subslices for answer, subslices in passed.items() if len(subslices) > 1} == RIGHT_FOR_SEVERAL


def test_each_stock_answer_is_right_for_one_question_about_limits_at_most() -> None:
    counts = [sum(item.subslice == "limits" for item in items_passed(answer)) for answer in stock_answers()]
    assert max(counts) == 1


def test_the_refusal_passes_what_is_to_be_declined_and_nothing_else() -> None:
    assert [answer for answer in stock_answers() if "cannot help" in answer] == [REFUSAL]
    assert items_passed(REFUSAL) == [item for item in PERSONA if item.subslice == "declines"]


def test_an_empty_answer_passes_no_persona_question() -> None:
    assert not items_passed("")


def test_the_counts_in_the_readme_are_the_counts_of_the_persona_conversations() -> None:
    rows = conversations()
    questions = Counter(sum(message.role == "user" for message in row.messages) for row in rows)
    splits = Counter(row.split for row in rows)
    readme = " ".join((ROOT / "data/sft/README.md").read_text().split())
    assert f"holds {len(rows)} short conversations" in readme
    assert f"{questions[1]} of one question and {questions[2]} of two, " in readme
    assert f"{splits['train']} to train on and {splits['validation']} to validate" in readme
    longest = max(map(len, stock_answers()))
    assert f"use {len(stock_answers())} answers, each at most {longest} characters long" in readme


def test_persona_conversations_are_short_ascii_and_one_question_has_one_answer() -> None:
    rows = conversations()
    texts = [message.content for row in rows for message in row.messages]
    assert all(text.isascii() and len(text) <= 90 for text in texts)
    first_answers: dict[str, set[str]] = {}
    for row in rows:
        first_answers.setdefault(letters(row.messages[0].content), set()).add(row.messages[1].content)
    assert not [question for question, answers in first_answers.items() if len(answers) > 1]
    assert {row.split for row in rows} == {"train", "validation"}
