"""The model as an ONNX graph: `input_ids` (batch, length) int64 -> `logits` (batch, length, vocabulary) float32.

Written operator by operator, in the order of `lal.model.transformer`, from operators that every runtime has had for
years. The stage `parity` holds the graph to the network. It reads a whole sequence at a time, without a cache.

    B rows        T positions         V vocabulary       C width of the stream
    H heads       K key/value heads   G = H / K          D width of a head
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lal.errors import ExportError
from lal.export.extra import optional
from lal.files import write_bytes
from lal.model.layers import NORM_EPSILON
from lal.model.transformer import Config, Transformer

OPSET, IR_VERSION = 18, 9
"""Of 2023, so that runtimes that are some years old still open the file."""

MOST_BYTES = 2**31 - 2**20
"""A protobuf message holds less than 2 GiB; the rest is for the graph itself."""

BLOCK = 32
"""Weights of an output that share a scale in the int8 file, as in GGUF's q8_0."""

ORT = "com.microsoft"
"""Name of onnxruntime's own operators."""


class _Graph:
    """Nodes and constants as they are added; each method returns the name of what it computes."""

    def __init__(self, onnx: Any, config: Config, weights: dict[str, NDArray[np.float32]], in_8_bits: bool) -> None:
        self.onnx, self.config, self.weights, self.in_8_bits = onnx, config, weights, in_8_bits
        self.nodes: list[Any] = []
        self.constants: dict[str, Any] = {}

    def constant(self, name: str, value: NDArray[Any]) -> str:
        self.constants[name] = self.onnx.numpy_helper.from_array(np.ascontiguousarray(value), name)
        return name

    def shape(self, *sizes: int) -> str:
        """0 keeps a dimension, -1 takes what remains."""
        return self.constant("shape" + "".join(f"_{size}" for size in sizes), np.array(sizes, dtype=np.int64))

    def number(self, value: float) -> str:
        return self.constant(f"number_{value:g}", np.array(value, dtype=np.float32))

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        name = f"{operator}_{len(self.nodes)}"
        self.nodes.append(self.onnx.helper.make_node(operator, list(inputs), [name], name=name, **attributes))
        return name

    def halves(self, vectors: str) -> tuple[str, str]:
        """(..., D) -> twice (..., D / 2)."""
        name = f"Split_{len(self.nodes)}"
        names = (f"{name}_first", f"{name}_second")
        self.nodes.append(self.onnx.helper.make_node("Split", [vectors], names, name=name, axis=-1, num_outputs=2))
        return names

    def weight(self, module: str) -> str:
        return self.constant(f"{module}.weight", self.weights[f"{module}.weight"])

    def product(self, features: str, module: str) -> str:
        """(..., inputs) -> (..., outputs)."""
        weight = self.weights[f"{module}.weight"]
        if not self.in_8_bits:
            return self.add("MatMul", features, self.constant(f"{module}.weight", weight.T))
        packed, scales = pack(weight)
        names = self.constant(f"{module}.weight", packed), self.constant(f"{module}.scales", scales)
        sizes = {"N": weight.shape[0], "K": weight.shape[1], "bits": 8, "block_size": BLOCK}
        # Level 1 computes in float32 on every processor; left out, some would quantise the features, too.
        return self.add("MatMulNBits", features, *names, domain=ORT, accuracy_level=1, **sizes)

    def norm(self, vectors: str, module: str) -> str:
        """Root mean square norm over the last dimension."""
        mean = self.add("ReduceMean", self.add("Mul", vectors, vectors), self.shape(-1), keepdims=1)
        root = self.add("Sqrt", self.add("Add", mean, self.number(NORM_EPSILON)))
        return self.add("Mul", self.add("Mul", vectors, self.add("Reciprocal", root)), self.weight(module))

    def rotate(self, vectors: str, cosines: str, sines: str) -> str:
        """(B, H, T, D) turned by position; the two halves of a head are the coordinates."""
        first, second = self.halves(vectors)
        here = self.add("Sub", self.add("Mul", first, cosines), self.add("Mul", second, sines))
        there = self.add("Add", self.add("Mul", second, cosines), self.add("Mul", first, sines))
        return self.add("Concat", here, there, axis=-1)

    def heads(self, features: str) -> str:
        """(B, T, heads D) -> (B, heads, T, D)."""
        split = self.add("Reshape", features, self.shape(0, 0, -1, self.config.head_width))
        return self.add("Transpose", split, perm=[0, 2, 1, 3])

    def groups(self, heads: str, size: int) -> str:
        """(B, K size, T, D) -> (B, K, size, T, D)."""
        shape = self.shape(0, self.config.num_kv_heads, size, -1, self.config.head_width)
        return self.add("Reshape", heads, shape)


def write_onnx(path: Path, model: Transformer, in_8_bits: bool = False) -> None:
    """Writes the graph; the same model gives the same bytes.

    Args:
        path: Where to.
        model: In float32.
        in_8_bits: Pack the matrices inside the blocks and of the head as GGUF's q8_0 does, by an operator of
            onnxruntime's own (version 1.22 or later). Embedding table, norms and activations stay float32, and so does
            a head that is tied to the table. Quantising the activations as well, as onnxruntime's `quantize_dynamic`
            does, was measured and rejected: see docs/decisions/0021-formats.md.

    Raises:
        ExportError: The package onnx is not installed, or the model is too large for one file.
        DataError: The disk is full or cannot be written.
    """
    write_bytes(path, _graph(path, model, in_8_bits).SerializeToString(deterministic=True))


def pack(weight: NDArray[np.float32]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """A matrix in 8 bits: for each `BLOCK` numbers of a row the largest becomes 127, and 0 is written as 128.

    Args:
        weight: (outputs, inputs).

    Returns:
        (outputs, blocks, BLOCK) numbers, the last block of a row filled up with zeros, and (outputs blocks) scales.
    """
    num_rows, width = weight.shape
    filled = np.pad(weight, ((0, 0), (0, -width % BLOCK))).reshape(num_rows, -1, BLOCK)
    scales = np.abs(filled).max(axis=2) / 127
    steps = np.where(scales == 0, 1, scales)[:, :, None]
    return (np.rint(filled / steps) + 128).astype(np.uint8), scales.astype(np.float32).reshape(-1)


def _graph(path: Path, model: Transformer, in_8_bits: bool) -> Any:
    onnx = optional("onnx", f"write {path.name}")
    config = model.config
    weights = {key: weight.float().cpu().numpy() for key, weight in model.state_dict().items()}
    size = sum(weight.nbytes for weight in weights.values())
    if size > MOST_BYTES:
        raise ExportError(
            f"{path.name} would hold {size:,} bytes of weights, an ONNX file at most {MOST_BYTES:,}",
            "take onnx and onnx-int8 out of export.formats",
        )
    graph = _Graph(onnx, config, weights, in_8_bits)
    logits = _network(graph, model)
    graph.nodes.append(onnx.helper.make_node("Identity", [logits], ["logits"], name="logits"))
    value, opset = onnx.helper.make_tensor_value_info, onnx.helper.make_opsetid
    described = onnx.helper.make_graph(
        graph.nodes,
        "Lal",
        [value("input_ids", onnx.TensorProto.INT64, ["batch", "length"])],
        [value("logits", onnx.TensorProto.FLOAT, ["batch", "length", config.vocabulary_size])],
        list(graph.constants.values()),
    )
    opsets = [opset("", OPSET), *([opset(ORT, 1)] if in_8_bits else [])]
    return onnx.helper.make_model(described, opset_imports=opsets, ir_version=IR_VERSION, producer_name="lal")


def _network(graph: _Graph, model: Transformer) -> str:
    """Embedding -> blocks -> norm -> head; returns the name of the logits."""
    table = graph.weight("model.embed_tokens")
    stream = graph.add("Gather", table, "input_ids")
    length = graph.add("Shape", "input_ids", start=1, end=2)
    cosines, sines = (
        graph.add("Slice", graph.constant(name, values.numpy()), graph.shape(0), length, graph.shape(0))
        for name, values in (("cosines", model.model.cosines), ("sines", model.model.sines))
    )
    unseen = _unseen(graph, length)
    for number in range(model.config.num_layers):
        name = f"model.layers.{number}"
        normed = graph.norm(stream, f"{name}.input_layernorm")
        stream = graph.add("Add", stream, _attention(graph, f"{name}.self_attn", normed, cosines, sines, unseen))
        normed = graph.norm(stream, f"{name}.post_attention_layernorm")
        stream = graph.add("Add", stream, _feed_forward(graph, f"{name}.mlp", normed))
    normed = graph.norm(stream, "model.norm")
    if not model.config.tied_embeddings:
        return graph.product(normed, "lm_head")
    return graph.add("MatMul", normed, graph.add("Transpose", table, perm=[1, 0]))


def _unseen(graph: _Graph, length: str) -> str:
    """(T, T): minus infinity where a position would look at a later one, else 0."""
    start, step = (graph.constant(f"count_{value}", np.array(value, dtype=np.int64)) for value in (0, 1))
    positions = graph.add("Range", start, graph.add("Squeeze", length), step)
    is_later = graph.add("Less", graph.add("Unsqueeze", positions, graph.shape(1)), positions)
    return graph.add("Where", is_later, graph.number(-np.inf), graph.number(0.0))


def _attention(graph: _Graph, name: str, stream: str, cosines: str, sines: str, unseen: str) -> str:
    config = graph.config
    queries, keys, values = (graph.heads(graph.product(stream, f"{name}.{each}_proj")) for each in "qkv")
    if config.query_key_norm:
        queries = graph.norm(queries, f"{name}.q_norm")
        keys = graph.norm(keys, f"{name}.k_norm")
    queries = graph.groups(graph.rotate(queries, cosines, sines), config.num_heads // config.num_kv_heads)
    keys, values = graph.groups(graph.rotate(keys, cosines, sines), 1), graph.groups(values, 1)
    scores = graph.add("MatMul", queries, graph.add("Transpose", keys, perm=[0, 1, 2, 4, 3]))
    scores = graph.add("Mul", scores, graph.number(config.head_width**-0.5))
    weights = graph.add("Softmax", graph.add("Add", scores, unseen), axis=-1)
    mixed = graph.add(
        "Reshape", graph.add("MatMul", weights, values), graph.shape(0, config.num_heads, -1, config.head_width)
    )
    gathered = graph.add("Reshape", graph.add("Transpose", mixed, perm=[0, 2, 1, 3]), graph.shape(0, 0, -1))
    return graph.product(gathered, f"{name}.o_proj")


def _feed_forward(graph: _Graph, name: str, stream: str) -> str:
    gate = graph.product(stream, f"{name}.gate_proj")
    opened = graph.add("Mul", gate, graph.add("Sigmoid", gate))
    lifted = graph.add("Mul", opened, graph.product(stream, f"{name}.up_proj"))
    return graph.product(lifted, f"{name}.down_proj")
