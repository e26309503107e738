"""Steps through workers: order, failures contained, deaths blamed on the right step, nothing hangs."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from prunecheck.errors import Interrupted, PluginError, StoreError
from prunecheck.runner.engine import Failure, Outcome, execute, needed
from prunecheck.runner.processes import Worker, Workers
from prunecheck.runner.queue import Queue
from prunecheck.runner.worker import WorkerConfig
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
            os.kill(os.getpid(), 9)
        elif order == "crash":
            os.kill(os.getpid(), 11)
        elif order == "fail once":
            if not Path(step.params["mark"]).exists():
                Path(step.params["mark"]).touch()
                raise eval(step.params["error"])
        elif order == "raise":
            raise ValueError("as it was told")
        elif order == "sleep long":
            time.sleep(500)
        elif order == "die beside another":
            begun, dead = (Path(step.params["mark"] + end) for end in (" begun", " dead"))
            while not begun.exists() and not dead.exists():
                time.sleep(0.01)
            dead.touch()
            os.kill(os.getpid(), 9)
        elif order == "outlive another":
            with open(step.params["mark"] + " begun", "a") as begun:
                begun.write("once ")
            while not Path(step.params["mark"] + " dead").exists():
                time.sleep(0.01)
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
def config(tmp_path: Path) -> Iterator[WorkerConfig]:
    """Workers whose mask stage is ours: a plug-in file may do anything, so ours replaces it."""
    before = dict(STEPS)
    yield WorkerConfig(tmp_path / "store", None, (Path(tiny.plugin(tmp_path, FAKES)),))
    STEPS.update(before)


Go = Callable[..., Outcome]


@pytest.fixture(params=[1, 2], ids=["in this process", "two workers"])
def go(request: pytest.FixtureRequest, config: WorkerConfig) -> Go:
    return lambda *steps: execute(steps_of(*steps), config, request.param, lambda _: 1.0)


def names(steps: list[Step]) -> set[str]:
    return {step.title for step in steps}


def reasons(outcome: Outcome) -> dict[str, str]:
    return {failure.step.title: failure.reason for failure in outcome.failures}


def test_inputs_come_first_and_everything_is_committed(go: Go, config: WorkerConfig) -> None:
    a = fake("a")
    b, c = fake("b", a), fake("c", a)
    d = fake("d", b, c)
    outcome = go(a, b, c, d)
    assert names(outcome.done) == {"a", "b", "c", "d"}
    assert not outcome.failures
    assert [Store.open(config.store).read(s.key, "result.json") for s in (a, d)] == [b"a", b"d"]
    order = [step.title for step in outcome.done]
    assert order.index("a") < order.index("b") < order.index("d")


@pytest.mark.parametrize("workers", [1, 2])
def test_the_steps_under_way_are_reported_until_there_are_none(config: WorkerConfig, workers: int) -> None:
    a = fake("a")
    b, c = fake("b", a), fake("c", a)
    seen: list[set[str]] = []
    execute(steps_of(a, b, c), config, workers, lambda _: 1.0, running=lambda steps: seen.append(names(list(steps))))
    assert seen[0] == {"a"}
    assert ({"b", "c"} in seen) == (workers == 2)
    assert {name for step in seen for name in step} == {"a", "b", "c"}
    assert seen[-1] == set()


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


def test_only_the_step_that_kills_its_worker_is_given_up(config: WorkerConfig, tmp_path: Path) -> None:
    """The step beside it is not disturbed and runs once."""
    mark = str(tmp_path / "mark")
    killer = fake("killer", do=["die beside another"], mark=mark)
    victim = fake("victim", do=["outlive another"], mark=mark)
    others = [fake(f"other {n}") for n in range(3)]
    everything = steps_of(killer, victim, *others, fake("child", killer))
    outcome = execute(everything, config, 2, lambda step: {"killer": 9.0, "victim": 8.0}.get(step.title, 1.0))
    assert names(outcome.done) == {"victim", "other 0", "other 1", "other 2"}
    assert reasons(outcome) == {"killer": "its worker process died twice (killed, or out of memory)"}
    assert Path(mark + " begun").read_text() == "once "


def test_several_killers_among_many(config: WorkerConfig) -> None:
    steps = [fake(f"{n}", do=["die"] if n % 3 == 0 else []) for n in range(7)]
    outcome = execute(steps_of(*steps), config, 2, lambda _: 1.0)
    assert names(outcome.done) == {"1", "2", "4", "5"}
    assert set(reasons(outcome)) == {"0", "3", "6"}


def test_what_is_done_already_is_not_done_again(config: WorkerConfig) -> None:
    a = fake("a")
    b = fake("b", a)
    store = Store.open(config.store)
    store.commit(a.key, {"result.json": b"by somebody else"})
    assert needed(steps_of(a, b), {b.key}, store) == {b.key: b}
    execute(steps_of(a, b), config, 1, lambda _: 1.0)  # asked for all the same
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
    error: BaseException, ends: bool, config: WorkerConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(step: Step, _: object) -> dict[str, bytes]:
        if step.title == "bad":
            raise error
        return {"result.json": b""}

    monkeypatch.setitem(STEPS, "compare", fail)
    every = steps_of(*(Step("compare", {"n": n}, title=title) for n, title in enumerate(("bad", "good"))))
    if ends:
        with pytest.raises(type(error)):
            execute(every, config, 1, lambda s: {"bad": 2.0}.get(s.title, 1.0))
        return
    outcome = execute(every, config, 1, lambda s: {"bad": 2.0}.get(s.title, 1.0))
    (failure,) = outcome.failures
    assert names(outcome.done) == {"good"}
    assert failure.damaged is isinstance(error, Damaged)
    assert "\x1b" not in failure.reason


def test_a_failure_says_what_happened_in_plain_words(config: WorkerConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> dict[str, bytes]:
        raise PluginError("method 'mine': 3 of 9 scores of fc are NaN or infinite.")

    monkeypatch.setitem(STEPS, "compare", fail)
    step = Step("compare", {})
    outcome = execute(steps_of(step), config, 1, lambda _: 1.0)
    assert outcome.failures == [Failure(step, "method 'mine': 3 of 9 scores of fc are NaN or infinite.")]


@pytest.mark.slow
def test_an_interrupted_run_can_be_followed_by_another(config: WorkerConfig) -> None:
    def interrupt(_step: Step, _seconds: float) -> None:
        raise KeyboardInterrupt

    first, second, third = fake("first"), fake("second", do=["sleep long"]), fake("third")
    with pytest.raises(KeyboardInterrupt):
        execute(steps_of(first, second), config, 2, lambda step: {"first": 1.0}.get(step.title, 2.0), interrupt)
    assert Store.open(config.store).has(first.key)
    assert names(execute(steps_of(third), config, 2, lambda _: 1.0).done) == {"third"}


@pytest.mark.slow
def test_second_ctrl_c_before_the_workers_are_ended_leaves_none_behind(
    config: WorkerConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    end_workers = Workers.__exit__

    def interrupted_again(workers: Workers, *raised: Any) -> None:
        signal.raise_signal(signal.SIGINT)
        end_workers(workers, *raised)

    monkeypatch.setattr(Workers, "__exit__", interrupted_again)
    first, second = fake("first"), fake("second", do=["sleep long"])
    with pytest.raises(KeyboardInterrupt):
        execute(
            steps_of(first, second),
            config,
            2,
            lambda step: {"first": 1.0}.get(step.title, 2.0),
            lambda _step, _seconds: signal.raise_signal(signal.SIGINT),
        )
    assert not multiprocessing.active_children()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.slow
def test_ctrl_c_while_a_worker_starts_leaves_none_behind(config: WorkerConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    start = Worker.start

    def interrupted(worker: Worker) -> None:
        start(worker)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Worker, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        execute(steps_of(fake("first")), config, 2, lambda _: 1.0)
    assert not multiprocessing.active_children()


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


def test_the_caller_gets_his_threads_and_settings_back(config: WorkerConfig) -> None:
    torch.set_num_threads(2)
    strict = torch.get_deterministic_debug_mode()
    execute(steps_of(fake("a")), config, 1, lambda _: 1.0)
    assert torch.get_num_threads() == 2
    assert torch.get_deterministic_debug_mode() == strict
    before = dict(os.environ)
    execute(steps_of(fake("b")), config, 2, lambda _: 1.0)
    assert dict(os.environ) == before


class OtherRun:
    """Another run on the same store: it holds the claim of one step until ``others`` steps of this run are done."""

    def __init__(self, config: WorkerConfig, step: Step, others: int, *, finishes: bool) -> None:
        self._store, self._step, self._finishes = Store.open(config.store), step, finishes
        self._left = others
        self._claim = self._store.claim(step.key)

    def watch(self, _step: Step, _seconds: float) -> None:
        self._left -= 1
        if self._left == 0:
            if self._finishes:
                self._store.commit(self._step.key, {"result.json": b"by the other run"})
            self._claim.release()


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("finishes", [True, False])
def test_a_step_that_another_run_computes_is_left_to_it_and_the_rest_goes_on(
    config: WorkerConfig, workers: int, finishes: bool
) -> None:
    theirs = fake("theirs")
    ours = [fake(f"ours {n}") for n in range(3)]
    steps = steps_of(theirs, *ours, fake("child", theirs))
    other = OtherRun(config, theirs, len(ours), finishes=finishes)
    outcome = execute(steps, config, workers, lambda s: 9.0 if s is theirs else 1.0, other.watch)
    assert names(outcome.done[:3]) == {"ours 0", "ours 1", "ours 2"}
    assert [step.title for step in outcome.done[3:]] == ["theirs", "child"]
    content = Store.open(config.store).read(theirs.key, "result.json")
    assert content == (b"by the other run" if finishes else b"theirs")


def test_a_crash_is_told_from_a_kill(config: WorkerConfig) -> None:
    outcome = execute(steps_of(fake("killed", do=["die"]), fake("crash", do=["crash"])), config, 2, lambda _: 1.0)
    assert reasons(outcome) == {
        "killed": "its worker process died twice (killed, or out of memory)",
        "crash": "its worker process died twice (crashed: SIGSEGV)",
    }


@pytest.mark.parametrize("error", ["MemoryError()", "RuntimeError('DefaultCPUAllocator: not enough memory')"])
def test_a_step_with_too_little_memory_is_tried_again_alone(config: WorkerConfig, tmp_path: Path, error: str) -> None:
    """Its memory may have been taken by the step beside it."""
    mark = str(tmp_path / "mark")
    hungry, neighbour = fake("hungry", do=["fail once"], mark=mark, error=error), fake("neighbour")
    outcome = execute(steps_of(hungry, neighbour), config, 2, lambda _: 1.0)
    assert names(outcome.done) == {"hungry", "neighbour"}
    bug = fake("bug", do=["fail once"], mark=mark + "2", error="ValueError('a bug')")
    assert reasons(execute(steps_of(bug), config, 2, lambda _: 1.0)) == {"bug": "ValueError: a bug"}
