"""Bundles of trainings: the same bytes as one at a time, for everybody's errors and everybody's claims."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from prunecheck.errors import PluginError
from prunecheck.runner import engine, queue, worker
from prunecheck.runner.bundles import BUNDLE, bundle_name
from prunecheck.runner.engine import execute
from prunecheck.runner.queue import Queue
from prunecheck.runner.worker import Bench
from prunecheck.steps import train as train_stage
from prunecheck.store import Store, Timings
from prunecheck.study import Plan, Step, make_plan
from prunecheck.training import together

from . import tiny

perform_room = sys.modules["prunecheck.steps.perform"]

STUDY = {"methods": ["lr_rewinding", "snip"], "checks": ["layerwise_rearrange", "random_labels"], "seeds": 2}
LONG = {"epochs": 2, "rewind_epoch": 1, "batch_size": 25}


@pytest.fixture
def bundled(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The size of every bundle that is trained in lockstep from now on, in this process."""
    sizes: list[int] = []
    real = together._lockstep

    def spy(members: Any, recipe: Any) -> Any:
        if members[0].test_feed.samples > 1:  # not a probe
            sizes.append(len(members))
        return real(members, recipe)

    monkeypatch.setattr(together, "_lockstep", spy)
    return sizes


@pytest.fixture
def plan() -> Plan:
    return make_plan(tiny.study(**STUDY))


def trainings(plan: Plan, kind: str = "train") -> dict[str, Step]:
    return {key: step for key, step in plan.steps.items() if step.kind == kind}


def test_a_study_has_the_same_bytes_with_and_without_bundles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bundled: list[int]
) -> None:
    results = tiny.run(tmp_path / "with", **STUDY, training=LONG)
    assert sum(bundled) >= results.plan.trainings - 4
    assert max(bundled) <= BUNDLE
    bundled.clear()
    monkeypatch.setattr(queue, "BUNDLE", 1)
    tiny.run(tmp_path / "without", **STUDY, training=LONG)
    assert not bundled
    assert tiny.objects(tmp_path / "with") == tiny.objects(tmp_path / "without")


def test_every_step_is_finished_and_timed_by_itself(tmp_path: Path, bundled: list[int]) -> None:
    watched: dict[str, float] = {}
    results = tiny.run(tmp_path, **STUDY)
    assert bundled
    assert sorted(step.key for step in results.ran) == sorted(results.plan.steps)
    steps = trainings(make_plan(tiny.study(**STUDY)))
    store = Store.open(tmp_path / "again")
    for key in {key for step in steps.values() for key in step.inputs.values()}:
        source = Store.open(tmp_path / "store")
        store.commit(key, {name: source.read(key, name) for name in source.names(key)})
    outcome = execute(steps, Bench(store.root, None, ()), 1, lambda _: 1.0, lambda s, t: watched.update({s.key: t}))
    assert set(watched) == set(steps) == {step.key for step in outcome.done}
    assert all(seconds > 0 for seconds in watched.values())
    assert outcome.seconds == pytest.approx(sum(watched.values()))
    assert Timings(store).typical(next(iter(steps.values())).cost_class) is not None


def test_what_differs_in_more_than_seed_start_and_mask_is_not_bundled(plan: Plan) -> None:
    """Seeds, methods and arms go together; another first epoch does not."""
    names = Counter(bundle_name(step) for step in trainings(plan).values())
    assert list(names.values()) == [12]
    later = trainings(make_plan(tiny.study(**STUDY, training=LONG)))
    names = Counter(bundle_name(step) for step in later.values())
    assert sorted(names.values()) == [6, 6]
    assert None not in names


@pytest.mark.parametrize(
    "changes", [{"model": "resnet20"}, {"precision": "bfloat16"}, {"data": {"name": "mnist5k", "size": 14}}]
)
def test_large_networks_and_other_numbers_go_alone(changes: dict[str, Any]) -> None:
    steps = trainings(make_plan(tiny.study(**STUDY, **changes)))
    assert {bundle_name(step) for step in steps.values()} == {None}


def test_corrupted_data_and_other_kinds_go_alone(plan: Plan) -> None:
    alone = [step for step in plan.steps.values() if bundle_name(step) is None]
    assert {step.kind for step in alone} == {"pretrain", "score", "mask", "corrupt", "compare"}
    assert all("corruption" in step.params for step in alone if step.kind == "pretrain")


@pytest.mark.parametrize(("workers", "sizes"), [(1, [4, 4, 1]), (2, [4, 2, 1, 1, 1]), (5, [1] * 9)])
def test_no_worker_is_left_without_work(workers: int, sizes: list[int]) -> None:
    """A bundle takes no more than a worker's share of what is ready."""
    steps = dict(list(trainings(make_plan(tiny.study(methods=["snip"], seeds=5))).items())[:9])
    waiting = Queue(steps, lambda _: 1.0)
    taken = []
    while bundle := waiting.take(workers):
        taken.append(len(bundle))
    assert taken == sizes


def test_a_step_that_fails_takes_no_other_of_its_bundle_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = perform_room.BEGIN["train"]
    bad = trainings(make_plan(tiny.study(**STUDY)))
    unlucky = sorted(bad)[0]

    def begin(step: Step, context: Any) -> Any:
        if step.key == unlucky:
            raise PluginError("as it was told")
        return real(step, context)

    monkeypatch.setattr(train_stage, "begin", begin)
    monkeypatch.setitem(perform_room.BEGIN, "train", begin)  # type: ignore[index]
    with pytest.raises(Exception, match="1 of the steps failed"):
        tiny.run(tmp_path, **STUDY)
    store = Store.open(tmp_path / "store")
    assert store.missing(bad) == {unlucky}


def test_what_somebody_else_is_at_is_left_to_him(tmp_path: Path, bundled: list[int]) -> None:
    results = tiny.run(tmp_path, **STUDY)
    source = Store.open(tmp_path / "store")
    steps = list(trainings(results.plan).values())[:3]
    store = Store.open(tmp_path / "again")
    for key in {key for step in steps for key in step.inputs.values()}:
        store.commit(key, {name: source.read(key, name) for name in source.names(key)})
    store.commit(steps[2].key, {"result.json": b"by somebody else"})
    with engine._one_thread():
        worker.settle(Bench(store.root, None, ()))
        bundled.clear()
        with store.claim(steps[1].key):
            assert worker.do_together([step.to_dict() for step in steps]) == {}
        assert not bundled  # one alone is no bundle
        assert set(worker.do_together([step.to_dict() for step in steps])) == {0, 1}
    assert store.read(steps[2].key, "result.json") == b"by somebody else"
