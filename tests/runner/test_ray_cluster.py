"""Steps on a Ray cluster of three nodes on this machine; skipped where Ray is not installed."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from prunecheck.errors import Interrupted, StepError, StudyError
from prunecheck.runner import ray_cluster
from prunecheck.runner.engine import execute
from prunecheck.runner.ray_cluster import RayExecutor, death, difference_to, node_report, surroundings
from prunecheck.runner.worker import WorkerConfig
from prunecheck.steps.perform import STEPS
from prunecheck.store import Store
from prunecheck.study import Step

from . import tiny

FAKES = """
import os, time
from pathlib import Path
import prunecheck.errors
from prunecheck.steps.perform import STEPS

def act(step, context):
    order, mark = step.params.get("do"), Path(step.params.get("mark", "/nonexistent"))
    if order == "die":
        os.kill(os.getpid(), 9)
    elif order == "die once" and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), 9)
    elif order == "raise":
        raise ValueError("a bug")
    elif order == "wait for the end":
        mark.touch()
        try:
            time.sleep(600)
        except prunecheck.errors.Interrupted:
            mark.write_text("interrupted")
            raise
    for key in step.inputs.values():
        context.store.read(key, "result.json")
    return {"result.json": f"{step.params['name']} {os.getpid()}".encode()}

STEPS["mask"] = act
"""


def fake(name: str, *inputs: Step, **params: Any) -> Step:
    return Step("mask", {"name": name, **params}, {f"i{n}": s.key for n, s in enumerate(inputs)}, name)


@pytest.fixture
def config(tmp_path: Path) -> Iterator[WorkerConfig]:
    before = dict(STEPS)
    yield WorkerConfig(tmp_path / "store", None, (Path(tiny.plugin(tmp_path, FAKES)),), tmp_path)
    STEPS.update(before)


@pytest.mark.parametrize(
    ("message", "ended"),
    [
        ("The actor died because its node has died. Node Id: 12", "lost"),
        ("The actor is dead because its worker process has died. End of file.", "died"),
        ("Task was killed due to the node running low on memory.", "memory"),
    ],
)
def test_the_cause_of_a_death_is_read_from_the_message_of_ray(message: str, ended: str) -> None:
    assert death(RuntimeError(message)).ended == ended


def test_a_missing_ray_is_named_with_its_extra(config: WorkerConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_cluster, "find_spec", lambda _name: None)
    with pytest.raises(StudyError, match=r'pip install "prunecheck\[ray\]"$'):
        RayExecutor(config, None, print)


def test_a_node_reports_whether_it_sees_the_store_its_locks_and_the_files(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "store")
    here = surroundings()
    with store.probe_file("token") as probe:
        files = [str(tmp_path)]
        assert node_report(str(probe), "token", files, here) == {"sees store": True, "is locked": True, "problem": ""}
        assert not node_report(str(probe), "another", files, here)["sees store"]
        assert not node_report(str(tmp_path / "absent"), "token", files, here)["sees store"]
        report = node_report(str(probe), "token", [str(tmp_path / "plug.py")], here)
        assert report["problem"].endswith("plug.py is not there. Put it on a folder that all nodes share.")
    assert not probe.exists()


def test_a_machine_whose_results_would_have_other_keys_is_named() -> None:
    assert difference_to(surroundings()) == ""
    assert difference_to(surroundings() | {"torch": "1.0"}).startswith("torch is ")
    assert "where the study was started" in difference_to(surroundings() | {"cpu": "abacus"})


@pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("cluster")
class TestCluster:
    @pytest.fixture(scope="class")
    def cluster(self, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
        patch = pytest.MonkeyPatch()
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")  # read when Ray is imported
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))  # of the token by which nodes know each other
        from ray.cluster_utils import Cluster

        small = {"object_store_memory": 80_000_000, "include_dashboard": False}
        found = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, **small})
        patch.setenv("RAY_ADDRESS", found.address)
        found.add_node(num_cpus=1, object_store_memory=80_000_000)
        found.add_node(num_cpus=1, object_store_memory=80_000_000)
        yield found
        found.shutdown()
        patch.undo()

    @pytest.fixture
    def executor(self, config: WorkerConfig) -> Iterator[RayExecutor]:
        made = RayExecutor(config, None, print)
        yield made
        made.close()

    def test_steps_run_in_order_failures_stay_contained_and_processes_are_used_again(
        self, executor: RayExecutor, config: WorkerConfig, tmp_path: Path
    ) -> None:
        a, bug = fake("a"), fake("bug", do="raise")
        dies = fake("dies once", do="die once", mark=str(tmp_path / "mark"))
        b = [fake(f"b{n}", a) for n in range(20)]
        steps = [a, bug, dies, *b, fake("of bug", bug), fake("killer", do="die"), fake("last", *b, dies)]
        outcome = execute({s.key: s for s in steps}, config, 1, lambda _: 1.0, executor=executor)
        assert [step.title for step in outcome.done][-1] == "last"
        assert {step.title for step in outcome.done} == {"a", "dies once", "last", *(step.title for step in b)}
        assert {failure.step.title: failure.reason for failure in outcome.failures} == {
            "bug": "ValueError: a bug",
            "killer": "its worker process died twice (killed, out of memory or crashed)",
        }
        store = Store.open(config.store)
        processes = {store.read(step.key, "result.json").split()[-1] for step in b}
        assert len(processes) <= 6  # three workers, and one more for each death
        assert not list((config.store / "tmp").iterdir())

    def test_a_request_to_stop_reaches_the_running_step(
        self, executor: RayExecutor, config: WorkerConfig, tmp_path: Path
    ) -> None:
        mark = tmp_path / "mark"
        waits, first = fake("waits", do="wait for the end", mark=str(mark)), fake("first")

        def stop(_step: Step, _seconds: float) -> None:
            while not mark.exists():
                time.sleep(0.02)
            raise Interrupted("stop")

        handler = signal.getsignal(signal.SIGTERM)
        with pytest.raises(Interrupted):
            execute({s.key: s for s in (waits, first)}, config, 1, lambda s: 2.0 if s is waits else 1.0, stop, executor)
        assert mark.read_text() == "interrupted"
        assert signal.getsignal(signal.SIGTERM) == handler

    def test_a_plugin_that_cannot_be_loaded_ends_the_run_with_its_reason(
        self, config: WorkerConfig, tmp_path: Path
    ) -> None:
        broken = WorkerConfig(config.store, None, (Path(tiny.plugin(tmp_path, "1 / 0", "broken.py")),), tmp_path)
        executor = RayExecutor(broken, None, print)
        step = fake("a")
        with pytest.raises(StepError, match=r"workers on Ray cannot start: .*division by zero"):
            execute({step.key: step}, broken, 1, lambda _: 1.0, executor=executor)
        executor.close()

    def test_a_study_on_gpus_is_refused_where_the_cluster_has_none(
        self, executor: RayExecutor, config: WorkerConfig
    ) -> None:
        step = Step("mask", {"name": "a", "device": "cuda"}, {}, "a")
        with pytest.raises(StudyError, match="the Ray cluster has no GPU"):
            execute({step.key: step}, config, 1, lambda _: 1.0, executor=executor)
