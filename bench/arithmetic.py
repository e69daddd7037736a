"""How much of the machine's arithmetic the training step uses.

    python -m bench.arithmetic [--widths 128 192 256 384] [--steps 12]

A step is forward, backward and optimizer of the loop that trains, at the project's depth, context and batch. Its
operations are counted by formula, which the tests hold to torch's own count, and divided by the 25th percentile of the
step's time; the machine's peaks are the best of many square matrix products in either type, taken in between.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Sequence

import torch
from torch.autograd.profiler_util import FunctionEvent
from torch.profiler import ProfilerActivity, profile, record_function

from bench.table import PAGE, report
from bench.workload import Shape, Training, clean
from lal.model.transformer import Config
from lal.train.optimizer import NEWTON_SCHULZ_STEPS, Optimizer

Row = dict[str, object]

PEAK_SIZES = (512, 1024, 2048)
PRODUCTS = ("aten::mm", "aten::addmm", "mkldnn::_linear_pointwise")
BATCHED_PRODUCTS = ("aten::bmm", "aten::baddbmm")
FUSED_ATTENTION = "scaled_dot_product"
OPTIMIZER = "optimizer"


def step_operations(config: Config, batch_size: int, optimizer: str) -> int:
    """Multiplications and additions in the matrix products of a training step.

    Two for each weight of a matrix and token; attention is computed for all pairs of positions, as `AttendOnCpu`
    does. Backward takes twice what forward does. Muon: five times three products of the smaller side.
    """
    width, inner, num_tokens = config.width, config.feed_forward_width, batch_size * config.context_length
    kv_width = config.num_kv_heads * config.head_width
    matrices = [(width, width), (width, width), (kv_width, width), (kv_width, width)]
    matrices += [(inner, width), (inner, width), (width, inner)]
    weights = config.num_layers * sum(rows * columns for rows, columns in matrices) + config.vocabulary_size * width
    pairs = config.num_layers * num_tokens * config.context_length * width
    operations = 3 * (2 * weights * num_tokens + 4 * pairs)
    if optimizer == "muon":
        sides = [sorted(matrix) for matrix in matrices]
        products = sum(2 * short**2 * (2 * long + short) for short, long in sides)
        operations += config.num_layers * NEWTON_SCHULZ_STEPS * products
    return operations


def peak(dtype: torch.dtype, device: torch.device, sizes: Sequence[int] = PEAK_SIZES, rounds: int = 3) -> float:
    """Operations a second of the fastest square matrix product."""
    best = 0.0
    for size in sizes:
        left = torch.randn(size, size, device=device).to(dtype)
        for _ in range(rounds):
            seconds = _timed_product(left)
            best = max(best, 2 * size**3 / seconds)
            if seconds > 2.0:  # emulated: larger ones are no faster
                return best
    return best


def _timed_product(matrix: torch.Tensor) -> float:
    start = time.perf_counter()
    product = matrix @ matrix
    product[0, 0].item()  # waits for a GPU
    return time.perf_counter() - start


class _NamedOptimizer(Optimizer):
    """The same with a name that the profiler sees."""

    def step(self, multiplier: float) -> None:
        with record_function(OPTIMIZER):
            super().step(multiplier)


def shares(training: Training, num_steps: int) -> dict[str, float]:
    """Where the time of some steps goes, as shares (0 to 1) of all that the profiler has seen on the processor."""
    training.optimizer = _NamedOptimizer(training.model, training.params, training.model.compute_dtype)
    with profile(activities=[ProfilerActivity.CPU]) as found:
        training.run(num_steps)
    spent: Counter[str] = Counter()
    for event in found.events() or []:
        spent[_kind(event)] += event.self_cpu_time_total
    total = sum(spent.values())
    return {kind: spent[kind] / total for kind in ("matrix products", "attention", "elementwise", OPTIMIZER)}


def _kind(event: FunctionEvent) -> str:
    above: FunctionEvent | None = event
    while above is not None:
        if above.name == OPTIMIZER:
            return OPTIMIZER
        above = above.cpu_parent
    if event.name in PRODUCTS:
        return "matrix products"
    return "attention" if event.name in BATCHED_PRODUCTS or FUSED_ATTENTION in event.name else "elementwise"


def measure(shapes: Sequence[Shape], num_steps: int, sizes: Sequence[int] = PEAK_SIZES) -> tuple[list[Row], list[Row]]:
    """Achieved operations and their share of the peaks, and where the time goes, each plain and compiled."""
    device = Training(Shape(width=32, num_layers=1)).model.device
    peaks = {torch.float32: 0.0, torch.bfloat16: 0.0}
    timed: list[tuple[Shape, bool, torch.dtype, float, int]] = []
    where: list[Row] = []
    for shape in shapes:
        for dtype in peaks:
            peaks[dtype] = max(peaks[dtype], peak(dtype, device, sizes))
        for is_compiled in (False, True):
            training = Training(shape, is_compiled)
            training.run(2)
            seconds = clean(training.run(num_steps))
            operations = step_operations(shape.config, shape.batch_size, training.params.optimizer)
            timed.append((shape, is_compiled, training.model.compute_dtype, seconds, operations))
            told = {kind: round(100 * share) for kind, share in shares(training, min(3, num_steps)).items()}
            where.append({"width": shape.width, "blocks": _mode(is_compiled)} | {f"{k}, %": v for k, v in told.items()})
            sys.stdout.write(f"{shape.width} {_mode(is_compiled)}: {operations / seconds / 1e9:.0f} GFLOP/s, {told}\n")
            sys.stdout.flush()
    for dtype in peaks:
        peaks[dtype] = max(peaks[dtype], peak(dtype, device, sizes))
    rows: list[Row] = [
        {
            "width": shape.width,
            "blocks": _mode(is_compiled),
            "type": _name(dtype),
            "ms a step": round(1e3 * seconds, 1),
            "GFLOP a step": round(operations / 1e9, 1),
            "GFLOP/s": round(operations / seconds / 1e9, 1),
            **{
                f"% of the {_name(each)} peak ({speed / 1e9:.0f})": _percent(operations / seconds, speed)
                for each, speed in peaks.items()
                if speed >= peaks[torch.float32]  # Emulated bf16 is no peak.
            },
        }
        for shape, is_compiled, dtype, seconds, operations in timed
    ]
    return rows, where


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _mode(is_compiled: bool) -> str:
    return "compiled" if is_compiled else "plain"


def _percent(part: float, whole: float) -> float:
    return round(100 * part / whole, 1)


def main() -> None:
    """Measures, prints, and writes both tables into the page."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--widths", type=int, nargs="+", default=[128, 192, 256, 384])
    parser.add_argument("--steps", type=int, default=12)
    options = parser.parse_args()
    rows, where = measure([Shape(width=width) for width in options.widths], options.steps)
    report("arithmetic", "Arithmetic of the training step", rows, NOTE, PAGE)
    report("arithmetic-where", "Where the time of a step goes", where, WHERE_NOTE, PAGE)


NOTE = (
    "4 layers, batch 8 x 256, vocabulary 512, forward, backward and optimizer; the type is the one that `precision: "
    "auto` picks. Only the matrix products are counted as work, attention over all pairs of positions, seen or not: "
    "bf16 on a processor computes those; torch's fused call, in fp32, hardly more than the half that is seen. In "
    "brackets the machine's best matrix product in GFLOP/s; that of bf16 only where it is native."
)
WHERE_NOTE = (
    "Shares of the processor time that torch's profiler saw. `attention` is QK^T, softmax and AV where they are one "
    "call, as in fp32; in bf16 on a processor its softmax is in `elementwise`, as are norms, rotation, activation, "
    "loss, copies, and what Python costs in between."
)


if __name__ == "__main__":
    main()
