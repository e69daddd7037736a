"""The model as one GGUF file: what llama.cpp opens, and programs built on it.

    f32     every bit of the weights
    f16     matrices with 11 bits of mantissa
    q8_0    matrices in blocks of 32 numbers of 8 bits with one scale of 16 bits

Norms are always f32. The file holds tokenizer and chat template too, so that nothing else is needed beside it.

Source: the GGUF specification, https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lal.errors import ExportError
from lal.export.extra import optional
from lal.files import read_json
from lal.model.layers import NORM_EPSILON
from lal.model.transformer import ROPE_BASE, Config, Transformer
from lal.text.chat import TEMPLATE
from lal.text.tokenizer import CONTROL_TOKENS

Precision = Literal["f32", "f16", "q8_0"]

BLOCK = 32
"""Numbers of a row that share a scale in q8_0; rows of another length stay f16."""

MOST_F16 = 65504.0
"""Largest number of 16 bits."""

PRE_TOKENIZER = "gpt-2"
"""llama.cpp's name for the pattern that splits text in front of the merges; ours is GPT-2's."""

_NORMAL, _CONTROL = 1, 3
"""Kinds of tokens."""

_OUTER = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
_INNER = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
"""transformers' name -> llama.cpp's, of what a file has once and of what each block has."""


def write_gguf(path: Path, model: Transformer, tokenizer_file: Path, precision: Precision) -> list[str]:
    """Writes the file; the same model gives the same bytes.

    Args:
        path: Where to.
        model: In float32.
        tokenizer_file: The model's tokenizer.json.
        precision: Of the matrices.

    Returns:
        The matrices that could not be had in q8_0 and are f16, by their names in the file.

    Raises:
        ExportError: The package gguf is not installed, or a weight is too large for f16.
        DataError: tokenizer.json cannot be read.
    """
    gguf = optional("gguf", f"write {path.name}")
    config = model.config
    writer = gguf.GGUFWriter(path, "qwen3" if config.query_key_norm else "llama")
    _add_shape(writer, config)
    writer.add_file_type({"f32": 0, "f16": 1, "q8_0": 7}[precision])
    if precision == "q8_0":
        writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    _add_tokenizer(writer, read_json(tokenizer_file))
    kept = []
    for name, weight in _weights(model):
        kind = _kind(weight, precision)
        kept += [name] if kind == "f16" and precision == "q8_0" else []
        _add_weight(gguf, writer, name, weight, kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return kept


def _add_shape(writer: Any, config: Config) -> None:
    writer.add_name("Lal")
    writer.add_vocab_size(config.vocabulary_size)
    writer.add_context_length(config.context_length)
    writer.add_embedding_length(config.width)
    writer.add_block_count(config.num_layers)
    writer.add_feed_forward_length(config.feed_forward_width)
    writer.add_head_count(config.num_heads)
    writer.add_head_count_kv(config.num_kv_heads)
    writer.add_key_length(config.head_width)
    writer.add_value_length(config.head_width)
    writer.add_rope_dimension_count(config.head_width)
    writer.add_rope_freq_base(ROPE_BASE)
    writer.add_layer_norm_rms_eps(NORM_EPSILON)


def _add_tokenizer(writer: Any, tree: dict[str, Any]) -> None:
    """Vocabulary and merges of a tokenizer.json, whose last entries are the control tokens."""
    tokens = sorted(tree["model"]["vocab"], key=tree["model"]["vocab"].__getitem__)
    end = len(tokens)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(PRE_TOKENIZER)
    writer.add_token_list([*tokens, *CONTROL_TOKENS])
    writer.add_token_types([_NORMAL] * end + [_CONTROL] * len(CONTROL_TOKENS))
    writer.add_token_merges([pair if isinstance(pair, str) else " ".join(pair) for pair in tree["model"]["merges"]])
    writer.add_bos_token_id(end)  # Never written; left out, llama.cpp takes id 11 for it, which is a comma.
    writer.add_eos_token_id(end)
    writer.add_eot_token_id(end)
    writer.add_pad_token_id(end)
    writer.add_add_bos_token(False)
    writer.add_chat_template(TEMPLATE)


def _weights(model: Transformer) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Each weight with its name in the file, in the order of the model."""
    config = model.config
    for key, tensor in model.state_dict().items():
        weight = tensor.float().cpu().numpy()
        module = key.removesuffix(".weight")
        block = re.fullmatch(r"model\.layers\.(\d+)\.(.+)", module)
        name = f"blk.{block[1]}.{_INNER[block[2]]}" if block else _OUTER[module]
        if not config.query_key_norm and name.endswith(("attn_q", "attn_k")):
            weight = interleave(weight, config.head_width)
        yield f"{name}.weight", np.ascontiguousarray(weight)


def interleave(weight: NDArray[np.float32], head_width: int) -> NDArray[np.float32]:
    """Puts the two rows beside each other that turn together, as llama.cpp's `llama` architecture has them.

    transformers' layout, and llama.cpp's `qwen3`, have them half a head apart. The scores of attention are sums over
    the rows of a head, so their order is free as long as queries and keys share it.

    Args:
        weight: (heads D, C) of a query or key projection.
        head_width: D.
    """
    return weight.reshape(-1, 2, head_width // 2, weight.shape[1]).swapaxes(1, 2).reshape(weight.shape)


def _kind(weight: NDArray[np.float32], precision: Precision) -> Precision:
    if weight.ndim == 1:
        return "f32"
    return "f16" if precision == "q8_0" and weight.shape[1] % BLOCK else precision


def _add_weight(gguf: Any, writer: Any, name: str, weight: NDArray[np.float32], kind: Precision) -> None:
    if kind == "q8_0":
        packed = gguf.quants.quantize(weight, gguf.GGMLQuantizationType.Q8_0)
        writer.add_tensor(name, packed, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
        return
    largest = float(np.abs(weight).max(initial=0.0))
    if kind == "f16" and not largest <= MOST_F16:
        raise ExportError(
            f"{name} has a weight of size {largest:.3g}, more than f16 can say",
            "take gguf-f16 and gguf-q8_0 out of export.formats",
        )
    writer.add_tensor(name, weight.astype(np.float16) if kind == "f16" else weight)
