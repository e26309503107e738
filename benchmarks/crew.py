"""Processes that wait for orders: they are started once, so that no turn pays for starting."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any

Turns = Mapping[str, Callable[[], None]]
Maker = Callable[..., Turns]

PATIENCE_SECONDS = 20.0


class Crew:
    """*size* processes, each with the turns that ``make(*arguments)`` returns; all of them work at the same time."""

    def __init__(self, size: int, make: Maker, *arguments: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self._lines: list[Connection] = []
        self._processes: list[multiprocessing.process.BaseProcess] = []
        for _ in range(size):
            here, there = context.Pipe()
            process = context.Process(target=_serve, args=(there, make, arguments))
            process.start()
            there.close()
            self._lines.append(here)
            self._processes.append(process)

    def wait(self) -> None:
        """Until everyone is ready, so that no one starts up while others are timed."""
        for line in self._lines:
            line.recv()

    def turn(self, name: str) -> float:
        """Everyone does the turn *name*; the seconds until the last has finished."""
        begun = time.perf_counter()
        for line in self._lines:
            line.send(name)
        for line in self._lines:
            line.recv()
        return time.perf_counter() - begun

    def cpu_seconds(self, name: str) -> float:
        """All processes do the turn *name*; the CPU seconds of all of them, without those of their own processes."""
        for line in self._lines:
            line.send(name)
        return float(sum(line.recv() for line in self._lines))

    def close(self) -> None:
        for line in self._lines:
            line.close()
        for process in self._processes:
            process.join(PATIENCE_SECONDS)
            if process.is_alive():
                process.terminate()
                process.join()

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


def _serve(line: Connection, make: Maker, arguments: tuple[Any, ...]) -> None:
    try:
        turns = make(*arguments)
        line.send("ready")
        while True:
            work = turns[line.recv()]
            begun = time.process_time()
            work()
            line.send(time.process_time() - begun)
    except EOFError:  # the other end is closed: no more orders
        pass
