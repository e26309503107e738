"""Which step comes next: inputs first, then the longest remaining chain; tiny trainings several at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from heapq import heappop, heappush

from prunecheck.runner.bundles import BUNDLE, bundle_name
from prunecheck.study.step import Step

Entry = tuple[float, str, int]
"""(minus the length of the chain, key, how often the key had been offered before)"""


class Queue:
    """Steps that are ready are kept in heaps: one of all, and one of each kind that may be trained together."""

    def __init__(self, steps: Mapping[str, Step], seconds: Callable[[Step], float]) -> None:
        self._steps = dict(steps)
        self._waiting = {k: {p for p in s.inputs.values() if p in steps} for k, s in steps.items()}
        self._children: dict[str, list[str]] = {key: [] for key in steps}
        for key, parents in self._waiting.items():
            for parent in parents:
                self._children[parent].append(key)
        self._length: dict[str, float] = {}
        for key in reversed(list(steps)):
            below = max((self._length[child] for child in self._children[key]), default=0.0)
            self._length[key] = seconds(steps[key]) + below
        self._bundles = {key: name for key, step in steps.items() if (name := bundle_name(step)) is not None}
        self._open = set(steps)
        self._offered: dict[str, int] = {}
        self._ready: dict[str, int] = {}
        self._heap: list[Entry] = []
        self._alike: dict[str, list[Entry]] = {}
        for key, parents in self._waiting.items():
            if not parents:
                self._offer(key)

    @property
    def open(self) -> bool:
        """Whether there are steps neither done nor given up."""
        return bool(self._open)

    def take(self, workers: int) -> list[Step]:
        """The most urgent step, with others that may be trained together with it as long as there is enough left for
        all *workers*; nothing where none is ready."""
        room = min(BUNDLE, len(self._ready) // workers)
        first = self._next(self._heap)
        if first is None:
            return []
        keys = [first]
        alike = self._alike.get(self._bundles.get(first, ""), [])
        while len(keys) < room and (key := self._next(alike)) is not None:
            keys.append(key)
        return [self._steps[key] for key in keys]

    def put_back(self, step: Step) -> None:
        """To be offered again, alone."""
        self._bundles.pop(step.key, None)
        self._offer(step.key)

    def done(self, step: Step) -> None:
        self._open.discard(step.key)
        for child in self._children[step.key]:
            self._waiting[child].discard(step.key)
            if not self._waiting[child]:
                self._offer(child)

    def drop(self, step: Step) -> None:
        """Give up a step and all that needs it."""
        doomed = {step.key}
        todo = [step.key]
        while todo:
            for child in self._children[todo.pop()]:
                if child not in doomed:
                    doomed.add(child)
                    todo.append(child)
        self._open -= doomed
        for key in doomed:
            self._ready.pop(key, None)

    def _offer(self, key: str) -> None:
        time = self._offered.get(key, 0)
        self._offered[key], self._ready[key] = time + 1, time
        entry = -self._length[key], key, time
        heappush(self._heap, entry)
        if key in self._bundles:
            heappush(self._alike.setdefault(self._bundles[key], []), entry)

    def _next(self, heap: list[Entry]) -> str | None:
        """The most urgent key of *heap* that is still ready as it was when it was put there."""
        while heap:
            _, key, time = heappop(heap)
            if self._ready.get(key) == time:
                del self._ready[key]
                return key
        return None
