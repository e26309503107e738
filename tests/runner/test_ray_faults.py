"""A whole study on Ray whose processes, nodes and driver are killed has the bytes and verdicts of an undisturbed one.

Skipped where Ray is not installed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from prunecheck.runner.ray_cluster import _on, death
from prunecheck.study.toml import to_toml

from . import tiny

PLUGIN = """
import os, sys, time
from contextlib import suppress
from pathlib import Path
from prunecheck import method

@method
def held(weights):
    "Weights by size. Where there is the file to hold, the first actor that comes here waits for its end."
    if "default_worker" in sys.argv[0] and Path({hold!r}).exists():  # in an actor of Ray
        with suppress(FileNotFoundError):
            os.rename({hold!r}, {hold!r} + ".taken")
            Path({hold!r} + ".taken").write_text(str(os.getpid()))
            os.rename({hold!r} + ".taken", {hold!r} + ".reached")
            time.sleep(600)
    return {{name: weight.abs() for name, weight in weights.items()}}
"""
PATIENCE_SECONDS = 250


class Cluster:
    """Ray with a head without cores and nodes of one core, of this machine."""

    def __init__(self, nodes: int) -> None:
        from ray.cluster_utils import Cluster

        self._size = {"object_store_memory": 80_000_000}
        self._cluster = Cluster(
            initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False, **self._size}
        )
        self.address = self._cluster.address
        self._nodes: list[Any] = []
        for _ in range(nodes):
            self.add_node()

    def add_node(self) -> Any:
        self._nodes.append(self._cluster.add_node(num_cpus=1, **self._size))
        return self._nodes[-1]

    def node_with_too_little_memory(self) -> Any:
        """A node that is above its limit at once, whose memory monitor therefore ends what runs there."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("RAY_memory_usage_threshold", "0.001")
            patch.setenv("RAY_memory_monitor_refresh_ms", "100")
            return self.add_node()

    def lose_node_of(self, process: int) -> None:
        """End the node that *process* belongs to, with all its processes, as where the power fails."""
        (node,) = [node for node in self._nodes if process in children(raylet(node))]
        workers = children(raylet(node))
        self._nodes.remove(node)
        self._cluster.remove_node(node, allow_graceful=False)
        for worker in workers:
            kill(worker)

    def stop(self) -> None:
        self._cluster.shutdown()


def raylet(node: Any) -> int:
    return int(node.all_processes["raylet"][0].process.pid)


def children(process: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            if int(path.read_text().rpartition(")")[2].split()[1]) == process:
                found.append(int(path.parent.name))
    return found


def kill(process: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)


@pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.timeout(600)
class TestFaults:
    @pytest.fixture(scope="class")
    def cluster(self, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
        patch = pytest.MonkeyPatch()
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")  # read when Ray is imported
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))  # of the token by which nodes know each other
        made = Cluster(nodes=3)
        patch.setenv("RAY_ADDRESS", made.address)
        yield made
        made.stop()
        patch.undo()

    @pytest.fixture(scope="class")
    def folder(self, tmp_path_factory: pytest.TempPathFactory) -> Path:
        """With a study in it, and in ``local`` its store and results by one process."""
        folder = tmp_path_factory.mktemp("faults")
        plugin = tiny.plugin(folder, PLUGIN.format(hold=str(folder / "hold")))
        data = {"name": "digits", "train_size": 300, "test_size": 200}
        fields = tiny.fields(methods=["held"], plugins=[plugin], seeds=3, data=data)
        (folder / "s.toml").write_text(to_toml(tiny.load_study(fields)))
        assert run(folder, "local", "--workers", "1").wait() == 0
        return folder

    @pytest.mark.parametrize("fault", ["worker", "node", "driver"])
    def test_a_study_has_the_same_bytes_and_verdicts_after_the_loss_of_its(
        self, fault: str, cluster: Cluster, folder: Path
    ) -> None:
        hold = folder / "hold"
        hold.with_suffix(".reached").unlink(missing_ok=True)
        hold.touch()
        driver = run(folder, fault, "--engine", "ray")
        process = wait_for(driver, hold.with_suffix(".reached"))
        if fault == "driver":
            driver.kill()
            driver.wait()
            driver = run(folder, fault, "--engine", "ray")
        elif fault == "node":
            cluster.lose_node_of(process)
        else:
            kill(process)
        try:
            assert driver.wait(PATIENCE_SECONDS) == 0
        finally:
            driver.kill()
            driver.wait()
        assert tiny.objects(folder / fault) == tiny.objects(folder / "local")
        for name in ("results.csv", "verdicts.json"):
            assert (folder / fault / "out" / name).read_bytes() == (folder / "local" / "out" / name).read_bytes()
        assert not list((folder / fault / "store" / "tmp").iterdir())

    def test_the_cause_of_a_death_is_read_from_what_ray_says(self, cluster: Cluster) -> None:
        import ray

        ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
        try:
            actor = sleeper(cluster.add_node())
            sleeps = actor.sleep.remote()
            cluster.lose_node_of(ray.get(actor.process.remote()))
            assert death(error_of(sleeps)).ended == "lost"

            actor = sleeper(cluster.add_node())
            sleeps = actor.sleep.remote()
            kill(ray.get(actor.process.remote()))
            assert death(error_of(sleeps)).ended == "died"

            assert death(error_of(sleeper(cluster.node_with_too_little_memory()).sleep.remote())).ended == "memory"
        finally:
            ray.shutdown()


def sleeper(node: Any) -> Any:
    """An actor on *node*."""
    import ray

    class Sleeper:
        def sleep(self) -> None:
            time.sleep(600)

        def process(self) -> int:
            return os.getpid()

    options = {"max_concurrency": 2, "scheduling_strategy": _on(node.node_id)}
    return ray.remote(Sleeper).options(**options).remote()


def error_of(answer: Any) -> BaseException:
    import ray

    with pytest.raises(ray.exceptions.RayError) as caught:
        ray.get(answer, timeout=PATIENCE_SECONDS)
    return caught.value


def run(folder: Path, name: str, *words: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "prunecheck", "run", "s.toml", "--quiet", *words]
    return subprocess.Popen([*command, "--store", f"{name}/store", "--out", f"{name}/out"], cwd=folder)


def wait_for(driver: subprocess.Popen[bytes], reached: Path) -> int:
    """The process that has come to where it waits."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not reached.exists():
        assert driver.poll() is None, "the run ended before"
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return int(reached.read_text())
