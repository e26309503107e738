"""Durations of finished steps, for estimates. Stored beside the artefacts, not in them, because artefacts are equal bit
for bit in every run and times are not.
"""

from __future__ import annotations

import json
import math
from collections import deque
from statistics import median

from prunecheck.store import durable
from prunecheck.store.store import Store

LATEST = 50
"""number of latest times of a cost class that are used"""
_LIMIT = 1 << 30


class Timings:
    """The lines of ``timings.jsonl``: ``{"class": …, "key": …, "seconds": …}``. Damaged lines are skipped."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._path = store.root / "timings.jsonl"

    def record(self, cost_class: str, seconds: float, key: str) -> None:
        """Note that the step *key*, one of *cost_class*, took *seconds* (finite, not negative)."""
        if not 0 <= seconds < math.inf:
            raise ValueError(f"seconds must be finite and not negative, not {seconds}")
        line = json.dumps({"class": cost_class, "key": key, "seconds": round(seconds, 6)})
        with self._store.writing():
            durable.append_line(self._path, line.encode())

    def typical(self, cost_class: str) -> float | None:
        """The median of the latest times of *cost_class*, in seconds; None if there are none."""
        return self.all_typical().get(cost_class)

    def all_typical(self) -> dict[str, float]:
        """``typical`` of every cost class, from a single reading of the file."""
        latest: dict[str, deque[float]] = {}
        for line in (durable.read_file(self._path, limit=_LIMIT) or b"").splitlines():
            if (parsed := _parse(line)) is not None:
                cost_class, seconds = parsed
                latest.setdefault(cost_class, deque(maxlen=LATEST)).append(seconds)
        return {cost_class: median(times) for cost_class, times in latest.items()}


def _parse(line: bytes) -> tuple[str, float] | None:
    try:
        row = json.loads(line)
        cost_class, seconds = row["class"], row["seconds"]
    except (ValueError, TypeError, LookupError, RecursionError):
        return None
    if not isinstance(cost_class, str) or type(seconds) not in (int, float) or not 0 <= seconds < math.inf:
        return None
    return cost_class, float(seconds)
