"""Ratios from arms that took turns: A B A B …, each round one ratio, rounds with foreign work thrown away."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks import quiet

MOST_ROUNDS = 60
ENOUGH_CLEAN = 3


@dataclass(frozen=True)
class Round:
    """One turn of every arm: seconds per unit of work, and whether others were busy meanwhile."""

    seconds: Mapping[str, float]
    dirty: bool


@dataclass(frozen=True)
class Ratio:
    """Median and range of the rounds used, how many of all rounds those are, and whether they were clean."""

    median: float
    low: float
    high: float
    used: int
    rounds: int
    clean: bool


def take_turns(arms: Mapping[str, Callable[[], float]], seconds: float) -> list[Round]:
    """Rounds until *seconds* have passed, at least one. An arm works one turn and returns its seconds per unit."""
    rounds: list[Round] = []
    end = time.monotonic() + seconds
    while not rounds or (time.monotonic() < end and len(rounds) < MOST_ROUNDS):
        taken, dirty = {}, False
        for name, turn in arms.items():
            before = quiet.read()
            taken[name] = turn()
            dirty |= quiet.is_dirty(quiet.foreign_cores(before, quiet.read()))
        rounds.append(Round(taken, dirty))
    return rounds


def ratio(rounds: Sequence[Round], slow: str, fast: str) -> Ratio:
    """Seconds of *slow* over seconds of *fast*, round by round. Where too few rounds were clean, all are used and the
    ratio says so."""
    clean = [one for one in rounds if not one.dirty]
    enough = len(clean) >= min(ENOUGH_CLEAN, len(rounds))
    used = clean if enough else rounds
    values = [one.seconds[slow] / one.seconds[fast] for one in used]
    return Ratio(median(values), min(values), max(values), len(used), len(rounds), enough)


def typical_ms(rounds: Sequence[Round], name: str) -> float:
    """Median milliseconds of one unit of an arm, clean rounds first."""
    clean = [one for one in rounds if not one.dirty] or rounds
    return 1000 * median(one.seconds[name] for one in clean)


def timed(work: Callable[[], object], repeats: int = 1) -> Callable[[], float]:
    """An arm in this process: *work* done *repeats* times a turn."""

    def turn() -> float:
        begun = time.perf_counter()
        for _ in range(repeats):
            work()
        return (time.perf_counter() - begun) / repeats

    return turn
