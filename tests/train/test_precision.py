"""Where and in which numbers a model is trained."""

import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from lal.train.loop import sum_of_losses, training_steps
from lal.train.optimizer import Optimizer
from lal.train.precision import choose_dtype, compile_blocks, has_native_bf16, prepare
from tests.tiny_training import Listener, new_model, new_plan


@pytest.mark.parametrize(("asked", "expected"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_what_params_ask_for_is_what_they_get(asked: str, expected: torch.dtype) -> None:
    assert choose_dtype(new_plan(precision=asked).params, torch.device("cpu")) == expected


def test_auto_is_bf16_exactly_where_the_processor_has_it() -> None:
    params = new_plan(precision="auto").params
    cpu = torch.device("cpu")
    expected = torch.bfloat16 if has_native_bf16(cpu) else torch.float32
    assert choose_dtype(params, cpu) == expected


@pytest.mark.parametrize(("is_native", "expected"), [(True, torch.bfloat16), (False, torch.float32)])
def test_auto_is_bf16_on_a_graphics_card_only_if_it_does_not_emulate_it(
    is_native: bool, expected: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(including_emulation: bool = True) -> bool:
        return including_emulation or is_native

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", answer)
    assert choose_dtype(new_plan(precision="auto").params, torch.device("cuda")) == expected


def test_weights_stay_in_fp32_while_activations_are_bf16() -> None:
    model, plan = new_model(), new_plan(precision="bf16", steps=3)
    assert prepare(model, plan.params).startswith(f"{model.device.type}, bfloat16")
    steps = list(training_steps(model, Optimizer(model, plan.params, model.compute_dtype), plan))
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}
    assert steps[-1].loss < steps[0].loss


STEPS_THAT_FREE = """
import resource, sys, torch
from lal.train.precision import prepare
from tests.tiny_training import new_model, new_plan

if sys.argv[1] == "prepared":
    prepare(new_model(), new_plan().params)
for step in range(10):
    if step == 2:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    activations = [torch.ones(2**22) for _ in range(4)]  # 16 MB each
    del activations
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other libraries have no such switch")
def test_memory_that_a_step_has_freed_is_there_for_the_next() -> None:
    def faults(how: str) -> int:
        command = [sys.executable, "-c", STEPS_THAT_FREE, how]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    assert faults("prepared") < faults("as it comes") / 10


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_compiled_blocks_compute_the_same_as_plain_ones() -> None:
    plain, compiled, plan, listener = new_model(), new_model(), new_plan(), Listener()
    compile_blocks(compiled, plan.batches(0), listener, torch.device("cpu"))
    assert listener.lines == []
    for model in (plain, compiled):
        list(training_steps(model, Optimizer(model, plan.params, torch.float32), plan))
    for name, weight in plain.state_dict().items():
        assert torch.allclose(weight, compiled.state_dict()[name], atol=1e-3), name


@pytest.mark.filterwarnings("ignore")
def test_without_a_working_compiler_training_goes_on_without_it_and_says_so() -> None:
    import torch._inductor.config

    torch.compiler.reset()
    model, plan, listener = new_model(), new_plan(), Listener()
    with torch._inductor.config.patch({"cpp.cxx": ("/nonexistent/compiler",), "force_disable_caches": True}):
        compile_blocks(model, plan.batches(0), listener, torch.device("cpu"))
    assert len(listener.lines) == 1
    assert listener.lines[0].startswith("torch.compile does not work here")
    assert "No working C++ compiler found" in listener.lines[0]
    sum_of_losses(model, plan.batches(0)).backward()  # type: ignore[no-untyped-call]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_what_a_killed_compiler_left_empty_is_removed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    for name, content, age in [("left", b"", 60.0), ("being-linked", b"", 0.0), ("whole", b"ELF", 60.0)]:
        (tmp_path / f"{name}.so").write_bytes(content)
        os.utime(tmp_path / f"{name}.so", (time.time() - age,) * 2)
    compile_blocks(new_model(), new_plan().batches(0), Listener(), torch.device("cpu"))
    found = {path.stem for path in tmp_path.glob("*.so")}
    assert found == {"being-linked", "whole"}


TOLERANCES = {torch.float32: 1e-4, torch.bfloat16: 0.05}
"""Length of the difference to fp32's gradient, over its own; half of it for the loss. bf16 keeps 8 bits of 24."""

DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no graphics card")),
    pytest.param("mps", marks=pytest.mark.skipif(not torch.backends.mps.is_available(), reason="no Apple GPU")),
]


def learn(device: str, dtype: torch.dtype, is_compiled: bool) -> tuple[float, torch.Tensor]:
    """Loss and gradient of one batch."""
    model, batch, listener = new_model(), new_plan(batch_size=4).batches(0), Listener()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith(("o_proj.weight", "down_proj.weight", "lm_head.weight")):  # Zeros, which hide errors.
                weight.normal_(std=0.2, generator=torch.Generator().manual_seed(0))
    model.to(device)
    model.compute_dtype = dtype
    if is_compiled:
        compile_blocks(model, batch, listener, torch.device(device))
        assert listener.lines == []
    loss = sum_of_losses(model, batch) / batch.targets.size
    loss.backward()  # type: ignore[no-untyped-call]
    gradients = [weight.grad for weight in model.parameters() if weight.grad is not None]
    assert {gradient.dtype for gradient in gradients} == {torch.float32}
    return loss.item(), torch.cat([gradient.flatten().cpu() for gradient in gradients])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("is_compiled", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("device", DEVICES)
def test_every_way_to_compute_agrees_with_plain_fp32(device: str, dtype: torch.dtype, is_compiled: bool) -> None:
    loss, gradient = learn("cpu", torch.float32, is_compiled=False)
    own_loss, own_gradient = learn(device, dtype, is_compiled)
    assert own_loss == pytest.approx(loss, rel=TOLERANCES[dtype] / 2)
    assert (own_gradient - gradient).norm() < TOLERANCES[dtype] * gradient.norm()


@pytest.mark.parametrize(("is_native", "said"), [(True, "bfloat16"), (False, "bfloat16 (emulated")])
def test_bf16_that_is_asked_for_is_done_and_said_to_be_emulated_where_it_is(
    is_native: bool, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lal.train.precision.has_native_bf16", lambda _: is_native)
    model = new_model()
    machine = prepare(model, new_plan(precision="bf16").params)
    assert model.compute_dtype == torch.bfloat16
    assert machine.startswith(f"{model.device.type}, {said}")
    assert ("slower" in machine) is not is_native
