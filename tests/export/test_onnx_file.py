"""An ONNX file says in onnxruntime what the network says here."""

import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from lal.errors import ExportError
from lal.export import onnx_file
from lal.export.extra import optional
from lal.export.forward import onnx_forward, torch_forward
from lal.export.onnx_file import BLOCK, pack, write_onnx
from lal.model.folder import load_model
from lal.model.transformer import Transformer
from tests.tiny_model import write_grouped_model

LAYOUTS = [(True, False), (True, True), (False, False), (False, True)]
SHAPES = [(1, 1), (1, 7), (3, 96), (5, 2)]


def grouped(folder: Path, layout: tuple[bool, bool] = (True, False), width: int = 64) -> Transformer:
    write_grouped_model(folder, *layout, width)
    return load_model(folder).model


def some_ids(model: Transformer, rows: int, length: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    generator = torch.Generator().manual_seed(rows + length)
    ids: np.ndarray[tuple[int, ...], np.dtype[np.int64]] = torch.randint(
        0, model.config.vocabulary_size, (rows, length), generator=generator
    ).numpy()
    return ids


@pytest.mark.parametrize(("in_8_bits", "tolerance"), [(False, 1e-4), (True, 0.5)])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("width", [64, 48])
def test_onnxruntime_gives_the_logits_of_the_network_for_any_number_of_rows_and_positions(
    tmp_path: Path, layout: tuple[bool, bool], width: int, in_8_bits: bool, tolerance: float
) -> None:
    model = grouped(tmp_path, layout, width=width)
    write_onnx(tmp_path / "model.onnx", model, in_8_bits)
    forward = onnx_forward(tmp_path / "model.onnx", 1)
    for shape in SHAPES:
        ids = some_ids(model, *shape)
        logits = forward(ids)
        assert logits.dtype == np.float32
        assert logits.shape == (*shape, model.config.vocabulary_size)
        assert np.abs(logits - torch_forward(model)(ids)).max() < tolerance


@pytest.mark.parametrize("in_8_bits", [False, True])
def test_an_answer_depends_neither_on_its_neighbours_nor_on_what_follows(tmp_path: Path, in_8_bits: bool) -> None:
    model = grouped(tmp_path)
    write_onnx(tmp_path / "model.onnx", model, in_8_bits)
    forward = onnx_forward(tmp_path / "model.onnx", 1)
    ids = some_ids(model, 4, 40)
    alone = forward(ids[2:3, :9])
    assert np.abs(forward(ids)[2:3, :9] - alone).max() < 1e-4


def test_the_graph_is_valid_and_says_its_inputs_and_outputs(tmp_path: Path) -> None:
    write_onnx(tmp_path / "model.onnx", grouped(tmp_path))
    graph = onnx.load(tmp_path / "model.onnx")
    onnx.checker.check_model(graph, full_check=True)
    onnxruntime = optional("onnxruntime", "run it")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    (given,), (got,) = session.get_inputs(), session.get_outputs()
    assert (given.name, given.type, given.shape) == ("input_ids", "tensor(int64)", ["batch", "length"])
    assert (got.name, got.type, got.shape) == ("logits", "tensor(float)", ["batch", "length", 284])


@pytest.mark.parametrize("in_8_bits", [False, True])
def test_the_same_model_gives_the_same_bytes(tmp_path: Path, in_8_bits: bool) -> None:
    model = grouped(tmp_path)
    for name in ("first.onnx", "second.onnx"):
        write_onnx(tmp_path / name, model, in_8_bits)
    assert (tmp_path / "first.onnx").read_bytes() == (tmp_path / "second.onnx").read_bytes()


def test_a_packed_number_is_off_by_half_a_step_at_most() -> None:
    weight = np.random.default_rng(0).normal(size=(5, 70)).astype(np.float32)
    weight[3] = 0.0
    packed, scales = pack(weight)
    assert packed.shape == (5, 3, BLOCK)
    steps = scales.reshape(5, 3, 1)
    back = ((packed.astype(np.float32) - 128) * steps).reshape(5, -1)[:, :70]
    assert (np.abs(back - weight) <= np.repeat(steps, BLOCK, axis=2).reshape(5, -1)[:, :70] * 0.5001).all()
    assert (back[3] == 0).all()


def test_a_model_that_no_onnx_file_can_hold_is_refused_before_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_file, "MOST_BYTES", 10_000)
    with pytest.raises(
        ExportError, match=r"model\.onnx would hold 392,704 bytes of weights, an ONNX file at most 10,000"
    ) as raised:
        write_onnx(tmp_path / "model.onnx", grouped(tmp_path))
    assert "export.formats" in raised.value.remedy
    assert not (tmp_path / "model.onnx").exists()


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_a_missing_package_is_named_with_the_extra_and_the_knob(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    model = grouped(tmp_path)
    write_onnx(tmp_path / "model.onnx", model)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ExportError, match=f"without {package} Lal cannot") as raised:
        write_onnx(tmp_path / "model.onnx", model) if package == "onnx" else onnx_forward(tmp_path / "model.onnx", 1)
    assert "pip install '.[formats]'" in raised.value.remedy


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"\x08\x09" * 50)
    with pytest.raises(ExportError, match=r"model\.onnx: onnxruntime cannot load it"):
        onnx_forward(tmp_path / "model.onnx", 1)
