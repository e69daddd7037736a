"""A model folder loads anywhere, in every layout, and nothing damaged loads silently."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
import transformers
from torch import Tensor

from lal.errors import ModelError
from lal.files import sha256
from lal.model.folder import SEALED, load_model, save_model
from lal.model.transformer import Transformer
from lal.text.chat import TEMPLATE
from lal.text.tokenizer import Tokenizer

NewModel = Callable[..., Transformer]


@pytest.fixture
def folder(tmp_path: Path, new_model: NewModel, tokenizer: Tokenizer) -> Path:
    save_model(tmp_path / "model", new_model(), tokenizer, {"stage": "pretrain", "inputs": {"tokens": "abc"}})
    return tmp_path / "model"


def seal(folder: Path) -> None:
    """Makes lal.json agree with files that were changed."""
    tree = json.loads((folder / "lal.json").read_text())
    tree["files"] = {name: sha256(folder / name) for name in SEALED}
    (folder / "lal.json").write_text(json.dumps(tree))


def edit_config(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    seal(folder)


@torch.inference_mode()
def test_what_was_saved_comes_back(folder: Path, new_model: NewModel, tokenizer: Tokenizer, ids: Tensor) -> None:
    loaded = load_model(folder)
    assert torch.equal(loaded.model(ids), new_model()(ids))
    assert loaded.model.config == new_model().config
    assert loaded.tokenizer.encode("Who's there?") == tokenizer.encode("Who's there?")
    assert loaded.provenance["stage"] == "pretrain"
    assert not loaded.model.training


@pytest.mark.parametrize("query_key_norm", [True, False])
@pytest.mark.parametrize("grouped_and_tied", [True, False])
@torch.inference_mode()
def test_transformers_loads_it_without_custom_code(
    tmp_path: Path, new_model: NewModel, tokenizer: Tokenizer, ids: Tensor, query_key_norm: bool, grouped_and_tied: bool
) -> None:
    model = new_model(
        query_key_norm=query_key_norm, num_kv_heads=2 if grouped_and_tied else 4, tied_embeddings=grouped_and_tied
    )
    save_model(tmp_path, model, tokenizer, {}, generation={"max_new_tokens": 7})
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path)
    assert type(theirs).__name__ == ("Qwen3ForCausalLM" if query_key_norm else "LlamaForCausalLM")
    torch.testing.assert_close(theirs(ids).logits, load_model(tmp_path).model(ids), atol=1e-5, rtol=1e-5)
    assert theirs.generation_config.eos_token_id == tokenizer.end_id
    assert theirs.generation_config.max_new_tokens == 7
    their_tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert their_tokenizer.chat_template == TEMPLATE
    assert their_tokenizer.encode("Long live, é😀\n the") == tokenizer.encode("Long live, é😀\n the")


@torch.inference_mode()
def test_bfloat16_is_half_the_size_and_is_computed_in_float32(
    tmp_path: Path, folder: Path, new_model: NewModel, tokenizer: Tokenizer, ids: Tensor
) -> None:
    save_model(tmp_path / "half", new_model(), tokenizer, {}, dtype=torch.bfloat16)
    assert json.loads((tmp_path / "half/config.json").read_text())["dtype"] == "bfloat16"
    half = (tmp_path / "half/model.safetensors").stat().st_size
    assert half == pytest.approx((folder / "model.safetensors").stat().st_size / 2, rel=0.05)
    model = load_model(tmp_path / "half").model
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}
    assert torch.equal(model.lm_head.weight, new_model().lm_head.weight.bfloat16().float())


def test_saving_the_same_model_writes_the_same_bytes(
    tmp_path: Path, folder: Path, new_model: NewModel, tokenizer: Tokenizer
) -> None:
    save_model(tmp_path / "again", new_model(), tokenizer, {"stage": "pretrain", "inputs": {"tokens": "abc"}})
    names = sorted(path.name for path in folder.iterdir())
    assert names == sorted([*SEALED, "generation_config.json", "lal.json", "tokenizer_config.json"])
    assert [sha256(folder / name) for name in names] == [sha256(tmp_path / "again" / name) for name in names]


@pytest.mark.parametrize("name", SEALED)
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_one_flipped_bit_is_an_error_that_names_the_file(folder: Path, name: str, share: float) -> None:
    content = bytearray((folder / name).read_bytes())
    content[int(share * (len(content) - 1))] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(ModelError, match=f"{name}: changed since it was written"):
        load_model(folder)


@pytest.mark.parametrize("name", [*SEALED, "lal.json"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(ModelError, match=name):
        load_model(folder)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="nowhere"):
        load_model(tmp_path / "nowhere")


@pytest.mark.parametrize("content", ["[]", "{}", "{", '{"files": []}', '{"files": {"model.safetensors": null}}'])
def test_a_damaged_seal_is_an_error(folder: Path, content: str) -> None:
    (folder / "lal.json").write_text(content)
    with pytest.raises(ModelError, match=r"lal\.json"):
        load_model(folder)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]}, "model_type is 'gpt2', Lal computes 'llama'"),
        ({"hidden_act": "gelu"}, "hidden_act is 'gelu', Lal computes 'silu'"),
        ({"rope_theta": 500000.0}, "rope_theta is 500000.0"),
        ({"hidden_size": "wide"}, "width is 'wide', not a count"),
        ({"num_attention_heads": 0}, "num_heads is 0, not a count"),
        ({"hidden_size": 64}, "head_dim is 8, Lal computes 16"),
        ({"vocab_size": 300}, "the tokenizer has 270 entries, the model 300"),
        ({"intermediate_size": 96}, r"mlp.down_proj.weight is \[32, 64\], config.json says \[32, 96\]"),
        ({"num_hidden_layers": 3}, r"model.layers.2.*is missing"),
        ({"num_hidden_layers": 1}, r"model.layers.1.*is not part of the model"),
        ({"tie_word_embeddings": True}, "lm_head.weight is not part of the model"),
    ],
)
def test_a_config_of_another_model_is_an_error(folder: Path, changes: dict[str, Any], problem: str) -> None:
    edit_config(folder, **changes)
    with pytest.raises(ModelError, match=problem):
        load_model(folder)


def test_a_config_without_a_size_is_an_error(folder: Path) -> None:
    tree = json.loads((folder / "config.json").read_text())
    del tree["hidden_size"]
    (folder / "config.json").write_text(json.dumps(tree))
    seal(folder)
    with pytest.raises(ModelError, match="'hidden_size' is missing"):
        load_model(folder)


@pytest.mark.parametrize("content", [b"", b"\x80\x04}q\x00.", b"PK\x03\x04", b"\xff" * 64])
def test_another_format_behind_the_right_name_is_an_error(folder: Path, content: bytes) -> None:
    (folder / "model.safetensors").write_bytes(content)
    seal(folder)
    with pytest.raises(ModelError, match=r"model\.safetensors: not safetensors"):
        load_model(folder)


def test_weights_of_another_model_are_an_error(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(safetensors.torch.save({"wte": torch.zeros(2)}))
    seal(folder)
    with pytest.raises(ModelError, match=r"wte is not part of the model"):
        load_model(folder)
