"""Where and in which numbers a model is trained: the device, fp32 or bf16, plain or compiled."""

import contextlib
import ctypes
import dataclasses
import sys
import time
from pathlib import Path
from typing import Any

import torch

from lal.errors import in_one_line
from lal.model.transformer import Transformer
from lal.params import TrainingParams
from lal.reporting import Reporter
from lal.text.batches import Batch
from lal.train.loop import sum_of_losses
from lal.train.processes import ALONE, Processes

NATIVE_BF16 = ("avx512_bf16", "amx_bf16")
"""Processor features with which bf16 products are 4.5 to 6 times as fast as fp32; emulated ones are slower."""

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
LARGEST_MMAP_THRESHOLD = 32 * 2**20
"""Numbers from glibc's malloc.h, and the largest block that it will not ask the system for by itself."""

LINKING_SECONDS = 2.0
"""A library of torch's cache that has been empty for longer is not being written any more."""


def choose_dtype(params: TrainingParams, device: torch.device) -> torch.dtype:
    """Type of the activations; weights, and all that adds up over steps, stay in fp32."""
    if params.precision == "auto":
        return torch.bfloat16 if has_native_bf16(device) else torch.float32
    return torch.bfloat16 if params.precision == "bf16" else torch.float32


def has_native_bf16(device: torch.device) -> bool:
    """Whether this device computes bf16 products itself."""
    if device.type == "cuda":
        # Cards before Ampere (2020) hold bf16 but compute it in detours, slower than fp32.
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return True
    # Older versions of torch cannot say; fp32 is then the safe answer.
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(capabilities.get(feature, False) for feature in NATIVE_BF16)


def prepare(model: Transformer, params: TrainingParams, processes: Processes = ALONE) -> str:
    """Puts the model where it trains fastest, in the type that params.yaml asks for; says so: `cpu, bfloat16`."""
    device = processes.choose_device()
    if device.type == "cpu":
        _keep_freed_memory()
    if not processes.is_sharded:  # A sharded model may not fit there before it is sliced.
        model.to(device)
    model.compute_dtype = choose_dtype(params, device)
    is_emulated = model.compute_dtype == torch.bfloat16 and not has_native_bf16(device)
    slowly = " (emulated: slower than fp32 here)" if is_emulated else ""
    return f"{device.type}, {str(model.compute_dtype).removeprefix('torch.')}{slowly}"


def _keep_freed_memory() -> None:
    """Has glibc keep what a step frees for the next one: given back, each page is asked for and zeroed again.

    Unasked, a step of 50 ms lost 1 to 15 ms to that, another share in each run. The most the process holds is the same.
    Blocks of 32 MiB and more are given back all the same.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt:
        mallopt(M_TRIM_THRESHOLD, -1)  # Never.
        mallopt(M_MMAP_THRESHOLD, LARGEST_MMAP_THRESHOLD)


def compile_blocks(model: Transformer, example: Batch, reporter: Reporter, device: torch.device) -> None:
    """Compiles each block, so that its elementwise parts run as one; without a working compiler, leaves all as it is.

    One compilation serves all blocks, so the cost (10-20 s the first time on a machine, about 1 s afterwards) does not
    grow with depth. It is first tried on a model of one block: a compiler is found missing only when it is used.

    Args:
        model: In place, in its type; sliced, if at all, afterwards.
        example: A batch of the shape that training will use.
        reporter: Is told when compiling does not work here.
        device: Where the model will compute.
    """
    try:
        _remove_unfinished()
        trial = Transformer(dataclasses.replace(model.config, num_layers=1)).to(device)
        trial.compute_dtype = model.compute_dtype
        _compile_each(trial)
        sum_of_losses(trial, example).backward()  # type: ignore[no-untyped-call]  # torch's decorator hides the types
    except Exception as error:  # Whatever goes wrong in the compiler, training can do without it.
        torch.compiler.reset()
        reporter.say(
            f"torch.compile does not work here ({in_one_line(error)}): training without it, in the same quality"
        )
        return
    _compile_each(model)


def _remove_unfinished() -> None:
    """Removes libraries that a killed compiler left empty in torch's cache: every later run would stumble over them."""
    from torch._inductor.runtime.cache_dir_utils import cache_dir

    for path in Path(cache_dir()).rglob("*.so"):
        with contextlib.suppress(FileNotFoundError):
            status = path.stat()
            if status.st_size == 0 and time.time() - status.st_mtime > LINKING_SECONDS:
                path.unlink()


def _compile_each(model: Transformer) -> None:
    for block in model.model.layers:
        block.compile(dynamic=False)
