"""When a mask is updated during training, and how much of it."""

from __future__ import annotations

import math
from typing import Any

import pytest

from prunecheck.errors import PluginError
from prunecheck.pruning.schedule import SCHEDULE_OPTIONS, Schedule


def test_defaults_are_those_of_rigl() -> None:
    assert SCHEDULE_OPTIONS == {"every": 100, "until": 0.75, "drop": 0.3, "decay": "cosine"}


def test_updates_come_at_multiples_of_every_until_the_end_of_the_schedule() -> None:
    schedule = Schedule(every=4, until=0.5)
    assert [step for step in range(30) if schedule.is_due(step, 24)] == [0, 4, 8]
    assert [step for step in range(30) if schedule.is_due(step, 25)] == [0, 4, 8, 12]


@pytest.mark.parametrize("until", [0.1, 0.29, 0.5, 0.75, 1.0])
def test_number_of_updates_is_that_of_the_steps_that_are_due(until: float) -> None:
    for every in (1, 4, 7, 100):
        schedule = Schedule(every=every, until=until)
        for steps in (1, 10, 96, 100, 192):
            assert schedule.updates(steps) == sum(schedule.is_due(step, steps) for step in range(steps))


def test_dropped_fraction_follows_the_papers_cosine() -> None:
    """Evci et al. 2020, section 3 (2): f_decay(t; alpha, T_end) = alpha / 2 * (1 + cos(t * pi / T_end))."""
    schedule, steps = Schedule(drop=0.3, until=0.75), 400
    for t in range(0, 300, 20):
        assert schedule.fraction(t, steps) == pytest.approx(0.3 / 2 * (1 + math.cos(t * math.pi / 300)), abs=1e-15)
    assert schedule.fraction(0, steps) == 0.3
    assert schedule.fraction(150, steps) == pytest.approx(0.15)


def test_constant_fraction() -> None:
    schedule = Schedule(drop=0.2, decay="constant")
    assert {schedule.fraction(t, 400) for t in (0, 100, 299)} == {0.2}


def test_options_that_are_no_part_of_the_schedule_are_ignored() -> None:
    assert Schedule.of({"every": 7, "temperature": 3}) == Schedule(every=7)


@pytest.mark.parametrize(
    "options",
    [
        {"every": 0},
        {"every": 2.5},
        {"every": True},
        {"until": 0},
        {"until": 1.01},
        {"until": math.nan},
        {"drop": -0.1},
        {"drop": "a third"},
        {"drop": True},
        {"decay": "linear"},
    ],
)
def test_impossible_schedules_are_refused(options: dict[str, Any]) -> None:
    (name,) = options
    with pytest.raises(PluginError, match=f"^{name} = "):
        Schedule.of(options)
