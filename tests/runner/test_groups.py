"""Trainings of one kind that the runner hands to a GPU's worker together; the GPU itself is simulated."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import prunecheck.steps
from prunecheck.runner import executors, worker
from prunecheck.runner.engine import Outcome, execute
from prunecheck.runner.queue import Queue
from prunecheck.runner.worker import WorkerConfig
from prunecheck.steps.perform import STEPS
from prunecheck.study import Step

from . import tiny

PLUGIN = """
import os
from pathlib import Path
import prunecheck.steps
from prunecheck.runner import worker
from prunecheck.steps.perform import STEPS

def act(step, context):
    orders = step.params.get("do", [])
    if "die" in orders:
        os.kill(os.getpid(), 9)
    if "raise" in orders:
        raise ValueError("as it was told")
    return {"result.json": str(step.params["name"]).encode()}

def together(steps, context):
    with open("GROUPS", "a") as file:
        file.write(" ".join(step.params["name"] for step in steps) + chr(10))
    for step in steps:
        context.store.commit(step.key, act(step, context))

worker._use_gpu = lambda number: None
prunecheck.steps.perform_together = together
STEPS["train"] = act
"""


def ticket(name: str, gpu: str = "H200", **params: Any) -> Step:
    named = {"recipe": {"epochs": 1}, "model": "convnet", **params}
    return Step("train", {"name": name, "device": "cuda", "gpu": gpu, **named}, {}, name)


@pytest.fixture
def groups(tmp_path: Path) -> Iterator[Path]:
    """Where the groups that were trained are written, one line each."""
    path = tmp_path / "groups"
    path.touch()
    before, use, perform_together = dict(STEPS), worker._use_gpu, prunecheck.steps.perform_together
    yield path
    STEPS.update(before)
    worker._use_gpu = use
    prunecheck.steps.perform_together = perform_together


@pytest.fixture(params=[1, 2], ids=["in this process", "two workers"])
def go(request: pytest.FixtureRequest, tmp_path: Path, groups: Path) -> Any:
    plugin = (Path(tiny.plugin(tmp_path, PLUGIN.replace("GROUPS", str(groups)))),)

    def run(*steps: Step, gpus: tuple[int, ...] = (0,), together: int | None = 4) -> tuple[Outcome, list[set[str]]]:
        config = WorkerConfig(tmp_path / "store", None, plugin, gpus=gpus, tickets_per_gpu=together)
        outcome = execute({step.key: step for step in steps}, config, request.param, lambda _: 1.0)
        return outcome, [set(line.split()) for line in groups.read_text().splitlines()]

    return run


def test_trainings_of_one_kind_are_handed_out_together(go: Any) -> None:
    tickets = [ticket(f"a{n}") for n in range(6)] + [ticket(f"b{n}", model="resnet20") for n in range(3)]
    outcome, groups = go(*tickets)
    assert {step.key for step in outcome.done} == {step.key for step in tickets}
    assert sorted(len(group) for group in groups) == [2, 3, 4]
    assert all(len({name[0] for name in group}) == 1 for group in groups)


@pytest.mark.parametrize(
    "other",
    [{"recipe": {"epochs": 2}}, {"precision": "tf32"}, {"gpu": "H100"}, {"data": {"name": "digits"}}],
    ids=["recipe", "precision", "gpu", "data"],
)
def test_other_kinds_are_not_in_the_same_group(go: Any, other: dict[str, Any]) -> None:
    outcome, groups = go(ticket("a"), ticket("b"), ticket("c", **other))
    assert len(outcome.done) == 3
    assert groups == [{"a", "b"}]


def test_nothing_is_handed_out_together_without_a_gpu(go: Any) -> None:
    outcome, groups = go(ticket("a"), ticket("b"), gpus=())
    assert len(outcome.done) == 2
    assert groups == []


def test_ticket_that_fails_in_a_group_disturbs_no_other(go: Any) -> None:
    outcome, _ = go(ticket("a"), ticket("b", do=["raise"]), ticket("c"))
    assert {step.title for step in outcome.done} == {"a", "c"}
    (failure,) = outcome.failures
    assert failure.step.title == "b"
    assert "as it was told" in failure.reason


def test_worker_killed_in_the_middle_of_a_group_blames_the_step_that_kills(tmp_path: Path, groups: Path) -> None:
    plugin = (Path(tiny.plugin(tmp_path, PLUGIN.replace("GROUPS", str(groups)))),)
    config = WorkerConfig(tmp_path / "store", None, plugin, gpus=(0,), tickets_per_gpu=4)
    steps = {step.key: step for step in (ticket("a"), ticket("b", do=["die"]), ticket("c"))}
    outcome = execute(steps, config, 2, lambda _: 1.0)
    assert groups.read_text().count("\n") == 1  # afterwards each alone
    assert {step.title for step in outcome.done} == {"a", "c"}
    assert [failure.step.title for failure in outcome.failures] == ["b"]


def test_queue_gives_those_with_the_longest_chains_and_keeps_the_others() -> None:
    tickets = [ticket(name) for name in "abcd"]
    other = ticket("other", model="resnet20")
    weight = {"a": 5.0, "b": 2.0, "c": 4.0, "d": 3.0, "other": 4.5}
    queue = Queue({step.key: step for step in (*tickets, other)}, lambda step: weight[step.title])
    first = queue.take()
    assert first is not None
    assert first.title == "a"
    assert [step.title for step in queue.take_like(first, 2)] == ["c", "d"]
    assert [step.title for step in (queue.take(), queue.take()) if step] == ["other", "b"]
    assert queue.take() is None


def test_workers_share_the_gpus_evenly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from prunecheck.runner import processes

    monkeypatch.setattr(processes, "_context", lambda: pytest.fail("no process is started"))
    workers = processes.Workers(WorkerConfig(tmp_path, None, (), gpus=(0, 2)), 4)
    seen = []
    for _ in range(4):
        (gpu,) = workers._config_of_next().gpus
        seen.append(gpu)
        workers._all.append(type("Started", (), {"gpus": (gpu,)})())  # type: ignore[arg-type]
    assert seen == [0, 2, 0, 2]


def test_a_process_is_given_several_trainings_only_where_it_has_a_gpu(tmp_path: Path) -> None:
    plain = WorkerConfig(tmp_path, None, ())
    assert executors.most_together(plain) == 1
    assert executors.most_together(WorkerConfig(tmp_path, None, (), gpus=(0,))) == executors.GIVEN_TOGETHER
    assert executors.most_together(WorkerConfig(tmp_path, None, (), gpus=(0,), tickets_per_gpu=3)) == 3


def test_processes_of_one_training_have_a_gpu_each(tmp_path: Path) -> None:
    from prunecheck.runner import processes

    config = WorkerConfig(tmp_path, None, (), gpus=(0, 1, 2, 3), processes=2)
    assert executors.most_together(config) == 1
    workers = processes.Workers(config, 2)
    for expected in ((0, 1), (2, 3)):
        gpus = workers._config_of_next().gpus
        assert gpus == expected
        workers._all.append(type("Started", (), {"gpus": gpus})())  # type: ignore[arg-type]
