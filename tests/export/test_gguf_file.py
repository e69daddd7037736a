"""A GGUF file says in llama.cpp what the network says here, and reads texts as the tokenizer does."""

import subprocess
import sys
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lal.errors import ExportError
from lal.evaluation.solvers.gguf import GgufModel, read_header
from lal.export.agreement import gguf_mismatches
from lal.export.forward import ForwardModel, largest_difference, torch_forward
from lal.export.gguf_file import Precision, interleave, write_gguf
from lal.export.llama_cpp import LlamaCpp
from lal.export.opened import Question
from lal.export.strings import TEXTS
from lal.model.folder import LoadedModel, load_model
from lal.model.generate import generate_batch
from lal.text.chat import TEMPLATE
from tests.export.questions import question
from tests.tiny_model import write_grouped_model

LAYOUTS = [(True, False), (True, True), (False, False), (False, True)]
"""Query-key norm, that is qwen3 or llama; tied embeddings."""


def grouped(folder: Path, layout: tuple[bool, bool] = (True, False), width: int = 64) -> LoadedModel:
    write_grouped_model(folder, *layout, width)
    return load_model(folder)


def written(folder: Path, loaded: LoadedModel, precision: Precision = "f32") -> Path:
    write_gguf(folder / f"{precision}.gguf", loaded.model, folder / "tokenizer.json", precision)
    return folder / f"{precision}.gguf"


def questions(loaded: LoadedModel) -> list[Question]:
    return [question(loaded, text) for text in ("Modernise: Giue vs loue", "1623?", "haue haue haue", "\x00 🎭")]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> tuple[LlamaCpp, LoadedModel]:
    folder = tmp_path_factory.mktemp("gguf")
    loaded = grouped(folder)
    return LlamaCpp(written(folder, loaded), loaded.tokenizer, 1), loaded


@pytest.mark.parametrize(("precision", "tolerance"), [("f32", 1e-4), ("f16", 0.02), ("q8_0", 0.3)])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_llama_cpp_gives_the_odds_of_the_network(
    tmp_path: Path, layout: tuple[bool, bool], precision: Precision, tolerance: float
) -> None:
    loaded = grouped(tmp_path, layout)
    theirs = LlamaCpp(written(tmp_path, loaded, precision), loaded.tokenizer, 1)
    ours = ForwardModel(torch_forward(loaded.model), loaded.tokenizer, loaded.model.config.context_length)
    for each in questions(loaded):
        odds = theirs.next_log_probabilities(each)
        assert len(odds) == loaded.tokenizer.vocabulary_size
        assert largest_difference(ours.next_log_probabilities(each), odds) < tolerance


@pytest.mark.parametrize("layout", LAYOUTS)
def test_llama_cpp_gives_the_answers_of_the_network_up_to_the_end_of_the_context(
    tmp_path: Path, layout: tuple[bool, bool]
) -> None:
    loaded = grouped(tmp_path, layout)
    asked = questions(loaded)
    theirs = LlamaCpp(written(tmp_path, loaded), loaded.tokenizer, 1)
    short = generate_batch(loaded.model, [each.ids for each in asked], 20, loaded.tokenizer.end_id)
    assert theirs.answers(asked, 20) == [loaded.tokenizer.decode(answer.ids) for answer in short]
    whole = generate_batch(loaded.model, [each.ids for each in asked], 999, loaded.tokenizer.end_id)
    for said, answer in zip(theirs.answers(asked, 999), whole, strict=True):
        assert said in {loaded.tokenizer.decode(answer.ids), loaded.tokenizer.decode(answer.ids[:-1])}


def test_the_file_is_asked_like_anybodys_too(tmp_path: Path) -> None:
    """`evaluate.references` opens it by its own chat template."""
    loaded = grouped(tmp_path)
    asked = question(loaded, "Giue me loue")
    said = GgufModel(written(tmp_path, loaded), 12, 1).chat([{"role": "user", "content": "Giue me loue"}])
    (answer,) = generate_batch(loaded.model, [asked.ids], 12, loaded.tokenizer.end_id)
    assert said.text.strip("\ufffd") == loaded.tokenizer.decode(answer.ids).strip("\ufffd")


def test_the_header_says_what_it_is(tmp_path: Path) -> None:
    loaded = grouped(tmp_path, (False, True))
    path = written(tmp_path, loaded)
    header = read_header(path)
    assert (header.architecture, header.name, header.context_length) == ("llama", "Lal", 96)
    assert header.num_parameters == sum(weight.numel() for weight in loaded.model.parameters())
    fields = gguf.GGUFReader(path).fields
    assert fields["tokenizer.chat_template"].contents() == TEMPLATE
    assert fields["tokenizer.ggml.add_bos_token"].contents() is False
    end = loaded.tokenizer.end_id
    assert fields["tokenizer.ggml.eos_token_id"].contents() == end
    assert fields["tokenizer.ggml.token_type"].contents() == [1] * end + [3] * 4
    assert fields["tokenizer.ggml.tokens"].contents()[end:] == ["<|end|>", "<|system|>", "<|user|>", "<|assistant|>"]


def test_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    loaded = grouped(tmp_path)
    for precision in ("f32", "f16", "q8_0"):
        first = written(tmp_path, loaded, precision).read_bytes()
        assert written(tmp_path, loaded, precision).read_bytes() == first


def test_rows_that_are_no_multiple_of_32_stay_f16_and_are_named(tmp_path: Path) -> None:
    loaded = grouped(tmp_path, width=48)
    kept = write_gguf(tmp_path / "q8_0.gguf", loaded.model, tmp_path / "tokenizer.json", "q8_0")
    assert "token_embd.weight" in kept
    assert "blk.0.attn_q.weight" in kept
    assert "blk.1.ffn_down.weight" not in kept
    kinds = {each.name: each.tensor_type.name for each in gguf.GGUFReader(tmp_path / "q8_0.gguf").tensors}
    assert {name for name, kind in kinds.items() if kind == "F16"} == set(kept)
    assert kinds["blk.1.ffn_down.weight"] == "Q8_0"
    assert kinds["output_norm.weight"] == "F32"
    assert LlamaCpp(tmp_path / "q8_0.gguf", loaded.tokenizer, 1).tokenize("giue") == loaded.tokenizer.encode("giue")


OPENED_AND_LET_GO_OF = """
import sys
from pathlib import Path
from lal.export.llama_cpp import LlamaCpp
from lal.model.folder import load_model

folder = Path(sys.argv[1])
loaded = load_model(folder)
for _ in range(40):
    LlamaCpp(folder / "f32.gguf", loaded.tokenizer, 1)
"""


def test_a_file_that_is_opened_and_let_go_of_at_once_does_not_wait_for_ever(tmp_path: Path) -> None:
    written(tmp_path, grouped(tmp_path))
    subprocess.run([sys.executable, "-c", OPENED_AND_LET_GO_OF, tmp_path], check=True, timeout=120)


def test_a_weight_that_f16_cannot_say_is_refused(tmp_path: Path) -> None:
    loaded = grouped(tmp_path)
    with torch.no_grad():
        loaded.model.get_parameter("model.layers.1.mlp.up_proj.weight")[3, 4] = 1e5
    with pytest.raises(ExportError, match=r"blk\.1\.ffn_up\.weight has a weight of size 1e\+05"):
        written(tmp_path, loaded, "f16")


def test_interleaving_puts_the_partners_of_a_rotation_side_by_side() -> None:
    rows = np.arange(8, dtype=np.float32).reshape(8, 1)  # two heads of four
    assert interleave(rows, 4)[:, 0].tolist() == [0, 2, 1, 3, 4, 6, 5, 7]


@pytest.mark.parametrize("text", TEXTS)
def test_llama_cpp_reads_awkward_texts_as_the_tokenizer_does(served: tuple[LlamaCpp, LoadedModel], text: str) -> None:
    model, loaded = served
    assert model.tokenize(text) == loaded.tokenizer.encode(text)


@settings(max_examples=150)
@given(st.text(max_size=60))
@example("<|end|><|assistant|>")
@example("\x00")
@example("\u2028 \u3000\u200b\u180e\x1c\x85")
def test_llama_cpp_reads_any_text_as_the_tokenizer_does(served: tuple[LlamaCpp, LoadedModel], text: str) -> None:
    model, loaded = served
    assert model.tokenize(text) == loaded.tokenizer.encode(text)


def test_templates_and_prompts_are_the_same(served: tuple[LlamaCpp, LoadedModel]) -> None:
    model, loaded = served
    assert model.chat_template == TEMPLATE
    assert gguf_mismatches(model, loaded.tokenizer) == []


@pytest.mark.parametrize("package", ["gguf", "xllamacpp"])
def test_a_missing_package_is_named_with_the_extra_and_the_knob(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    loaded = grouped(tmp_path)
    path = written(tmp_path, loaded)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ExportError, match=rf"without {package} Lal cannot (write|run) f32\.gguf") as raised:
        written(tmp_path, loaded) if package == "gguf" else LlamaCpp(path, loaded.tokenizer, 1)
    assert "pip install '.[formats]'" in raised.value.remedy
    assert "export.formats" in raised.value.remedy


@pytest.mark.parametrize("content", [b"", b"GGUF", b"no file of this kind" * 9])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    loaded = grouped(tmp_path)
    path = written(tmp_path, loaded)
    path.write_bytes(content)
    with pytest.raises(ExportError, match=r"f32\.gguf: llama\.cpp cannot load it"):
        LlamaCpp(path, loaded.tokenizer, 1)
