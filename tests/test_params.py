from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lal.errors import ParamsError
from lal.params import SHAPES, Params, Shape, load_params, parse_params

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "params.yaml").read_text()


def line_of(text: str, key: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), 1) if line.strip().startswith(f"{key}:"))


def problem_with(text: str) -> str:
    with pytest.raises(ParamsError) as raised:
        parse_params(text)
    return str(raised.value)


@pytest.mark.parametrize("path", [ROOT / "params.yaml", ROOT / "tests" / "minute.params.yaml"])
def test_the_files_of_the_project_are_right(path: Path) -> None:
    assert isinstance(load_params(path), Params)


def test_an_unknown_key_is_named_with_its_line_and_the_near_one() -> None:
    text = TEXT.replace("  steps:", "  stepz:")
    message = problem_with(text)
    assert f"params.yaml:{line_of(text, 'stepz')}: pretrain.stepz: unknown key, did you mean 'steps'?" in message
    assert "pretrain.steps: missing" in message


def test_every_problem_of_a_file_is_reported_at_once() -> None:
    text = (
        TEXT.replace("seed: 1337", "seed: many")
        .replace("precision: auto", "precision: fp16")
        .replace("gold:", "gould:")
    )
    message = problem_with(text)
    for part in (
        "seed: input should be a valid integer, got 'many'",
        "pretrain.precision",
        "sft.precision",
        "got 'fp16'",
        "did you mean 'gold'?",
    ):
        assert part in message


@pytest.mark.parametrize(
    ("section", "key", "value", "problem"),
    [
        ("pretrain", "learning_rate", "10.0", "less than or equal to 1, got 10.0"),
        ("pretrain", "learning_rate", ".nan", "finite number, got nan"),
        ("pretrain", "max_grad_norm", ".inf", "finite number, got inf"),
        ("pretrain", "steps", "0", "greater than or equal to 1, got 0"),
        ("pretrain", "steps", "1.5", "valid integer, got 1.5"),
        ("pretrain", "compile", "on", "valid boolean, got 'on'"),
        ("pretrain", "decay_fraction", "0.999", "add up to more than 1: shorten one"),
        ("tokenizer", "vocabulary_size", "100", "greater than or equal to 260, got 100"),
        ("model", "size", "huge", "'tiny', 'small', 'medium' or 'lal', got 'huge'"),
        ("model", "size", "{num_layers: 1, num_heads: 3, width: 64, context_length: 64}", "try width 96"),
        ("model", "size", "{num_layers: 1, num_heads: 2, widht: 64, context_length: 64}", "did you mean 'width'?"),
        ("model", "num_kv_heads", "3", "num_kv_heads 3 must divide num_heads 4"),
        ("model", "size", "5", "'tiny', 'small', 'medium' or 'lal', got 5"),
        ("gold", "headline", "known", "gold.headline: expected a list of slice names, got 'known'"),
        ("gold", "headline", "[known, keep, known]", "gold.headline: each slice counts once"),
        ("export", "dtype", "{a: 1}", "'float32' or 'bfloat16'"),
        (
            "export",
            "formats",
            "[onnx, gguf-q8]",
            "export.formats: there is no format 'gguf-q8', did you mean 'gguf-q8_0'?",
        ),
        ("export", "formats", "[exe]", "there is no format 'exe', known are gguf-f32, gguf-f16"),
        ("export", "formats", "[onnx, onnx]", "each format is written once"),
        ("export", "formats", "onnx", "expected a list out of gguf-f32"),
        ("parity", "tolerances", "{safetensors: 0.0, gguf-f61: 0.1}", "unknown key, did you mean 'gguf-f16'?"),
        ("parity", "flipped", "{http: 1.5}", "parity.flipped.http: input should be less than or equal to 1, got 1.5"),
    ],
)
def test_a_value_out_of_bounds_is_named_with_its_line(section: str, key: str, value: str, problem: str) -> None:
    head, _, tail = TEXT.partition(f"\n{section}:\n")
    lines = tail.splitlines()
    position = next(number for number, line in enumerate(lines) if line.startswith(f"  {key}:"))
    lines[position] = f"  {key}: {value}"
    text = f"{head}\n{section}:\n" + "\n".join(lines)
    message = problem_with(text)
    assert problem in message
    assert message.startswith("params.yaml:")


@pytest.mark.parametrize(("value", "got"), [("", "None"), (" 5", "5"), (" [dtype]", "['dtype']")])
def test_a_section_without_keys_is_told_what_it_needs(value: str, got: str) -> None:
    head, _, tail = TEXT.partition("\nexport:\n")
    text = f"{head}\nexport:{value}\n\n{tail.partition(chr(10) * 2)[2]}"
    assert problem_with(text) == (
        f"params.yaml:{line_of(text, 'export')}: export: expected keys such as `dtype:` below it, got {got}"
    )


def test_a_key_with_brackets_is_a_key_like_any_other() -> None:
    assert "params.yaml:1: a[0]: unknown key" in problem_with('"a[0]": 1\n' + TEXT)


def test_numbers_are_read_as_dvc_reads_them() -> None:
    text = TEXT.replace("head_learning_rate: 0.002", "head_learning_rate: 2e-3")
    assert parse_params(text).pretrain.head_learning_rate == 0.002


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "got nothing"),
        ("- 1\n", "expected sections"),
        ("seed: 1\nseed: 2\n", 'params.yaml:2:1: found duplicate key "seed"'),
        ("seed: [1\n", "params.yaml:2:1: "),
        ("seed: 1\n  model: 2\n", "params.yaml:2:8: "),
        ("\tseed: 1\n", "params.yaml:1:1: "),
    ],
)
def test_what_is_not_a_params_file_is_refused_with_a_place(text: str, problem: str) -> None:
    assert problem in problem_with(text)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match=r"params\.yaml: cannot be read"):
        load_params(tmp_path / "params.yaml")


@given(st.text(max_size=60))
def test_no_text_at_all_gives_anything_but_a_params_error(text: str) -> None:
    with pytest.raises(ParamsError):
        parse_params(text)


def test_the_four_sizes_are_those_of_the_series() -> None:
    assert SHAPES["tiny"] == Shape(num_layers=4, num_heads=4, width=128, context_length=128)
    assert SHAPES["lal"].width == 768


CONDITION = "{metric: exact, slice: keep, against: 0.95, margin: 0.0, required: not_refuted}"


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("metric: exact", "metric: exakt", "gate.conditions.1.metric: input should be 'exact'"),
        ("slice: keep", "slize: keep", "gate.conditions.1.slize: unknown key, did you mean 'slice'?"),
        ("against: 0.95", "against: 95", "gate.conditions.1: exact is a share from 0 to 1, and `against` says 95"),
        ("against: 0.95", "against: true", "gate.conditions.1.against: expected a number, `champion`"),
        ("against: 0.95", "against: .nan", "gate.conditions.1.against: expected a finite number"),
        ("margin: 0.0", "margin: -0.1", "gate.conditions.1.margin: input should be greater than or equal to 0"),
        ("required: not_refuted", "required: yes", "gate.conditions.1.required: input should be 'shown'"),
    ],
)
def test_a_wrong_condition_is_named_with_its_line(old: str, new: str, problem: str) -> None:
    assert TEXT.count(CONDITION) == 1
    line = TEXT[: TEXT.index(CONDITION)].count("\n") + 1
    message = problem_with(TEXT.replace(CONDITION, CONDITION.replace(old, new)))
    assert f"params.yaml:{line}: {problem}" in message


def test_conditions_are_a_list() -> None:
    start, end = TEXT.index("  conditions:"), TEXT.index("\nexport:")
    assert "gate.conditions: expected a list" in problem_with(TEXT[:start] + "  conditions: 3\n" + TEXT[end:])
