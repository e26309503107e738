"""Which step runs next: inputs first, then the step with the longest chain of work behind it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from heapq import heappop, heappush

from prunecheck.study.step import Step, can_train_together


class Queue:
    """*steps* in topological order; ``seconds(step)`` estimates how long a step takes. Ready steps are in a heap, since
    a study may have 10^5 of them."""

    def __init__(self, steps: Mapping[str, Step], seconds: Callable[[Step], float]) -> None:
        self._steps = dict(steps)
        # Inputs that are not among the steps are in the store already.
        self._waiting = {k: {p for p in s.inputs.values() if p in steps} for k, s in steps.items()}
        self._children: dict[str, list[str]] = {key: [] for key in steps}
        for key, parents in self._waiting.items():
            for parent in parents:
                self._children[parent].append(key)
        self._chain: dict[str, float] = {}
        # Backwards, so that the chains behind a step are known before its own.
        for key in reversed(list(steps)):
            behind = max((self._chain[child] for child in self._children[key]), default=0.0)
            self._chain[key] = seconds(steps[key]) + behind
        self._open = set(steps)
        self._ready: list[tuple[float, str]] = []
        for key, parents in self._waiting.items():
            if not parents:
                self._offer(key)

    @property
    def open(self) -> bool:
        """Whether there are steps that are neither done nor given up."""
        return bool(self._open)

    def take(self) -> Step | None:
        """The ready step with the longest chain behind it; None where none is ready."""
        return self._steps[heappop(self._ready)[1]] if self._ready else None

    def take_like(self, step: Step, most: int) -> list[Step]:
        """Up to *most* ready steps that can be trained together with *step*, those with long chains first."""
        found: list[Step] = []
        others = []
        while self._ready and len(found) < most:
            entry = heappop(self._ready)
            other = self._steps[entry[1]]
            if can_train_together(step, other):
                found.append(other)
            else:
                others.append(entry)
        for entry in others:
            heappush(self._ready, entry)
        return found

    def put_back(self, step: Step) -> None:
        """*step*, which was taken, is ready again."""
        self._offer(step.key)

    def done(self, step: Step) -> None:
        """*step*, which was taken, is finished: steps that waited for it alone become ready."""
        self._open.discard(step.key)
        for child in self._children[step.key]:
            self._waiting[child].discard(step.key)
            if not self._waiting[child]:
                self._offer(child)

    def drop(self, step: Step) -> None:
        """Give up *step*, which was taken, and all steps that need it."""
        todo = [step.key]
        while todo:
            key = todo.pop()
            # It may have been given up already, with another of its inputs.
            if key in self._open:
                self._open.discard(key)
                todo += self._children[key]

    def _offer(self, key: str) -> None:
        # heapq gives the smallest first, so the length is negative; the key makes the order of equal ones reproducible.
        heappush(self._ready, (-self._chain[key], key))
