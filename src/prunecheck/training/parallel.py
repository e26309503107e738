"""One training on several processes (data-parallel): each takes a part of every batch, and gradients are summed.

All processes hold the same weights, masks, momentum and random streams, so every step is that of the whole batch.
Batch normalisation is over the whole batch too (``synchronise_normalisation``), unless a study says otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm

from prunecheck.errors import StepError, StudyError

PATIENCE = timedelta(minutes=20)
"""how long a process waits for the others in one step; a process that ended is noticed at once on a CPU"""


class ProcessLost(Exception):
    """Another process of this training does not answer any more. The process that started it says which one."""


@dataclass(frozen=True)
class Group:
    """The ``size`` processes of one training; this one is number ``rank``, and number 0 writes what is kept."""

    rank: int
    size: int

    @property
    def writes(self) -> bool:
        return self.rank == 0

    def part(self, rows: slice) -> slice:
        """This process's part of a batch: parts differ in size by one sample at most."""
        whole, first = rows.stop - rows.start, rows.start
        return slice(first + whole * self.rank // self.size, first + whole * (self.rank + 1) // self.size)

    def sum(self, tensor: Tensor) -> Tensor:
        """*tensor*, replaced in place by its sum over all processes."""
        with _answering():
            distributed.all_reduce(tensor)
        return tensor

    @torch.no_grad()
    def sum_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """In place. A parameter that only other processes used gets their gradient; one that none used has none."""
        used = torch.tensor([float(p.grad is not None) for p in parameters], device=parameters[0].device)
        parts = [(torch.zeros_like(p) if p.grad is None else p.grad).reshape(-1).to(torch.float32) for p in parameters]
        total = self.sum(torch.cat([*parts, used]))
        *sums, counts = torch.split(total, [*(p.numel() for p in parameters), len(parameters)])
        for parameter, gradient, count in zip(parameters, sums, counts.tolist(), strict=True):
            if count and parameter.grad is None:
                parameter.grad = torch.empty_like(parameter)
            if parameter.grad is not None:
                parameter.grad.copy_(gradient.reshape(parameter.shape))

    @torch.no_grad()
    def equalise_buffers(self, model: nn.Module) -> None:
        """Running statistics of all processes become those of process 0."""
        with _answering():
            for buffer in model.buffers():
                distributed.broadcast(buffer, 0)

    def validate_same(self, digest: str, what: str, device: torch.device) -> None:
        """Raises StepError where a process has another *digest* (hex) of *what*."""
        own = torch.tensor(list(bytes.fromhex(digest)), dtype=torch.uint8, device=device)
        found = [torch.empty_like(own) for _ in range(self.size)]
        with _answering():
            distributed.all_gather(found, own)
        for rank, other in enumerate(found):
            if not torch.equal(other, found[0]):
                raise StepError(f"process {rank + 1} of {self.size} of this training has other {what} than process 1.")

    def validate_sizes(self, batches: Sequence[slice], whole_batch_norm: bool) -> None:
        """Raises StudyError where a batch is too small to be divided."""
        validate_sizes([rows.stop - rows.start for rows in batches], self.size, whole_batch_norm)


def validate_sizes(sizes: Sequence[int], processes: int, whole_batch_norm: bool) -> None:
    """Raises StudyError where a batch of one of these *sizes* gives a process no sample or, with batch normalisation
    on its own, a single one."""
    least = processes if whole_batch_norm else 2 * processes
    if min(sizes) < least:
        last = " (the last of an epoch)" if min(sizes) < max(sizes) else ""
        raise StudyError(
            f"processes_per_training = {processes}: a batch of {min(sizes)} images{last} is too small to be divided: "
            f"it needs at least {least}. Change training.batch_size or data.train_size."
        )


def join(meeting: str, rank: int, size: int, backend: str) -> Group:
    """Become process *rank*. ``meeting``: a file that all processes of this machine can open, new for every group.
    Waits for the others. Raises ProcessLost where they do not come."""
    with _answering():
        store = distributed.FileStore(meeting, size)  # type: ignore[attr-defined]
        distributed.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=PATIENCE)
    return Group(rank, size)


def leave() -> None:
    """No longer belong to a group."""
    if distributed.is_initialized():
        distributed.destroy_process_group()


@contextmanager
def _answering() -> Iterator[None]:
    """torch raises errors of several kinds, all of them RuntimeErrors, where a process is gone or too late."""
    try:
        yield
    except RuntimeError as error:
        raise ProcessLost(f"another process of this training does not answer: {error}") from error


def _total(tensor: Tensor) -> Tensor:
    total = tensor.clone()
    with _answering():
        distributed.all_reduce(total)
    return total


class _Sum(torch.autograd.Function):
    """The sum over all processes; each has the gradients of all as its own."""

    @staticmethod
    def forward(_: Any, tensor: Tensor) -> Tensor:
        return _total(tensor)

    @staticmethod
    def backward(_: Any, gradient: Tensor) -> Tensor:
        return _total(gradient)


class WholeBatchNorm(_BatchNorm):
    """Batch normalisation whose mean and variance are those of the samples of all processes.

    ``torch.nn.SyncBatchNorm`` does the same on a GPU and refuses to run on a CPU.
    """

    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() < 2:
            raise ValueError(f"batch normalisation takes [N, C, ...], not {input.dim()} dimensions")

    def forward(self, input: Tensor) -> Tensor:
        if not self.training and self.running_mean is not None:
            return super().forward(input)
        axes = [0, *range(2, input.dim())]
        shape = [1, -1, *[1] * (input.dim() - 2)]
        values = input.float()
        count = torch.full([1], values.numel() / values.shape[1], device=values.device)
        sums = _Sum.apply(torch.cat([values.sum(axes), count]))
        number = sums[-1].detach()
        mean = sums[:-1] / number
        centred = values - mean.reshape(shape)
        # from the mean, not from the sum of squares, which loses digits
        variance = _Sum.apply(centred.square().sum(axes)) / number
        if self.training and self.running_mean is not None and self.running_var is not None:
            self._follow(mean.detach(), variance.detach() * number / (number - 1))
        normal = centred * (variance + self.eps).rsqrt().reshape(shape)
        if self.affine:
            normal = normal * self.weight.reshape(shape) + self.bias.reshape(shape)
        converted: Tensor = normal.to(input.dtype)
        return converted

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked += 1
        share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), share)
        self.running_var.lerp_(variance.to(self.running_var.dtype), share)


def synchronise_normalisation(model: nn.Module) -> None:
    """Let every batch normalisation of *model* see the whole batch, in place: weights and buffers are the same objects
    under the same names."""
    made: dict[int, WholeBatchNorm] = {}
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, _BatchNorm) and not isinstance(child, WholeBatchNorm):
                if id(child) not in made:
                    made[id(child)] = _whole(child)
                setattr(module, name, made[id(child)])


def _whole(norm: _BatchNorm) -> WholeBatchNorm:
    new = WholeBatchNorm(
        norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats, device="meta"
    )
    new._parameters, new._buffers, new.training = norm._parameters, norm._buffers, norm.training
    return new
