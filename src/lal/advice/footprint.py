"""How much memory a training run needs, before it is asked for, and how much there is.

N parameters        B rows of a batch        T positions of a row        L layers
C width             F feed-forward width     H heads                     V vocabulary
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch

from lal.model.attention import is_written_out
from lal.model.transformer import Config, Transformer, count_parameters
from lal.params import TrainingParams

FP32_BYTES = 4

MUON_COPIES = 6
"""Of a stack of matrices, while Newton-Schulz turns their gradients into updates."""

CGROUP_LIMIT, CGROUP_USED = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")
"""What a container may use and does use; psutil tells of the whole computer."""


@dataclass(frozen=True)
class Footprint:
    """Bytes that a training run holds at its peak, by what for.

    Attributes:
        weights: fp32.
        gradients: fp32.
        optimizer: Momenta and averages.
        best: The copy of the best weights so far.
        working: What comes and goes in a step: what the forward pass keeps for the backward pass, logits included; or,
            if that is more, Muon's copies of its largest stack of matrices.
    """

    weights: int
    gradients: int
    optimizer: int
    best: int
    working: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.gradients + self.optimizer + self.best + self.working


def footprint(model: Transformer, params: TrainingParams, num_rows: int, num_positions: int) -> Footprint:
    """The memory that training a model on batches of (B, T) takes, uncompiled, which is the most.

    Counted from what autograd keeps of each layer of `lal.model`, a vector of C or F at a time; see `_kept`.
    """
    size = FP32_BYTES * count_parameters(model)
    is_muon = params.optimizer == "muon"
    stacks = Counter[torch.Size]()  # Bytes of all matrices of a shape, which Muon moves together.
    for name, weight in model.named_parameters():
        if is_muon and ".layers." in name and weight.ndim == 2:
            stacks[weight.shape] += FP32_BYTES * weight.numel()
    has_odds = is_written_out(model.device, model.compute_dtype, num_positions)
    kept = _kept(model.config, model.compute_dtype.itemsize, num_positions if has_odds else 0)
    return Footprint(
        weights=size,
        gradients=size,
        optimizer=2 * size - stacks.total(),
        best=size,
        working=max(num_rows * num_positions * kept, MUON_COPIES * max(stacks.values(), default=0)),
    )


def _kept(config: Config, item_bytes: int, num_looked_at: int) -> int:
    """Bytes that autograd keeps of one position, which keeps its odds of looking at so many others.

    Of a layer: two norms (input and normed vector in fp32, the output), queries, keys and values before and after norm
    and rotation, the gathered values, four vectors of the feed-forward network; and a row of odds a head. Once: the
    logits, their softmax and their gradient in fp32, and one layer's scores while they are being made.
    """
    vectors = 2 * (2 * FP32_BYTES + item_bytes) + (2 * FP32_BYTES if config.query_key_norm else 0) + 9 * item_bytes
    scores = config.num_heads * num_looked_at
    layer = vectors * config.width + (4 * config.feed_forward_width + scores) * item_bytes
    return config.num_layers * layer + 3 * FP32_BYTES * (config.vocabulary_size + scores)


def free_bytes(device: torch.device) -> int:
    """Memory that this process can still get on a device, container limits counted."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    if device.type == "mps":
        return int(torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory())
    return min(psutil.virtual_memory().available, _left_in_container())


def _left_in_container() -> int:
    """What a Linux container's limit leaves, or more than any computer has where there is none."""
    try:
        return int(CGROUP_LIMIT.read_text()) - int(CGROUP_USED.read_text())
    except (OSError, ValueError):  # No such file; or it says "max".
        return 2**63
