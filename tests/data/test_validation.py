"""The rules, one broken at a time."""

import json
from pathlib import Path
from typing import Any

import pytest

from lal.data.tables import (
    conversation_table,
    corpus_table,
    gold_table,
    overlap_table,
    read_lines,
    versions_table,
)
from lal.data.validation import Check, Finding, check_tables, refuse_broken
from lal.data.versions import lock_version
from lal.errors import BrokenRuleError
from lal.gold_items import GoldItem
from lal.params import GoldParams, ValidateParams
from lal.records import Conversation, Document

PARAMS = ValidateParams(min_corpus_bytes=20, max_overlap=0.7, max_answer_characters=40)
GOLD = GoldParams(headline=("known",))


def write(folder: Path, rows: list[dict[str, Any]]) -> Path:
    """Writes rows to the file of their split, gold items to gold.jsonl."""
    folder.mkdir(exist_ok=True)
    for row in rows:
        name = row["split"] if row["split"] in ("train", "validation", "test") else "gold"
        with (folder / f"{name}.jsonl").open("a", encoding="utf-8") as handle:
            handle.write(json.dumps(row) + "\n")
    return folder


def document(
    identity: str = "a", text: str = "Once more unto the breach, dear friends", split: str = "train"
) -> dict[str, Any]:
    return {"id": identity, "text": text, "source": "s", "licence": "l", "split": split}


def chat(
    identity: str = "a", prompt: str = "Who's there?", answer: str = "Nay, answer me.", split: str = "train"
) -> dict[str, Any]:
    messages = [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]
    return {"id": identity, "messages": messages, "task": "t", "source": "s", "licence": "l", "split": split}


def item(identity: str = "g1", prompt: str = "What is the city but the people?", **changes: Any) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": identity,
        "slice": "known",
        "messages": [{"role": "user", "content": prompt}],
        "scorer": "exact",
    }
    row |= {"expected": "yes", "difficulty": "easy", "source": "s", "split": "dev", "version": 1}
    return row | changes


def check_corpus(folder: Path, *rows: dict[str, Any]) -> dict[str, Check]:
    rows = (*rows, document("other", "A horse, a horse, my kingdom for a horse", "validation"))
    write(folder, list(rows))
    return by_rule(check_tables([corpus_table(folder, read_lines(folder, Document))], PARAMS, GOLD))


def check_chats(folder: Path, *rows: dict[str, Any]) -> dict[str, Check]:
    rows = (*rows, chat("other", "Are you a man?", "Ay, and a bold one", "validation"))
    write(folder, list(rows))
    return by_rule(check_tables([conversation_table(folder, read_lines(folder, Conversation))], PARAMS, GOLD))


def check_gold(folder: Path, *rows: dict[str, Any]) -> dict[str, Check]:
    write(folder, list(rows))
    return by_rule(check_tables([gold_table(folder, read_lines(folder, GoldItem), GOLD.headline)], PARAMS, GOLD))


def by_rule(checks: list[Check]) -> dict[str, Check]:
    """The broken ones."""
    assert len({check.rule for check in checks}) == len(checks)
    return {check.rule: check for check in checks if check.findings}


def only(broken: dict[str, Check]) -> Check:
    assert len(broken) == 1, broken
    return next(iter(broken.values()))


def test_a_sound_corpus_keeps_all_rules(tmp_path: Path) -> None:
    assert check_corpus(tmp_path, document()) == {}


def test_two_documents_of_one_id_are_named_in_both_files(tmp_path: Path) -> None:
    check = only(check_corpus(tmp_path, document("other")))
    assert check.severity == "critical"
    assert check.findings == (
        Finding(f"{tmp_path}/train.jsonl:1", "'other'"),
        Finding(f"{tmp_path}/validation.jsonl:1", "'other'"),
    )


def test_lines_are_counted_as_an_editor_counts_them(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text(
        "\n\n" + json.dumps(document("a")) + "\n\n" + json.dumps(document("b", " \n")) + "\n"
    )
    check = only(check_corpus(tmp_path))
    assert check.rule == "documents have text"
    assert check.findings == (Finding(f"{tmp_path}/train.jsonl:5", r"' \n'"),)


@pytest.mark.parametrize(
    ("character", "severity"),
    [
        ("\0", "critical"),
        ("\x1b", "critical"),
        ("\r", "critical"),
        ("\x85", "critical"),
        ("\ufffd", "warning"),
        ("\ufeff", "warning"),
    ],
)
def test_a_character_that_is_no_text_is_named_with_its_place(tmp_path: Path, character: str, severity: str) -> None:
    check = only(check_corpus(tmp_path, document(text=f"To be\tor not\nto be {character} that is the question")))
    assert check.severity == severity
    assert check.findings[0].value.startswith(f"a: U+{ord(character):04X} at character 20: ")


def test_a_corpus_too_small_says_how_small(tmp_path: Path) -> None:
    check = only(check_corpus(tmp_path, document(text="thirteen bytes")))
    assert check.findings == (Finding(str(tmp_path), "got 14"),)


def test_a_corpus_with_nothing_to_train_on_says_so(tmp_path: Path) -> None:
    broken = check_corpus(tmp_path)
    assert (
        broken["there is something to train on and something to validate on"].findings[0].value == "nothing for train"
    )


def test_a_validation_document_that_is_also_trained_on_stops_the_pipeline(tmp_path: Path) -> None:
    broken = check_corpus(tmp_path, document("a", "A HORSE! a horse; my kingdom for a horse."))
    check = broken["no validation document is also trained on"]
    assert check.stops
    assert check.findings == (Finding(f"{tmp_path}/validation.jsonl:1", f"other repeats {tmp_path}/train.jsonl:1, a"),)


def test_a_document_that_is_trained_on_twice_is_a_warning(tmp_path: Path) -> None:
    check = only(check_corpus(tmp_path, document("a"), document("b")))
    assert check.warns
    assert not check.stops


def test_a_document_in_the_file_of_another_split_stops_the_pipeline(tmp_path: Path) -> None:
    (tmp_path / "test.jsonl").write_text(json.dumps(document("a")))
    check = only(check_corpus(tmp_path, document("b", "Now is the winter of our discontent")))
    assert check.findings == (Finding(f"{tmp_path}/test.jsonl:1", "split is 'train'"),)


def test_sound_conversations_keep_all_rules(tmp_path: Path) -> None:
    assert check_chats(tmp_path, chat(), chat("b", "Stay, illusion!", split="test")) == {}


def test_a_test_conversation_that_is_also_trained_on_stops_the_pipeline(tmp_path: Path) -> None:
    check = only(
        check_chats(tmp_path, chat("a"), chat("b", "WHO IS there", "x"), chat("c", "Whos there", split="test"))
    )
    assert check.stops
    assert check.findings == (Finding(f"{tmp_path}/test.jsonl:1", f"c repeats {tmp_path}/train.jsonl:1, a"),)


def test_a_test_conversation_that_is_also_validated_on_is_a_warning(tmp_path: Path) -> None:
    assert only(check_chats(tmp_path, chat("a"), chat("b", "Are you a man", "Ay, and a bold one!", "test"))).warns


def test_two_answers_to_one_prompt_are_a_warning_with_both(tmp_path: Path) -> None:
    check = only(check_chats(tmp_path, chat("a"), chat("b", answer="Long live the King!")))
    assert check.warns
    assert "'Long live the King!', but 'Nay, answer me.' in" in check.findings[0].value


def test_a_long_answer_is_a_warning_with_its_length(tmp_path: Path) -> None:
    check = only(check_chats(tmp_path, chat(answer="word " * 100)))
    assert check.warns
    assert check.findings[0].value.endswith("(500 characters)")


def test_a_blank_answer_stops_the_pipeline(tmp_path: Path) -> None:
    check = only(check_chats(tmp_path, chat(answer="  ")))
    assert check.stops
    assert check.findings[0].value == "message 2 (assistant) is '  '"


def test_text_that_looks_like_a_control_token_is_a_warning(tmp_path: Path) -> None:
    check = only(check_chats(tmp_path, chat(prompt="Say <|assistant|> now")))
    assert check.warns
    assert check.findings[0].value.startswith("a: '<|assistant|>' at character 5: ")


def test_a_sound_gold_set_keeps_all_rules(tmp_path: Path) -> None:
    checks = {
        "slice": "persona",
        "scorer": "checks",
        "expected": "",
        "must_contain": ["Lal|my name"],
        "must_not_contain": ["GPT"],
    }
    assert check_gold(tmp_path, item(), item("g2", "Who are you?", **checks)) == {}


def test_a_headline_slice_without_items_is_named(tmp_path: Path) -> None:
    check = only(check_gold(tmp_path, item(slice="unknown")))
    assert check.findings == (Finding(str(tmp_path), "nothing for known"),)


UNREACHABLE = "an item can be answered rightly"
NEEDLESS = "alternatives differ from the expected answer and from each other"
PERSONA = {"slice": "persona", "scorer": "checks", "expected": ""}


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"expected": " \n"}, UNREACHABLE),
        ({"alternatives": ["aye", "yes "]}, NEEDLESS),
        ({"alternatives": ["aye", ""]}, NEEDLESS),
        ({"expected": "y\0es"}, "no control characters but line feed and tab"),
        ({**PERSONA, "must_contain": ["Lal"], "must_not_contain": ["la"]}, UNREACHABLE),
        ({**PERSONA, "must_contain": ["Lal|"]}, UNREACHABLE),
        ({**PERSONA, "must_not_contain": [" "]}, UNREACHABLE),
        (
            {**PERSONA, "slice": "known", "must_contain": ["Lal"]},
            "items of the headline's slices are scored by exact match",
        ),
    ],
)
def test_a_gold_item_that_cannot_be_scored_fairly_stops_the_pipeline(
    tmp_path: Path, changes: dict[str, Any], rule: str
) -> None:
    broken = check_gold(tmp_path, item("g0", "Is this a dagger?"), item(**changes))
    assert only(broken).rule == rule
    assert only(broken).stops
    assert only(broken).findings[0].place == f"{tmp_path}/gold.jsonl:2"


def test_a_question_asked_twice_stops_the_pipeline(tmp_path: Path) -> None:
    check = only(check_gold(tmp_path, item("g1"), item("g2", "what is the  city but the PEOPLE?")))
    assert check.rule == "no question is asked twice"
    assert len(check.findings) == 2


def test_gold_ids_are_unique_over_all_files(tmp_path: Path) -> None:
    (tmp_path / "more.jsonl").write_text(json.dumps(item("g1", "Is this a dagger?")))
    assert only(check_gold(tmp_path, item("g1"))).rule == "ids are unique"


def check_overlap(tmp_path: Path, trained: str, split: str = "train") -> dict[str, Check]:
    corpus = write(tmp_path / "corpus", [document()])
    chats = write(tmp_path / "conversations", [chat("a"), chat("b", trained, "Ay.", split)])
    gold = write(tmp_path / "gold", [item("g1"), item("g2", "Such a thing as the people of the city?")])
    table = overlap_table(
        gold,
        read_lines(gold, GoldItem),
        read_lines(corpus, Document),
        read_lines(chats, Conversation),
        PARAMS.max_overlap,
    )
    return by_rule(check_tables([table], PARAMS, GOLD))


def test_a_leak_names_both_places_and_both_texts(tmp_path: Path) -> None:
    check = only(check_overlap(tmp_path, "what is the CITIE, but the people..."))
    assert check.stops
    assert check.findings == (
        Finding(
            f"{tmp_path}/gold/gold.jsonl:1",
            f"g1: 100 % of 'What is the city but the people?' is in {tmp_path}/conversations/train.jsonl:2: "
            "'what is the CITIE, but the people...' (found as letter sequences)",
        ),
    )


def test_a_sealed_leak_is_named_by_both_places_without_its_text(tmp_path: Path) -> None:
    corpus = write(tmp_path / "corpus", [document()])
    chats = write(tmp_path / "conversations", [chat("a", "What is the city but the people?", "Ay.")])
    gold = write(tmp_path / "gold", [item("g1", split="sealed")])
    lines = read_lines(gold, GoldItem)
    table = overlap_table(gold, lines, read_lines(corpus, Document), read_lines(chats, Conversation), 0.7)
    check = only(by_rule(check_tables([table], PARAMS, GOLD)))
    assert check.stops
    (finding,) = check.findings
    assert finding.place == f"{tmp_path}/gold/gold.jsonl:1"
    assert f"{tmp_path}/conversations/train.jsonl:1 (found as exact)" in finding.value
    listed = table.rows[0]["listed"]
    assert (listed.gold_text, listed.training_text, listed.place) == ("", "", f"{tmp_path}/conversations/train.jsonl:1")
    assert "city" not in finding.value + listed.model_dump_json()


def test_the_words_of_an_item_in_another_order_stop_the_pipeline(tmp_path: Path) -> None:
    check = only(check_overlap(tmp_path, "The people, but what is the city?"))
    assert check.stops
    assert "(found as near-duplicate)" in check.findings[0].value


def test_a_headline_slice_with_sealed_items_only_is_named(tmp_path: Path) -> None:
    check = only(check_gold(tmp_path, item(split="sealed"), item("g2", "Is this a dagger?", slice="other")))
    assert check.findings == (Finding(str(tmp_path), "nothing for known"),)


def test_a_locked_item_that_was_changed_or_taken_out_stops_the_pipeline(tmp_path: Path) -> None:
    gold = write(tmp_path, [item("g1"), item("g2", "Is this a dagger?"), item("g3", "Who goes there?")])
    lock_version(gold, [line.record for line in read_lines(gold, GoldItem)])
    tables = [versions_table(gold, read_lines(gold, GoldItem))]
    assert by_rule(check_tables(tables, PARAMS, GOLD)) == {}
    (gold / "gold.jsonl").unlink()
    write(gold, [item("g1"), item("g2", "Is this a dagger?", expected="no")])
    check = only(by_rule(check_tables([versions_table(gold, read_lines(gold, GoldItem))], PARAMS, GOLD)))
    assert check.stops
    assert check.findings == (
        Finding(
            f"{tmp_path}/gold.jsonl:2",
            "g2: right answers changed, but it still says version 1, and versions up to 1 are locked",
        ),
        Finding(f"{tmp_path}/versions.lock:3", "g3 is gone, and version 1 has it"),
    )
    assert '"version": 2' in check.remedy


def test_a_near_copy_is_a_warning_for_review(tmp_path: Path) -> None:
    check = only(check_overlap(tmp_path, "What is the city but a senate?"))
    assert check.warns
    assert check.rule == "less than 50 % of a gold item stands in the training data"


def test_what_is_not_trained_on_cannot_leak(tmp_path: Path) -> None:
    assert check_overlap(tmp_path, "What is the city but the people?", "validation") == {}


def test_all_broken_rules_come_in_one_error_and_warnings_stop_nothing() -> None:
    broken = Check(
        "gold",
        "ids are unique",
        "critical",
        "give each item its own id",
        9,
        tuple(Finding(f"gold.jsonl:{n}", "'x'") for n in range(1, 31)),
    )
    warning = Check("gold", "a prompt has one answer", "warning", "keep one", 9, (Finding("gold.jsonl:1", "'y'"),))
    refuse_broken([warning], "report.html")
    with pytest.raises(BrokenRuleError) as caught:
        refuse_broken([broken, warning], "report.html")
    lines = str(caught.value).splitlines()
    assert lines[0] == "gold.jsonl:1: ids are unique: 'x'"
    assert lines[20] == "... and 10 more"
    assert lines[21] == "  -> give each item its own id; all findings: report.html"
