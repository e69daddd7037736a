"""Several processes that train one model: each learns from its rows of every batch, what they found is added up.

They are started by `torchrun`, on one machine or on many, and all take the same steps: the batch of a step is the same
as in one process, its loss is divided by the targets of the whole batch, and the gradients of all are summed, so every
process makes the same step with the same gradient. Only the order of the additions differs from one process: losses
agree to float tolerance, not to the last bit.

    replicated    every process holds the whole model; gradients travel, once a step
    sharded       every process holds a slice of each weight, of its gradient and of its optimizer state, and sees a
                  block whole only while it computes with it (FSDP): for models that do not fit otherwise

All calls of torch.distributed are in here. One process alone is `ALONE`, for which everything is a no-op.

Source: Rajbhandari et al. 2020, "ZeRO: Memory Optimizations Toward Training Trillion Parameter Models",
    https://arxiv.org/abs/1910.02054; Zhao et al. 2023, "PyTorch FSDP", https://arxiv.org/abs/2304.11277
"""

import contextlib
import datetime
import os
import signal
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from lal.errors import LostProcessError, TrainingError
from lal.model.transformer import Transformer
from lal.text.batches import Batch

TIMEOUT = datetime.timedelta(minutes=10)
"""How long a process waits for the others: longer than the first one takes to write a model, shorter than for ever."""

_LOST = ("Connection closed", "Connection reset", "Broken pipe", "timed out", "Timed out", "NCCL", "waitForInput")
"""How gloo and NCCL say that another process has gone or does not answer."""

_Value = TypeVar("_Value")


class Processes:
    """One process alone: it has every row, and what it found is all there is.

    Attributes:
        rank: Place of this process among all, from 0.
        count: How many there are.
        is_sharded: Whether each holds a slice of the model only.
    """

    rank = 0
    count = 1
    is_sharded = False

    @property
    def is_first(self) -> bool:
        """Whether this is the process that reports and writes; the others only compute."""
        return self.rank == 0

    def choose_device(self) -> torch.device:
        """The fastest device there is; nothing needs more than the processor."""
        if torch.cuda.is_available():
            return torch.device("cuda")
        if torch.backends.mps.is_available():
            return torch.device("mps")
        return torch.device("cpu")

    def check_rows(self, section: str, batch_size: int) -> None:
        """Demands a row for everybody. Raises: TrainingError: there are fewer rows than processes."""

    def share(self, batch: Batch) -> Batch:
        """This process's rows of a batch."""
        return batch

    def sum_gradients(self, model: nn.Module, loss: Tensor) -> Tensor:  # noqa: ARG002
        """Replaces the gradients in the model by the sums over all processes; returns the summed loss."""
        return loss

    def sum(self, value: float) -> float:
        """The sum of a number over all processes, in float64."""
        return value

    def largest(self, value: int) -> int:
        """The largest of a number over all processes: if one has been told to stop, all have."""
        return value

    def tell(self, value: _Value) -> _Value:
        """The first process's value, in all processes; small, and as pickle can carry it."""
        return value

    def shard(self, model: Transformer) -> None:
        """Leaves each process its slice of the model, in place, if this is how it is trained."""

    def forget_unsharded(self, model: Transformer) -> None:
        """Lets go of whole weights that a pass without gradients has left in memory."""

    def gather(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The whole tensors, at the first process; the others get nothing."""
        return dict(tensors)

    def fill(self, tensors: Mapping[str, Tensor], whole: Mapping[str, Tensor]) -> None:
        """Copies whole tensors, which only the first process needs to have, into those that all hold, by name."""
        for name, tensor in tensors.items():
            tensor.copy_(whole[name])

    def whole_model(self, model: Transformer) -> Transformer:
        """A model with all its weights in one place, to be saved by the first process."""
        return model

    def together(self) -> "contextlib.AbstractContextManager[None]":
        """Makes the loss of another process, inside the block, a clear error. Raises: LostProcessError."""
        return contextlib.nullcontext()


ALONE = Processes()


class Torchrun(Processes):
    """One of the processes that torchrun has started, each with a copy of the model.

    Args:
        device: What this process computes on.
    """

    def __init__(self, device: torch.device) -> None:
        import torch.distributed as dist

        self._dist = dist
        self._device = device
        self.rank, self.count = dist.get_rank(), dist.get_world_size()

    def choose_device(self) -> torch.device:
        """The graphics card of this process's own, else the processor."""
        return self._device

    def check_rows(self, section: str, batch_size: int) -> None:
        """Demands a row for everybody. Raises: TrainingError: there are fewer rows than processes."""
        if batch_size < self.count:
            raise TrainingError(
                f"{section}.batch_size is {batch_size}: not a row for each of {self.count} processes",
                f"raise {section}.batch_size, or start fewer processes (torchrun --nproc-per-node)",
            )

    def share(self, batch: Batch) -> Batch:
        """Every `count`-th row: as many for each, or one more; rows without targets, which come last, are spread."""
        mine = slice(self.rank, None, self.count)
        return Batch(batch.inputs[mine], batch.targets[mine])

    def sum_gradients(self, model: nn.Module, loss: Tensor) -> Tensor:
        """Adds up in one message: gradients of all weights, one after the other, and the loss behind them."""
        gradients = [weight.grad for weight in model.parameters() if weight.grad is not None]
        parts = [*gradients, loss.detach()]
        message = torch.cat([part.reshape(-1) for part in parts])
        self._dist.all_reduce(message)
        for part, summed in zip(parts, torch.split(message, [part.numel() for part in parts]), strict=True):
            part.copy_(summed.view_as(part))
        return parts[-1]

    def sum(self, value: float) -> float:
        """The sum of a number over all processes, in float64."""
        message = torch.tensor([value], dtype=torch.float64)
        self._dist.all_reduce(message)
        return message.item()

    def largest(self, value: int) -> int:
        """The largest of a number over all processes: if one has been told to stop, all have."""
        message = torch.tensor([value])
        self._dist.all_reduce(message, self._dist.ReduceOp.MAX)
        return int(message.item())

    def tell(self, value: _Value) -> _Value:
        """The first process's value, in all processes; small, and as pickle can carry it."""
        box: list[Any] = [value if self.is_first else None]
        self._dist.broadcast_object_list(box, src=0, device=torch.device("cpu"))
        told: _Value = box[0]
        return told

    def gather(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The whole tensors, in the first process's own memory; the others get nothing."""
        found: dict[str, Tensor] = {}
        for name, tensor in tensors.items():
            complete = whole(tensor.detach())  # Everybody takes part, in the same order.
            if self.is_first:
                found[name] = complete.cpu()
        return found

    def fill(self, tensors: Mapping[str, Tensor], whole: Mapping[str, Tensor]) -> None:
        """Sends whole tensors one by one, so that nobody but the first process ever holds more than one of them."""
        for name, tensor in tensors.items():
            message = whole[name] if self.is_first else torch.empty(tensor.shape, dtype=tensor.dtype)
            message = message.to(tensor.device).contiguous()
            self._dist.broadcast(message, src=0)
            tensor.copy_(slice_like(message, tensor))

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Makes the loss of another process, inside the block, a clear error. Raises: LostProcessError."""
        try:
            yield
        except RuntimeError as error:
            if isinstance(error, self._dist.DistError) or any(sign in str(error) for sign in _LOST):
                # torchrun now tells everybody to end: what this process is about to say must not be cut short by that.
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                raise LostProcessError(
                    f"process {self.rank} of {self.count}: another process has ended or does not answer",
                    "look for its own message; the same command goes on from the last checkpoint",
                ) from error
            raise


class Sharded(Torchrun):
    """One of the processes that torchrun has started, each with a slice of the model."""

    is_sharded = True

    def sum_gradients(self, model: nn.Module, loss: Tensor) -> Tensor:  # noqa: ARG002
        """The loss alone: FSDP has summed the gradients, block by block, while they were computed."""
        total = loss.detach().clone()
        self._dist.all_reduce(total)
        return total

    def shard(self, model: Transformer) -> None:
        """Slices each block, then what is around them, along the first dimension; moves it to the device on the way."""
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method

        mesh = init_device_mesh(self._device.type, (self.count,))
        for part in (*model.model.layers, model):
            sliced = fully_shard(part, mesh=mesh)
            assert isinstance(sliced, FSDPModule)
            # Sums, as the loss has been divided by all targets already; gloo has no other reduction.
            sliced.set_gradient_divide_factor(1.0)
            sliced.set_force_sum_reduction_for_comms(True)
        # Training calls `hidden` and then `head`, never `forward`: what is around the blocks is whole from the one on.
        register_fsdp_forward_method(model, "hidden")

    def forget_unsharded(self, model: Transformer) -> None:
        """Lets go of whole weights that a pass without gradients has left in memory."""
        model.reshard()  # type: ignore[operator]  # fully_shard has made it an FSDPModule

    def whole_model(self, model: Transformer) -> Transformer:
        """A new model with all weights, on the first process's processor; the others' has none of them."""
        weights = self.gather(dict(model.named_parameters()))
        complete = Transformer(model.config)
        if self.is_first:
            complete.load_state_dict(weights)
        return complete


def whole(tensor: Tensor) -> Tensor:
    """A tensor with the slices of all processes, if it is sliced; a call that all processes make together."""
    return tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor


def slice_like(tensor: Tensor, like: Tensor) -> Tensor:
    """This process's slice of a tensor that all have whole, cut as `like` is; all of it where `like` is not sliced."""
    if not hasattr(like, "full_tensor"):
        return tensor
    from torch.distributed.tensor import DTensor, distribute_tensor

    assert isinstance(like, DTensor)
    return distribute_tensor(tensor, like.device_mesh, like.placements, src_data_rank=None)


@contextlib.contextmanager
def join_processes(shard: bool = False) -> Iterator[Processes]:
    """Meets the other processes that torchrun has started, if it has started any, and parts from them at the end.

    On graphics cards each process takes the one with its number on its machine, and speaks NCCL; else gloo.

    Args:
        shard: Give each process a slice of the model instead of a copy.

    Raises:
        TrainingError: One process alone was asked to shard, or a machine has fewer graphics cards than processes.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        if shard:
            raise TrainingError(
                "--shard: there is one process, and nobody to share the model with",
                "start several: torchrun --standalone --nproc-per-node 2 -m pipeline.pretrain --shard ...",
            )
        yield ALONE
        return
    import torch.distributed as dist

    device = _own_device(int(os.environ["LOCAL_RANK"]))
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, timeout=TIMEOUT)
    yield Sharded(device) if shard else Torchrun(device)
    dist.destroy_process_group()  # Not after an error: it would wait for those that the error has ended.


def _own_device(place: int) -> torch.device:
    """The graphics card of the process with this place on its machine, made the current one; else the processor."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    if place >= torch.cuda.device_count():
        raise TrainingError(
            f"process {place} of this machine has no graphics card: there are {torch.cuda.device_count()}",
            "start as many processes as there are cards: torchrun --nproc-per-node gpu",
        )
    torch.cuda.set_device(place)
    return torch.device("cuda", place)
