"""The validate stage from files to report, metrics and errors."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lal.data.overlap_list import read_overlaps
from lal.data.versions import lock_version
from lal.errors import BrokenRuleError, DataError, LalError
from lal.evaluation.gold.folder import load_all
from lal.params import Params, load_params
from lal.records import MODERNISE_PREFIX
from lal.reporting import NullReporter
from lal.stages.validate import validate

ROOT = Path(__file__).parents[2]

TRAINED = "Now is the Winter of our Discontent,"
HELD_OUT = "Old men forget: yet all shall be forgot,"


class Listener(NullReporter):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.attached: list[Path] = []

    def say(self, message: str) -> None:
        self.said.append(message)

    def attach(self, path: Path) -> None:
        self.attached.append(path)


def conversation(identity: str, line: str, split: str, answer: str | None = None) -> dict[str, Any]:
    messages = [
        {"role": "user", "content": MODERNISE_PREFIX + line},
        {"role": "assistant", "content": answer or line},
    ]
    return {"id": identity, "messages": messages, "task": "modernise", "source": "s", "licence": "l", "split": split}


def gold_item(identity: str, line: str, part: str) -> dict[str, Any]:
    message = {"role": "user", "content": MODERNISE_PREFIX + line}
    row = {"id": identity, "slice": part, "messages": [message], "scorer": "exact", "expected": line}
    return row | {"difficulty": "easy", "source": "henry-v", "split": "dev", "version": 1}


def write_rows(path: Path, *rows: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


@pytest.fixture
def params() -> Params:
    return load_params(ROOT / "params.yaml")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small sound project, and the current folder."""
    monkeypatch.chdir(tmp_path)
    text = "".join(f"Scene {number}. Enter the Duke of York and the rest\n" for number in range(500))
    base = {"source": "s", "licence": "l"}
    write_rows(Path("data/corpus/train.jsonl"), {"id": "a", "text": text, "split": "train", **base})
    write_rows(Path("data/corpus/validation.jsonl"), {"id": "b", "text": "Exeunt", "split": "validation", **base})
    write_rows(Path("data/conversations/train.jsonl"), conversation("t1", TRAINED, "train"))
    write_rows(Path("data/conversations/validation.jsonl"), conversation("v1", "Speak, hands for me", "validation"))
    write_rows(
        Path("data/conversations/test.jsonl"),
        conversation("x1", "This story shall the good man teach his son;", "test"),
    )
    lines = {
        "known": HELD_OUT,
        "unseen": "But he'll remember with advantages",
        "context": "What feats he did that day:",
        "keep": "Then shall our names, familiar in his mouth",
    }
    write_rows(
        Path("gold/gold.jsonl"), *(gold_item(f"g{n}", line, part) for n, (part, line) in enumerate(lines.items()))
    )
    return tmp_path


def run(params: Params, listener: Listener) -> dict[str, Any]:
    return validate(
        params=params,
        corpus=Path("data/corpus"),
        conversations=Path("data/conversations"),
        gold=Path("gold"),
        report=Path("reports/validation.html"),
        overlaps=Path("reports/overlaps.json"),
        reporter=listener,
    )


def add(path: str, *rows: dict[str, Any]) -> None:
    with Path(path).open("a", encoding="utf-8") as handle:
        handle.write("".join(json.dumps(row) + "\n" for row in rows))


def test_sound_data_pass_with_their_counts(folder: Path, params: Params) -> None:
    listener = Listener()
    metrics = run(params, listener)
    assert metrics["corpus"] == {"documents": {"train": 1, "validation": 1}, "train_bytes": 23390}
    assert metrics["conversations"] == {"test": 1, "train": 1, "validation": 1}
    slices = {"context": 1, "keep": 1, "known": 1, "unseen": 1}
    assert metrics["gold"] == {"items": 4, "splits": {"dev": 4}, "slices": slices}
    assert metrics["versions"] == {"last_locked": 0, "new_or_changed": 0}
    assert metrics["overlap"] == {"largest_share": 0.0}
    assert metrics["warnings"] == dict.fromkeys(("corpus", "conversations", "gold", "versions", "overlap"), 0)
    json.dumps(metrics)
    assert listener.attached == [Path("reports/validation.html")]
    assert listener.said == []
    assert read_overlaps(Path("reports/overlaps.json")) == []


def test_what_is_like_a_gold_item_is_listed_with_both_places(folder: Path, params: Params) -> None:
    add("data/conversations/train.jsonl", conversation("t2", "Young men regret: yet all shall be forgot", "train"))
    add("gold/sealed.jsonl", gold_item("s1", "Once more unto the breach, dear friends", "known") | {"split": "sealed"})
    add("data/conversations/train.jsonl", conversation("t3", "Once more unto the breach, sweet lords", "train"))
    metrics = run(params, Listener())
    listed = read_overlaps(Path("reports/overlaps.json"))
    assert [0.5 <= overlap.share < 0.7 for overlap in listed] == [True, True]
    assert listed == sorted(listed, key=lambda overlap: -overlap.share)
    found = {overlap.item_id: overlap for overlap in listed}
    assert (found["s1"].split, found["s1"].place) == ("sealed", "data/conversations/train.jsonl:3")
    assert (found["g0"].split, found["g0"].gold_place) == ("dev", "gold/gold.jsonl:1")
    assert (found["g0"].gold_text, found["s1"].gold_text) == (HELD_OUT, "")
    assert metrics["warnings"]["overlap"] == 2
    assert metrics["gold"]["splits"] == {"dev": 4, "sealed": 1}
    assert "breach" not in Path("reports/validation.html").read_text() + Path("reports/overlaps.json").read_text()


def test_a_rule_holds_for_sealed_items_too(folder: Path, params: Params) -> None:
    add("gold/sealed.jsonl", gold_item("s1", HELD_OUT, "known") | {"split": "sealed"})
    with pytest.raises(BrokenRuleError, match=r"gold/sealed\.jsonl:1: no question is asked twice"):
        run(params, Listener())


def test_a_changed_item_of_a_locked_version_stops_the_pipeline(folder: Path, params: Params) -> None:
    lock_version(Path("gold"), load_all(Path("gold")))
    run(params, Listener())
    text = Path("gold/gold.jsonl").read_text().replace('"difficulty": "easy"', '"difficulty": "hard"', 1)
    Path("gold/gold.jsonl").write_text(text)
    with pytest.raises(BrokenRuleError, match=r"gold/gold\.jsonl:1: locked items stand .*: g0: filing changed"):
        run(params, Listener())


def test_the_same_data_give_the_same_report(folder: Path, params: Params) -> None:
    run(params, Listener())
    first = Path("reports/validation.html").read_bytes()
    run(params, Listener())
    assert Path("reports/validation.html").read_bytes() == first


def test_a_leak_stops_the_pipeline_after_the_report_was_written(folder: Path, params: Params) -> None:
    add("data/conversations/train.jsonl", conversation("t2", "old men forget; yet all shall be FORGOT", "train"))
    listener = Listener()
    with pytest.raises(BrokenRuleError) as caught:
        run(params, listener)
    assert str(caught.value).startswith(
        "gold/gold.jsonl:1: less than 70 % of a gold item stands in the training data: g0: 100 % of "
        f"'Modernise: {HELD_OUT}' is in data/conversations/train.jsonl:2: "
        "'Modernise: old men forget; yet all shall be FORGOT' (found as exact)"
    )
    assert "data/conversations/train.jsonl:2" in Path("reports/validation.html").read_text()
    assert listener.attached == [Path("reports/validation.html")]


def test_a_warning_is_said_and_counted_and_stops_nothing(folder: Path, params: Params) -> None:
    add("data/conversations/train.jsonl", conversation("t2", TRAINED, "train", "Now is the summer"))
    listener = Listener()
    metrics = run(params, listener)
    assert metrics["warnings"]["conversations"] == 1
    assert len(listener.said) == 1
    assert listener.said[0].startswith(
        "warning: a prompt has one answer: 1 found, first data/conversations/train.jsonl:2"
    )


def not_json() -> None:
    with Path("data/conversations/train.jsonl").open("a") as handle:
        handle.write('{"id": "t2", \n')


def twice_the_id() -> None:
    add("data/conversations/train.jsonl", conversation("t1", "Another line", "train"))


def wrong_order() -> None:
    row = conversation("t2", "Another line", "train")
    add("data/conversations/train.jsonl", row | {"messages": row["messages"][::-1]})


def unknown_scorer() -> None:
    add("gold/gold.jsonl", gold_item("g9", "Another line", "known") | {"scorer": "magic"})


def invalid_utf8() -> None:
    with Path("data/corpus/train.jsonl").open("ab") as handle:
        handle.write(b'{"id": "c", "text": "\xff"}\n')


def no_gold() -> None:
    Path("gold/gold.jsonl").unlink()


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (not_json, "data/conversations/train.jsonl:2: not valid JSON"),
        (twice_the_id, "data/conversations/train.jsonl:2: duplicate id 't1', first used in line 1"),
        (wrong_order, "data/conversations/train.jsonl:2: roles must be"),
        (unknown_scorer, "gold/gold.jsonl:5: scorer: "),
        (invalid_utf8, "data/corpus/train.jsonl:2: not UTF-8: byte 0xff"),
        (no_gold, "gold: no .jsonl files"),
    ],
)
def test_an_unreadable_line_is_named_and_stands_in_the_report(
    folder: Path, params: Params, spoil: Callable[[], None], problem: str
) -> None:
    spoil()
    listener = Listener()
    with pytest.raises(DataError) as caught:
        run(params, listener)
    assert listener.attached == [Path("reports/validation.html")]
    assert str(caught.value).startswith(problem)
    report = Path("reports/validation.html").read_text()
    assert problem.partition(": ")[0] in report
    assert "every line is a record of its kind" in report


def test_the_unreadable_lines_of_all_folders_come_at_once(folder: Path, params: Params) -> None:
    invalid_utf8()
    not_json()
    unknown_scorer()
    with pytest.raises(DataError) as caught:
        run(params, Listener())
    assert [line.split(": ")[0] for line in caught.value.problem.splitlines()] == [
        "data/corpus/train.jsonl:2",
        "data/conversations/train.jsonl:2",
        "gold/gold.jsonl:5",
    ]
    assert caught.value.remedy == "save the file as UTF-8; write one JSON object a line"
    assert "gold/gold.jsonl:5" in Path("reports/validation.html").read_text()


def test_all_critical_findings_of_all_files_come_at_once(folder: Path, params: Params) -> None:
    add("data/corpus/train.jsonl", {"id": "c", "text": "a\0b", "source": "s", "licence": "l", "split": "train"})
    add("gold/gold.jsonl", gold_item("g9", HELD_OUT, "keep"))
    with pytest.raises(LalError) as caught:
        run(params, Listener())
    message = str(caught.value)
    assert "data/corpus/train.jsonl:2: no control characters but line feed and tab: c: U+0000 at character 2" in message
    assert "gold/gold.jsonl:1: no question is asked twice" in message
    assert "gold/gold.jsonl:5: no question is asked twice" in message
    assert message.endswith("all findings: reports/validation.html")
