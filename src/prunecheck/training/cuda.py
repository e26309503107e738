"""Recording on a CUDA device by CUDA graphs: see :class:`prunecheck.training.recorded.Gpu`."""

from __future__ import annotations

import time
from collections.abc import Sequence

import torch

from prunecheck.training.recorded import Call


class CudaGpu:
    """The current CUDA device."""

    def __init__(self) -> None:
        self._side = _stream()
        self._streams: list[torch.cuda.Stream] = []

    def run(self, call: Call) -> None:
        # Beside the default stream, as it will be recorded: libraries choose workspaces for every stream.
        current = torch.cuda.current_stream()
        self._side.wait_stream(current)
        torch.cuda.set_sync_debug_mode("error")
        try:
            with torch.cuda.stream(self._side):
                call()
        finally:
            torch.cuda.set_sync_debug_mode("default")
            current.wait_stream(self._side)

    def record(self, rounds: Sequence[Sequence[Call]]) -> list[Call]:
        current = torch.cuda.current_stream()
        while len(self._streams) < max(map(len, rounds)):
            self._streams.append(_stream())
        # One pool for all rounds: they are replayed one after the other, and nothing in it outlives a replay.
        pool = torch.cuda.graph_pool_handle()
        graphs = []
        try:
            for calls in rounds:
                graphs.append(torch.cuda.CUDAGraph())
                with torch.cuda.graph(graphs[-1], pool=pool):
                    self._side_by_side(calls)
        finally:
            torch.cuda.set_stream(current)  # torch stays on the stream of a recording that failed
        return [graph.replay for graph in graphs]

    def _side_by_side(self, calls: Sequence[Call]) -> None:
        main = torch.cuda.current_stream()
        for call, stream in zip(calls, self._streams, strict=False):
            stream.wait_stream(main)
            with torch.cuda.stream(stream):
                call()
        for _, stream in zip(calls, self._streams, strict=False):
            main.wait_stream(stream)

    def seconds(self, replay: Call, times: int) -> float:
        replay()
        torch.cuda.synchronize()
        begun = time.perf_counter()
        for _ in range(times - 1):
            replay()
        torch.cuda.synchronize()
        # The first replay, which loads kernels, is not timed.
        return (time.perf_counter() - begun) * times / max(times - 1, 1)

    def free_bytes(self) -> int:
        free: int = torch.cuda.mem_get_info()[0]
        return free + torch.cuda.memory_reserved() - torch.cuda.memory_allocated()

    def held_bytes(self) -> int:
        return int(torch.cuda.memory_reserved())

    def is_out_of_memory(self, error: BaseException) -> bool:
        return isinstance(error, torch.OutOfMemoryError)


def _stream() -> torch.cuda.Stream:
    return torch.cuda.Stream()  # type: ignore[no-untyped-call]
