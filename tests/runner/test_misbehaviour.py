"""Plug-ins that do what no plug-in should: no run outlives its time, and nothing of theirs gets into other results."""

from __future__ import annotations

import os
import random
import time
from contextlib import suppress
from multiprocessing import forkserver, resource_tracker
from pathlib import Path
from typing import Any

import pytest

from prunecheck.runner.engine import Outcome, execute
from prunecheck.runner.worker import WorkerConfig
from prunecheck.steps.perform import STEPS
from prunecheck.study import Step

from . import tiny
from .test_interrupting import begin

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")

ACTS = """
import atexit, concurrent.futures, multiprocessing, os, signal, subprocess, sys, threading, time
from prunecheck.errors import PluginError, StoreError

class TwoArguments(Exception):  # cannot be unpickled
    def __init__(self, a, b):
        super().__init__(f"{a}: {b}")

class Unprintable(Exception):
    def __str__(self):
        raise RuntimeError("no words")

class Base(BaseException):
    pass

class OwnKind(PluginError):
    def __init__(self, a, b):
        super().__init__(f"{a}: {b}")

class OwnUnprintable(StoreError):  # which would end the run if it were ours
    def __str__(self):
        raise RuntimeError("no words")

def raise_(error):
    raise error

def busy():
    while True:
        pass

def fork(then):
    if os.fork() == 0:
        then()

def leave_a_program():
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(500)"])

def leave_a_pool():
    pool = concurrent.futures.ThreadPoolExecutor(2)
    for _ in range(4):
        pool.submit(time.sleep, 500)

def print_much():
    print("printed by a plug-in", flush=True)
    os.write(1, b"written by a plug-in\\n")
    subprocess.run(["echo", "printed by a program of a plug-in"])

HARMLESS = {
    "print": print_much,
    "thread": lambda: threading.Thread(target=time.sleep, args=(500,)).start(),
    "busy thread": lambda: threading.Thread(target=busy).start(),
    "busy pool": leave_a_pool,
    "child": lambda: multiprocessing.get_context("fork").Process(target=time.sleep, args=(500,)).start(),
    "program": leave_a_program,
    "fork that stays": lambda: fork(lambda: (time.sleep(500), os._exit(0))),
    "fork that returns": lambda: fork(lambda: None),
    "fork that raises": lambda: fork(lambda: raise_(ValueError("in a child"))),
    "exit handler": lambda: atexit.register(time.sleep, 500),
    "deaf to signals": lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN),
    "alarm ignored": lambda: signal.signal(signal.SIGALRM, signal.SIG_IGN),
}
RAISES = {
    "two arguments": lambda: raise_(TwoArguments("a", "b")),
    "unprintable": lambda: raise_(Unprintable()),
    "a kind of ours with two arguments": lambda: raise_(OwnKind("a", "b")),
    "a kind of ours, unprintable": lambda: raise_(OwnUnprintable()),
    "base exception": lambda: raise_(Base("x")),
    "system exit": lambda: sys.exit(0),
    "generator exit": lambda: raise_(GeneratorExit()),
    "local class": lambda: raise_(type("Local", (Exception,), {})("x")),
    "long text": lambda: raise_(ValueError("x" * 10**6)),
    "recursion": lambda: (lambda f: f(f))(lambda f: f(f)),
}
INTERRUPTS = {"keyboard interrupt": lambda: raise_(KeyboardInterrupt())}
KILLS = {
    "exit 0": lambda: os._exit(0),
    "exit 255": lambda: os._exit(255),
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "abort": os.abort,
    "close everything": lambda: os.closerange(3, 256),
}
"""

ENGINE = (
    ACTS
    + """
from prunecheck.steps.perform import STEPS

EVERY = HARMLESS | RAISES | INTERRUPTS | KILLS

def act(step, context):
    for name in step.params["do"]:
        EVERY[name]()
    return {"result.json": str(step.params["name"]).encode()}

STEPS["mask"] = act
"""
)
names: dict[str, Any] = {}
exec(ACTS, names)
EXITS = ("exit 0", "exit 255")
"""os._exit, which raises SystemExit while a step runs"""


@pytest.fixture
def config(tmp_path: Path) -> WorkerConfig:
    return WorkerConfig(tmp_path / "store", None, (Path(tiny.plugin(tmp_path, ENGINE)),))


def fake(name: str, *do: str) -> Step:
    return Step("mask", {"name": name, "do": list(do)}, title=name)


def run(config: WorkerConfig, *do: str) -> Outcome:
    """Two workers, a step that misbehaves and four that do not."""
    steps = [fake("bad", *do), *(fake(f"good {n}") for n in range(4))]
    return execute({step.key: step for step in steps}, config, 2, lambda s: 2.0 if s.title == "bad" else 1.0)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("act", names["HARMLESS"])
def test_what_a_step_leaves_behind_is_ended_with_its_worker(act: str, config: WorkerConfig) -> None:
    before = living()
    outcome = run(config, act)
    assert {step.title for step in outcome.done} == {"bad", "good 0", "good 1", "good 2", "good 3"}
    wait_for_the_end_of(before)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("act", [*names["RAISES"], *names["INTERRUPTS"], *EXITS])
def test_step_that_raises_anything_fails_alone(act: str, config: WorkerConfig) -> None:
    outcome = run(config, act)
    assert {step.title for step in outcome.done} == {"good 0", "good 1", "good 2", "good 3"}
    (failure,) = outcome.failures
    assert failure.step.title == "bad"
    assert 0 < len(failure.reason) < 400
    assert failure.reason.isprintable()


@pytest.mark.parametrize("act", [*names["RAISES"], *EXITS])
def test_step_that_raises_or_exits_in_the_process_of_the_run_fails_alone(
    act: str, config: WorkerConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(STEPS, "mask", STEPS["mask"])  # the plug-in replaces it in this process
    steps = [fake("bad", act), fake("good")]
    outcome = execute({step.key: step for step in steps}, config, 1, lambda _: 1.0)
    assert [step.title for step in outcome.done] == ["good"]
    assert [failure.step.title for failure in outcome.failures] == ["bad"]
    assert outcome.failures[0].reason.isprintable()


@pytest.mark.timeout(120)
@pytest.mark.parametrize("act", sorted(set(names["KILLS"]) - set(EXITS)))
def test_step_that_kills_its_worker_fails_alone(act: str, config: WorkerConfig) -> None:
    outcome = run(config, act)
    assert {step.title for step in outcome.done} == {"good 0", "good 1", "good 2", "good 3"}
    how = {"abort": "crashed: SIGABRT", "close everything": "it exited with status 0"}.get(
        act, "killed, or out of memory"
    )
    assert [(f.step.title, f.reason) for f in outcome.failures] == [("bad", f"its worker process died twice ({how})")]


LOCKS = """
import multiprocessing
from prunecheck.pruning import method

LOCK = multiprocessing.Lock()

@method
def bad(weights):
    return {n: w.abs() for n, w in weights.items()}
"""


@pytest.mark.slow
def test_locks_of_plug_ins_in_workers_are_removed(tmp_path: Path) -> None:
    process = begin(tmp_path, 2, methods=METHODS[:2], plugins=[tiny.plugin(tmp_path, LOCKS)])
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert "leaked" not in err


def living() -> dict[int, str]:
    """Process number -> command line of every living process of this group, without those that the other processes of
    pytest-xdist have started, which are of this group too and come at any time."""
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    mark = f"PYTEST_XDIST_WORKER={worker}\0" if worker else ""
    found = {}
    for entry in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            state, _, group = (entry / "stat").read_text().rpartition(")")[2].split()[:3]
            is_ours = mark in (entry / "environ").read_text(errors="replace")
            if int(group) == os.getpgrp() and state != "Z" and is_ours:
                found[int(entry.name)] = (entry / "cmdline").read_text()
    return found


def wait_for_the_end_of(before: dict[int, str], seconds: float = 30) -> None:
    """Of every process of this group but those that were there before and multiprocessing's own two."""
    own = {forkserver._forkserver._forkserver_pid, resource_tracker._resource_tracker._pid}  # type: ignore[attr-defined]
    end = time.monotonic() + seconds
    while left := {number: line for number, line in living().items() if number not in own and number not in before}:
        assert time.monotonic() < end, left
        time.sleep(0.05)


STUDY_PLUGIN = (
    ACTS
    + """
from pathlib import Path
from prunecheck.pruning import method

EVERY = HARMLESS | RAISES | INTERRUPTS | KILLS

@method
def bad(weights):
    mark = Path(MARK)
    if mark.exists():  # the trial before the first step is over
        for name in DO:
            EVERY[name]()
    mark.touch()
    return {n: w.abs() for n, w in weights.items()}
"""
)
METHODS = ["bad", "snip", "random_ticket"]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Artefacts of the other methods."""
    folder = tmp_path_factory.mktemp("undisturbed")
    tiny.run(folder, methods=METHODS[1:], seeds=2)
    return tiny.objects(folder)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(
    "seed", [pytest.param(0, marks=pytest.mark.slow), *(pytest.param(n, marks=pytest.mark.long) for n in range(1, 20))]
)
def test_random_misbehaviour_delays_no_run_and_changes_no_other_result(
    seed: int, workers: int, undisturbed: dict[str, str], tmp_path: Path
) -> None:
    """One to three acts at random, in every step of a method: the command ends, with JSON or nothing on stdout, the
    other methods have the artefacts of an undisturbed run, and a run without acts then computes what is missing."""
    rng = random.Random(seed)
    kinds = ["HARMLESS"] * 3 + ["RAISES", "KILLS"]
    acts = [rng.choice(list(names[rng.choice(kinds)])) for _ in range(rng.randint(1, 3))]
    settings = f"MARK, DO = {str(tmp_path / 'mark')!r}, {acts!r}\n"
    plugin = tiny.plugin(tmp_path, settings + STUDY_PLUGIN)
    process = begin(tmp_path, workers, methods=METHODS, seeds=2, plugins=[plugin])
    out, err = process.communicate(timeout=300)
    assert "by a plug-in" not in out
    assert "of a plug-in" not in out
    stored = tiny.objects(tmp_path)
    wrong = [path for path, digest in stored.items() if undisturbed.get(path, digest) != digest]
    assert wrong == [], acts
    assert process.returncode != 0 or (tmp_path / "out" / "results.csv").exists(), (acts, err)
    if workers == 2:  # in one process an act may end the run itself
        assert undisturbed.items() <= stored.items(), (acts, err)
        assert process.returncode in (0, 3), (acts, err)
