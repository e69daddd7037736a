"""Where and in which numbers a model is trained."""

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
    assert prepare(model, plan.params).startswith("cpu, bfloat16")
    steps = list(training_steps(model, Optimizer(model, plan.params, model.compute_dtype), plan))
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}
    assert steps[-1].loss < steps[0].loss


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
def test_without_a_working_compiler_training_goes_on_without_it_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch._inductor.config

    monkeypatch.setattr(torch._inductor.config.cpp, "cxx", ("/nonexistent/compiler",))
    monkeypatch.setattr(torch._inductor.config, "force_disable_caches", True)
    torch.compiler.reset()
    model, plan, listener = new_model(), new_plan(), Listener()
    compile_blocks(model, plan.batches(0), listener, torch.device("cpu"))
    assert len(listener.lines) == 1
    assert listener.lines[0].startswith("torch.compile does not work here")
    sum_of_losses(model, plan.batches(0)).backward()  # type: ignore[no-untyped-call]
