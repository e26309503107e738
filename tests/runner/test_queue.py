"""The order of steps against a naive queue that searches all steps every time."""

from __future__ import annotations

import random

import pytest

from prunecheck.runner.queue import Queue
from prunecheck.study.step import Step


def steps_of(rng: random.Random, count: int) -> dict[str, Step]:
    made: list[Step] = []
    for n in range(count):
        parents = rng.sample(made, min(len(made), rng.choice([0, 0, 1, 2])))
        inputs = {str(i): parent.key for i, parent in enumerate(parents)}
        made.append(Step("compare", {"n": n}, inputs, title=str(n), cost_units=float(rng.randint(1, 5))))
    return {step.key: step for step in made}


def longest_chain(key: str, steps: dict[str, Step]) -> float:
    children = [child for child, step in steps.items() if key in step.inputs.values()]
    return steps[key].cost_units + max((longest_chain(child, steps) for child in children), default=0.0)


@pytest.mark.parametrize("seed", range(30))
def test_queue_offers_the_longest_ready_chain_like_a_naive_queue(seed: int) -> None:
    rng = random.Random(seed)
    steps = steps_of(rng, 14)
    queue = Queue(steps, lambda step: step.cost_units)
    lengths = {key: longest_chain(key, steps) for key in steps}
    done: set[str] = set()
    gone: set[str] = set()
    taken: set[str] = set()
    while queue.open:
        ready = {k for k, s in steps.items() if k not in taken | gone and done.issuperset(s.inputs.values())}
        step = queue.take()
        if not ready:
            assert step is None
        else:
            assert step is not None
            assert step.key in ready
            assert lengths[step.key] == max(lengths[key] for key in ready)
            taken.add(step.key)
        if taken - done - gone and (not ready or rng.random() < 0.7):
            chosen = steps[rng.choice(sorted(taken - done - gone))]
            fate = rng.random()
            if fate < 0.15:
                queue.drop(chosen)
                gone |= below(chosen.key, steps)
            else:
                queue.done(chosen)
                done.add(chosen.key)
    assert done | gone == set(steps)


def below(key: str, steps: dict[str, Step]) -> set[str]:
    """A step and all that needs it."""
    children = [child for child, step in steps.items() if key in step.inputs.values()]
    return {key}.union(*(below(child, steps) for child in children))


def test_ten_thousand_ready_steps_are_offered_once_each() -> None:
    steps = {step.key: step for step in (Step("compare", {"n": n}) for n in range(10_000))}
    queue = Queue(steps, lambda _: 1.0)
    offered = [step.key for _ in steps if (step := queue.take()) is not None]
    assert sorted(offered) == sorted(steps)
    assert queue.take() is None
