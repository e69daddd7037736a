"""The packages of the optional extra `formats`, imported when a format is written or opened."""

import importlib
from typing import Any

from lal.errors import ExportError

INSTALL = "pip install '.[formats]'"


def optional(package: str, need: str) -> Any:
    """The module of an optional package, such as `onnx` or `onnxruntime.quantization`.

    Args:
        package: What to import.
        need: What cannot be done without it: `write model.onnx`.

    Raises:
        ExportError: It is not installed, or too old for what is asked of it.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise ExportError(
            f"without {package.split('.')[0]} Lal cannot {need}: {error}",
            f"run `{INSTALL}`, or take the format out of export.formats in params.yaml",
        ) from error
