import re
from pathlib import Path
from typing import Any

import pytest
import transformers

from lal.evaluation.scores.results import Result
from lal.evaluation.verdict.gate_file import GateFile
from lal.export.bundle import write_bundle
from lal.export.card import Measured, example, model_card
from lal.export.formats import WrittenFile
from lal.gold_items import GoldItem
from lal.model.folder import LoadedModel
from lal.params import ExportParams
from lal.records import Message

CONFIG = {
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "hidden_size": 16,
    "max_position_embeddings": 64,
    "vocab_size": 270,
    "architectures": ["Qwen3ForCausalLM"],
}
FILES = [WrittenFile("model.safetensors", "transformers", 3_800_000), WrittenFile("model.onnx", "onnxruntime", 10_000)]
GATE = GateFile(
    passed=False,
    sentence="Gate NOT passed: 1 of 2 required conditions fails: exact on keep against 0.95.",
    failed=("exact on keep against 0.95: too low",),
    told=("[met] headline", "[FAILS] exact on keep against 0.95: too low"),
    digests={},
)
SCORES = {
    "headline": {"copy": 0.25, "lal": 0.71},
    "exact": {"copy": {"known": 0.0}, "lal": {"known": 0.9}},
    "checks": {"lal": {"persona": 0.5}},
}


def answered(prompt: str, text: str, passed: bool = True, source: str = "macbeth", turns: int = 1) -> Measured:
    messages = (Message(role="user", content="Hello?"), Message(role="assistant", content="Hello."))
    item = GoldItem(
        id="g1",
        slice="known",
        messages=(*messages * (turns - 1), Message(role="user", content=prompt)),
        scorer="exact",
        expected="right",
        difficulty="easy",
        source=source,
        split="dev",
        version=1,
    )
    result = Result(
        item_id="g1",
        solver="lal",
        slice="known",
        subslice="",
        source=source,
        scorer="exact",
        prompt=prompt,
        expected="right",
        alternatives=(),
        text=text,
        finish_reason="stop",
        num_tokens=3,
        scores={"exact": float(passed)},
        explanation="",
    )
    return Measured(item, result)


def card(answers: list[Measured], scores: dict[str, Any] = SCORES) -> str:
    return model_card(CONFIG, {"stage": "sft"}, scores, answers, 1000, GATE, FILES)


def test_a_model_of_another_task_is_not_said_to_modernise() -> None:
    text = card([answered("Capital of Norway?", "Oslo", source="quiz")])
    assert "on 1 questions, from: quiz. " in text
    assert '"content": "Capital of Norway?"' in text
    assert not re.search("moderni|normalisation|language: en|plays|license:", text, re.IGNORECASE)


def test_a_model_that_modernises_says_so_and_shows_a_line_it_gets_right() -> None:
    text = card([answered("Modernise: Giue", "Give"), answered("Who are you?", "Lal", source="hand-written")])
    assert text.startswith("---\nlanguage: en\n")
    assert "historical-text-normalisation" in text
    assert '"content": "Modernise: Giue"' in text
    assert '\n# "Give"\n' in text
    assert "on 2 single lines and questions, from: macbeth, hand-written. " in text


def test_the_example_is_a_right_answer_to_one_turn_that_changes_something() -> None:
    wrong, kept = answered("Modernise: Loue", "Loue", passed=False), answered("Modernise: Horse", "Horse")
    long, good = answered("Modernise: Haue", "Have", turns=2), answered("Modernise: Giue", "Give")
    assert example([wrong, kept, long, good]) == good
    assert example([wrong, long, kept]) == kept
    assert example([wrong, long]) is None


def test_checked_slices_stand_in_the_same_table_with_a_dash_for_who_was_not_asked() -> None:
    lines = card([]).splitlines()
    assert "| right answers | known | headline | persona (checked) |" in lines
    assert "| copy | 0.000 | 0.250 | - |" in lines
    assert "| lal | 0.900 | 0.710 | 0.500 |" in lines


def test_a_gold_set_of_checks_alone_has_a_card() -> None:
    assert "| lal | 1.000 | 0.500 |" in card([], {"headline": {"lal": 1.0}, "checks": {"lal": {"persona": 0.5}}})
    assert "| lal | 0.500 |" in card([], {"checks": {"lal": {"persona": 0.5}}})


def test_the_card_says_what_the_gate_said_also_when_it_refused() -> None:
    lines = card([]).splitlines()
    assert GATE.sentence in lines
    assert "- [FAILS] exact on keep against 0.95: too low" in lines


def test_the_card_warns_of_control_tokens_in_other_programs() -> None:
    assert "`<|assistant|>`" in card([])


def test_the_snippet_of_the_card_runs(
    tmp_path: Path, measured: LoadedModel, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    transformers.utils.logging.disable_progress_bar()
    params = ExportParams.model_validate(
        {"dtype": "float32", "temperature": 0.0, "top_p": 1.0, "max_new_tokens": 4, "formats": []}
    )
    write_bundle(tmp_path / "export", measured, params, SCORES, [answered('Giue "me"\nmy Horse', "Give")], {}, {}, GATE)
    text = (tmp_path / "export" / "README.md").read_text()
    snippet = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert snippet is not None
    monkeypatch.chdir(tmp_path / "export")
    exec(snippet[1], {})  # noqa: S102 - our own card
    assert capsys.readouterr().out.endswith("\n")


def test_the_card_says_which_file_is_for_whom() -> None:
    lines = card([]).splitlines()
    assert "| `model.safetensors` | transformers | 3.80 |" in lines
    assert "| `model.onnx` | onnxruntime | 0.01 |" in lines
