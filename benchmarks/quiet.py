"""How many cores others used while a sample was taken. Known on Linux, from /proc; None elsewhere."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

LIMIT = 0.15
"""cores; a sample during which others used more is thrown away"""


@dataclass(frozen=True)
class Reading:
    """Seconds since some start: ``wall``, ``busy`` of all cores together, ``ours`` of this process and all below."""

    wall: float
    busy: float
    ours: float


def read() -> Reading | None:
    try:
        return Reading(time.monotonic(), _busy(), _ours())
    except (OSError, ValueError, AttributeError, IndexError):
        return None


def foreign_cores(before: Reading | None, after: Reading | None) -> float | None:
    """Cores that others used on average between two readings, stolen time of a virtual machine included."""
    if before is None or after is None or after.wall <= before.wall:
        return None
    foreign = (after.busy - before.busy) - (after.ours - before.ours)
    return max(0.0, foreign / (after.wall - before.wall))


def is_dirty(foreign: float | None) -> bool:
    return foreign is not None and foreign > LIMIT


def _busy() -> float:
    with Path("/proc/stat").open() as file:
        user, nice, system, _idle, _wait, irq, soft, steal = map(int, file.readline().split()[1:9])
    return (user + nice + system + irq + soft + steal) / os.sysconf("SC_CLK_TCK")


def _ours() -> float:
    """User and system time of this process and its descendants, ended and collected ones included."""
    parents, ticks = {}, {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:  # ended meanwhile
                continue
            pid = int(entry.name)
            parents[pid] = int(fields[1])
            ticks[pid] = sum(map(int, fields[11:15]))
    mine = {os.getpid()}
    todo = [os.getpid()]
    while todo:
        children = [pid for pid, parent in parents.items() if parent == todo[-1] and pid not in mine]
        todo.pop()
        mine.update(children)
        todo += children
    return sum(ticks.get(pid, 0) for pid in mine) / os.sysconf("SC_CLK_TCK")
