"""Steps through workers: order, failures contained, deaths blamed on the right step, nothing hangs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from prunecheck.errors import Interrupted, PluginError, StoreError
from prunecheck.runner.engine import Failure, Outcome, execute, needed
from prunecheck.runner.queue import Queue
from prunecheck.runner.worker import Bench
from prunecheck.steps.perform import STEPS
from prunecheck.store import Damaged, Store
from prunecheck.study import Step

from . import tiny

FAKES = """
import os, time
from pathlib import Path
from prunecheck.steps.perform import STEPS

def act(step, context):
    for order in step.params.get("do", []):
        if order == "die":
            os._exit(9)
        elif order == "raise":
            raise ValueError("as it was told")
        elif order == "sleep long":
            time.sleep(500)
        elif order == "die in company":
            while not Path(step.params["mark"]).exists():
                time.sleep(0.01)
            os._exit(9)
        elif order == "be taken along":  # the first time
            mark = Path(step.params["mark"])
            if not mark.exists():
                mark.touch()
                time.sleep(60)
    for key in step.inputs.values():
        context.store.read(key, "result.json")
    return {"result.json": str(step.params["name"]).encode()}

STEPS["mask"] = act
"""


def fake(name: str, *inputs: Step, **params: Any) -> Step:
    """A step that writes its name, after doing what ``do`` tells it."""
    return Step("mask", {"name": name, **params}, {f"i{n}": s.key for n, s in enumerate(inputs)}, name)


def steps_of(*steps: Step) -> dict[str, Step]:
    return {step.key: step for step in steps}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Workers whose mask stage is ours: a plug-in file may do anything, so ours replaces it."""
    before = dict(STEPS)
    yield Bench(tmp_path / "store", None, (Path(tiny.plugin(tmp_path, FAKES)),))
    STEPS.update(before)


Go = Callable[..., Outcome]


@pytest.fixture(params=[1, 2], ids=["in this process", "two workers"])
def go(request: pytest.FixtureRequest, bench: Bench) -> Go:
    return lambda *steps: execute(steps_of(*steps), bench, request.param, lambda _: 1.0)


def names(steps: list[Step]) -> set[str]:
    return {step.title for step in steps}


def reasons(outcome: Outcome) -> dict[str, str]:
    return {failure.step.title: failure.reason for failure in outcome.failures}


def test_inputs_come_first_and_everything_is_committed(go: Go, bench: Bench) -> None:
    a = fake("a")
    b, c = fake("b", a), fake("c", a)
    d = fake("d", b, c)
    outcome = go(a, b, c, d)
    assert names(outcome.done) == {"a", "b", "c", "d"}
    assert not outcome.failures
    assert [Store.open(bench.store).read(s.key, "result.json") for s in (a, d)] == [b"a", b"d"]
    order = [step.title for step in outcome.done]
    assert order.index("a") < order.index("b") < order.index("d")


def test_a_step_that_fails_takes_only_what_needs_it_along(go: Go) -> None:
    a, bad = fake("a"), fake("bad", do=["raise"])
    outcome = go(a, bad, fake("child", bad, a), fake("grandchild", fake("child", bad, a)), fake("other", a))
    assert names(outcome.done) == {"a", "other"}
    assert reasons(outcome) == {"bad": "ValueError: as it was told"}


def test_a_step_that_needs_two_failed_ones_is_given_up_once(go: Go) -> None:
    """Counted twice, it would leave the engine waiting for ever."""
    left, right = fake("left", do=["raise"]), fake("right", do=["raise"])
    outcome = go(left, right, fake("both", left, right), fake("alone"))
    assert names(outcome.done) == {"alone"}
    assert set(reasons(outcome)) == {"left", "right"}


def test_the_step_that_kills_its_workers_is_given_up_and_no_other(bench: Bench, tmp_path: Path) -> None:
    """The innocent step runs whenever the killer does: a count of deaths alone would condemn both."""
    mark = str(tmp_path / "mark")
    killer = fake("killer", do=["die in company"], mark=mark)
    victim = fake("victim", do=["be taken along"], mark=mark)
    others = [fake(f"other {n}") for n in range(3)]
    everything = steps_of(killer, victim, *others, fake("child", killer))
    outcome = execute(everything, bench, 2, lambda step: {"killer": 9.0, "victim": 8.0}.get(step.title, 1.0))
    assert names(outcome.done) == {"victim", "other 0", "other 1", "other 2"}
    assert reasons(outcome) == {"killer": "its worker process died twice (killed, or out of memory)"}


def test_several_killers_among_many(bench: Bench) -> None:
    steps = [fake(f"{n}", do=["die"] if n % 3 == 0 else []) for n in range(7)]
    outcome = execute(steps_of(*steps), bench, 2, lambda _: 1.0)
    assert names(outcome.done) == {"1", "2", "4", "5"}
    assert set(reasons(outcome)) == {"0", "3", "6"}


def test_what_is_done_already_is_not_done_again(bench: Bench) -> None:
    a = fake("a")
    b = fake("b", a)
    store = Store.open(bench.store)
    store.commit(a.key, {"result.json": b"by somebody else"})
    assert needed(steps_of(a, b), {b.key}, store) == {b.key: b}
    execute(steps_of(a, b), bench, 1, lambda _: 1.0)  # asked for all the same
    assert store.read(a.key, "result.json") == b"by somebody else"
    assert needed(steps_of(a, b), {b.key}, store) == {}


def test_needed_stops_at_what_is_there() -> None:
    class Held:
        def missing(self, keys: list[str]) -> set[str]:
            return set(keys) - {middle.key}

    root = fake("root")
    middle = fake("middle", root)
    target = fake("target", middle)
    everything = steps_of(root, middle, target, fake("not asked for"))
    assert names(list(needed(everything, {target.key}, Held()).values())) == {"target"}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("error", "ends"),
    [
        (StoreError("disk full"), True),
        (Interrupted("stop"), True),
        (Damaged("an input was damaged"), False),
        (PluginError("a method gave NaN"), False),
        (ValueError("x\x1b[2J"), False),
        (SystemExit(0), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_ends_a_run_and_what_only_a_step(
    error: BaseException, ends: bool, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(step: Step, _: object) -> dict[str, bytes]:
        if step.title == "bad":
            raise error
        return {"result.json": b""}

    monkeypatch.setitem(STEPS, "compare", fail)
    every = steps_of(*(Step("compare", {"n": n}, title=title) for n, title in enumerate(("bad", "good"))))
    if ends:
        with pytest.raises(type(error)):
            execute(every, bench, 1, lambda s: {"bad": 2.0}.get(s.title, 1.0))
        return
    outcome = execute(every, bench, 1, lambda s: {"bad": 2.0}.get(s.title, 1.0))
    (failure,) = outcome.failures
    assert names(outcome.done) == {"good"}
    assert failure.damaged is isinstance(error, Damaged)
    assert "\x1b" not in failure.reason


def test_a_failure_says_what_happened_in_plain_words(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> dict[str, bytes]:
        raise PluginError("method 'mine': 3 of 9 scores of fc are NaN or infinite.")

    monkeypatch.setitem(STEPS, "compare", fail)
    step = Step("compare", {})
    outcome = execute(steps_of(step), bench, 1, lambda _: 1.0)
    assert outcome.failures == [Failure(step, "method 'mine': 3 of 9 scores of fc are NaN or infinite.")]


@pytest.mark.slow
def test_an_interrupted_run_can_be_followed_by_another(bench: Bench) -> None:
    def interrupt(_step: Step, _seconds: float) -> None:
        raise KeyboardInterrupt

    first, second, third = fake("first"), fake("second", do=["sleep long"]), fake("third")
    with pytest.raises(KeyboardInterrupt):
        execute(steps_of(first, second), bench, 2, lambda step: {"first": 1.0}.get(step.title, 2.0), interrupt)
    assert Store.open(bench.store).has(first.key)
    assert names(execute(steps_of(third), bench, 2, lambda _: 1.0).done) == {"third"}


def test_the_longest_chain_goes_first() -> None:
    short, long = fake("short"), fake("long")
    tail = fake("tail", long)
    queue = Queue(steps_of(short, long, tail), lambda s: {"short": 3.0, "long": 1.0, "tail": 5.0}[s.title])
    assert [queue.take() for _ in range(3)] == [long, short, None]
    queue.done(long)
    assert queue.take() == tail
    queue.done(tail)
    assert queue.open
    queue.done(short)
    assert not queue.open


def test_the_caller_gets_his_threads_and_settings_back(bench: Bench) -> None:
    torch.set_num_threads(2)
    strict = torch.get_deterministic_debug_mode()
    execute(steps_of(fake("a")), bench, 1, lambda _: 1.0)
    assert torch.get_num_threads() == 2
    assert torch.get_deterministic_debug_mode() == strict
    before = dict(os.environ)
    execute(steps_of(fake("b")), bench, 2, lambda _: 1.0)
    assert dict(os.environ) == before
