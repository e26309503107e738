"""A GPU simulated on the CPU: it records the operations of a call and replays these alone, as a CUDA graph does.

Python's control flow and every number that came from the host are thereby fixed at what they were when the call was
recorded, and reading a number from a tensor fails.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from prunecheck.training.recorded import Call


class OutOfMemory(RuntimeError):
    """More was asked for than the simulated device has."""


@dataclass
class FakeGpu:
    """``capacity``: how many steps can be held in recordings at a time. ``cost(k)``: seconds of a replay of k steps;
    None measures."""

    capacity: int = 1000
    cost: Callable[[int], float] | None = None
    recordings: list[int] = field(default_factory=list)
    """for every recording made: how many calls were beside each other"""
    replayed: int = 0
    _sizes: dict[int, int] = field(default_factory=dict)
    bytes_per_step: int = 100
    _held: int = 0

    def run(self, call: Call) -> None:
        with _Operations():
            call()

    def record(self, rounds: Sequence[Sequence[Call]]) -> list[Call]:
        self._held = self.bytes_per_step * len(rounds[0])
        if len(rounds[0]) > self.capacity:
            raise OutOfMemory("out of memory")
        return [self._recorded(calls) for calls in rounds]

    def _recorded(self, calls: Sequence[Call]) -> Call:
        operations = _Operations()
        # A real recording computes nothing; this one does, and has to undo it.
        changed = [tensor for call in calls for tensor in call.func.changed()]  # type: ignore[attr-defined]
        before = [tensor.clone() for tensor in changed]
        with operations:
            for call in calls:
                call()
        with torch.no_grad():
            for tensor, old in zip(changed, before, strict=True):
                tensor.copy_(old)
        self.recordings.append(len(calls))

        def replay() -> None:
            self.replayed += 1
            operations.replay()

        self._sizes[id(replay)] = len(calls)
        return replay

    def seconds(self, replay: Call, times: int) -> float:
        begun = time.perf_counter()
        for _ in range(times):
            replay()
        return self.cost(self._sizes[id(replay)]) * times if self.cost else time.perf_counter() - begun

    def free_bytes(self) -> int:
        return self.capacity * self.bytes_per_step

    def held_bytes(self) -> int:
        return self._held

    def is_out_of_memory(self, error: BaseException) -> bool:
        return isinstance(error, OutOfMemory)


class _Operations(TorchDispatchMode):
    """All operations within the block, the backward pass included, with the tensors they read and wrote."""

    def __init__(self) -> None:
        super().__init__()
        self._all: list[tuple[Any, tuple[Any, ...], dict[str, Any], Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten._local_scalar_dense.default:
            raise RuntimeError("called a synchronizing operation")
        result = func(*args, **(kwargs or {}))
        self._all.append((func, args, kwargs or {}, result))
        return result

    @torch.no_grad()
    def replay(self) -> None:
        for func, args, kwargs, result in self._all:
            returns = func._schema.returns
            if func.is_view:
                continue  # the recorded view shows the new content
            again = func(*args, **kwargs)
            for old, new, one in zip(tree_leaves(result), tree_leaves(again), returns, strict=False):
                if isinstance(old, torch.Tensor) and one.alias_info is None and old.data_ptr() != new.data_ptr():
                    old.copy_(new)
