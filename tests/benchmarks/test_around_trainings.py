"""What the benchmarks beside the training loop count and measure."""

from __future__ import annotations

import numpy as np
from benchmarks.planning import judged, made_up_rows, plan
from benchmarks.resident import extra_mib
from benchmarks.scores import QUICK, works_of
from benchmarks.settled_study import DEMO, steps_alone

from prunecheck.study import load_study


def test_plan_has_about_the_requested_number_of_steps() -> None:
    steps, seconds, _ = plan(2_400)
    assert 2_000 < steps < 3_000
    assert seconds > 0


def test_synthetic_rows_are_judged_and_drawn() -> None:
    rows, seconds, _ = judged(300)
    assert rows == len(made_up_rows(3)) == 3 * (1 + 6 * 4 * 4)
    assert seconds > 0


def test_one_arm_at_a_time_repeats_its_shared_trainings() -> None:
    """10 seeds: dense 1; the rewinder 2 in each of 4 arms; the others 1 in each of their arms."""
    one = {**DEMO, "methods": ["lr_rewinding"], "checks": ["layerwise_rearrange"], "controls": []}
    assert steps_alone(load_study(one))[0] == 10 * (1 + 2 + 2)
    more = {**one, "methods": ["lr_rewinding", "snip"], "checks": ["layerwise_rearrange", "corrupted_data"]}
    assert steps_alone(load_study(more))[0] == 10 * (1 + 3 * 2 + 3 * 1)


def test_peak_memory_is_reported_after_it_was_freed() -> None:
    def work() -> None:
        np.ones(64 << 20, np.uint8).sum()  # larger than what malloc takes from memory that was freed before

    assert not extra_mib(work) < 60  # nan where the system does not tell


def test_scores_benchmark_times_a_step_and_three_methods() -> None:
    works = works_of(QUICK[0])
    assert [name.split(",")[0] for name in works] == ["step", "snip", "grasp", "synflow"]
    for name in ("step", "snip"):
        works[name]()
