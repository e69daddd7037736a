"""The formats of the bundle: which file each is, whom it is for, and who writes it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lal.export.gguf_file import Precision, write_gguf
from lal.export.onnx_file import write_onnx
from lal.model.transformer import Transformer
from lal.sections import Format

SAFETENSORS = "safetensors"
"""The format that is always there, by its name in params.yaml."""

FILES: dict[str, str] = {
    SAFETENSORS: "model.safetensors",
    "gguf-f32": "model-f32.gguf",
    "gguf-f16": "model-f16.gguf",
    "gguf-q8_0": "model-q8_0.gguf",
    "onnx": "model.onnx",
    "onnx-int8": "model-int8.onnx",
}
"""Format -> its file in the bundle."""

_READERS = {
    SAFETENSORS: "Lal and transformers, with the .json files beside it",
    "gguf-f32": "llama.cpp and programs built on it; every bit of the weights",
    "gguf-f16": "llama.cpp and programs built on it; half the size",
    "gguf-q8_0": "llama.cpp and programs built on it; about a quarter of the size",
    "onnx": "ONNX runtimes such as onnxruntime, a whole text at a time; every bit of the weights",
    "onnx-int8": "onnxruntime 1.22 or later, a whole text at a time; matrices in 8 bits",
}

_PRECISIONS: dict[Format, Precision] = {"gguf-f32": "f32", "gguf-f16": "f16", "gguf-q8_0": "q8_0"}


@dataclass(frozen=True)
class WrittenFile:
    """One format as it lies in the bundle.

    Attributes:
        name: The file's.
        readers: Which programs open it, and what they get.
        num_bytes: Its size.
    """

    name: str
    readers: str
    num_bytes: int


def write_formats(folder: Path, model: Transformer, formats: Sequence[Format]) -> list[WrittenFile]:
    """Writes the model into a bundle in further formats, and says what each is for, safetensors among them.

    Args:
        folder: The bundle; model.safetensors and tokenizer.json are there.
        model: The measured one, in float32.
        formats: `export.formats`.

    Raises:
        ExportError: A package of the extra `formats` is missing, or the model does not fit a format.
        DataError: The disk is full or cannot be written.
    """
    notes: dict[str, str] = {name: _write(folder, model, name) for name in formats}
    return [
        WrittenFile(FILES[name], _READERS[name] + notes.get(name, ""), (folder / FILES[name]).stat().st_size)
        for name in (SAFETENSORS, *formats)
    ]


def _write(folder: Path, model: Transformer, name: Format) -> str:
    """Writes one; returns what a reader should know besides."""
    path = folder / FILES[name]
    if name == "onnx" or name == "onnx-int8":
        write_onnx(path, model, in_8_bits=name == "onnx-int8")
        return ""
    kept = write_gguf(path, model, folder / "tokenizer.json", _PRECISIONS[name])
    return f"; {len(kept)} matrices, of a width that is no multiple of 32, stay f16" if kept else ""
