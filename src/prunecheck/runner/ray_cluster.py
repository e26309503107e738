"""Steps on a Ray cluster: one actor for each worker, used again for every step, so that torch is imported once.

Ray decides where an actor runs and finds lost processes and nodes; the engine decides which step is next. Ray's object
store holds nothing but the text of steps and answers. Ray is optional and is imported where it is used.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from prunecheck.errors import StepError, StoreError, StudyError
from prunecheck.runner import signals
from prunecheck.runner.executors import Resources
from prunecheck.runner.processes import AGAIN_SECONDS, GRACE_SECONDS, STARTS
from prunecheck.runner.worker import Answer, WorkerConfig, answer_of, do, initialise
from prunecheck.store import Store
from prunecheck.study.numerics import numerics
from prunecheck.study.step import Step
from prunecheck.text import printable_error, printable_path

OBJECT_STORE_BYTES = 100_000_000
"""of a cluster that is started here; Ray's default is a third of the memory"""
PROBE_SECONDS = 300.0
SHUTDOWN_SECONDS = 10.0
PATIENCE_SECONDS = 60.0
"""how long no worker may have been placed before the user is told"""
NODE_LOST = ("node has died", "node was terminated", "node is dead", "drained", "preempted")
LOW_MEMORY = ("low on memory", "memory monitor", "OutOfMemory")


class RayExecutor:
    """A :class:`~prunecheck.runner.executors.StepExecutor` of up to *most* actors, by default one for each core (or
    GPU) of the cluster at ``$RAY_ADDRESS``; without that variable a cluster is started on this machine.

    Raises StudyError where Ray is missing, and at the first step where the cluster cannot be used.
    """

    second_sigint_ends_process = False

    def __init__(self, config: WorkerConfig, most: int | None, note: Callable[[str], None]) -> None:
        if find_spec("ray") is None:
            raise StudyError('--engine ray needs Ray, which is an extra: pip install "prunecheck[ray]"')
        self._config, self._asked, self._note = config, most, note
        self._most = most or 1
        self._all: list[_Actor] = []
        self._backlog: list[tuple[Step, Resources]] = []
        self._events: queue.SimpleQueue[tuple[_Actor, Any]] = queue.SimpleQueue()
        self._failed_starts = 0
        self._connected = self._ours = self._here = False
        self._waiting_since: float | None = None

    def __enter__(self) -> RayExecutor:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._stop()

    def close(self) -> None:
        """End the actors, and the cluster if it was started here."""
        if self._connected:
            import ray

            for actor in () if self._ours else self._all:
                actor.kill()
            self._all.clear()
            if self._ours:
                shutdown = threading.Thread(target=ray.shutdown, daemon=True)
                shutdown.start()
                shutdown.join(SHUTDOWN_SECONDS)  # it hangs where Ray's processes were ended by a signal
            self._connected = False

    @property
    def steps(self) -> list[Step]:
        running = [actor.step for actor in self._all if actor.step is not None]
        return running + [step for step, _ in self._backlog]

    @property
    def has_room(self) -> bool:
        return len(self.steps) < self._most

    def submit(self, step: Step, resources: Resources) -> None:
        if not self._connected:
            self._connect(resources)
        self._backlog.append((step, resources))
        self._dispatch()

    def wait(self, seconds: float | None) -> Iterator[tuple[Step, Answer]]:
        # In Python instead of ray.wait(): C code drops the exception that a signal handler raises.
        with suppress(queue.Empty):
            actor, future = self._events.get(timeout=PATIENCE_SECONDS if seconds is None else seconds)
            yield from self._ended(actor, future)
        while not self._events.empty():
            yield from self._ended(*self._events.get())
        self._dispatch()
        self._report_waiting()

    def _ended(self, actor: _Actor, future: Any) -> Iterator[tuple[Step, Answer]]:
        if actor not in self._all:
            return
        error = future.exception()
        if error is not None:
            self._all.remove(actor)
            actor.kill()
            answer = death(error)
            # A lost node says nothing about whether workers can start.
            self._failed_starts += not actor.ready and answer.ended != "lost"
            if self._failed_starts == STARTS:
                raise StepError(f"workers on Ray cannot start: {printable_error(error)}")
        else:
            answer = Answer(**json.loads(future.result()[0]))
            if not actor.ready:
                if answer.ended != "done":
                    raise StepError(f"workers on Ray cannot start: {answer.reason}")
                _, actor.node, actor.process = future.result()
                actor.ready, self._failed_starts = True, 0
                return
        step, actor.step = actor.step, None
        if step is not None:
            yield step, answer

    def _dispatch(self) -> None:
        """Give waiting steps to free actors; start actors for the others."""
        starting = [actor.resources for actor in self._all if not actor.ready]
        left = []
        for step, resources in self._backlog:
            free = [actor for actor in self._all if actor.ready and actor.step is None]
            fit = next((actor for actor in free if actor.resources == resources), None)
            if fit is not None:
                fit.step = step
                self._call(fit, fit.handle.do.remote(json.dumps(step.to_dict())))
                continue
            left.append((step, resources))
            if resources in starting:
                starting.remove(resources)
                continue
            if len(self._all) >= self._most and free:
                self._all.remove(free[0])  # made for steps of another kind
                free[0].kill()
            if len(self._all) < self._most:
                self._start(resources)
        self._backlog = left

    def _start(self, resources: Resources) -> None:
        import ray

        options: dict[str, Any] = {"num_cpus": resources.cpus, "num_gpus": resources.gpus, "max_restarts": 0}
        if resources.memory:
            options["memory"] = resources.memory
        handle = ray.remote(ActorProcess).options(**options).remote()
        actor = _Actor(handle, resources)
        self._all.append(actor)
        self._call(actor, handle.start.remote(self._config, sys.path, surroundings()))

    def _call(self, actor: _Actor, answer: Any) -> None:
        answer.future().add_done_callback(lambda future: self._events.put((actor, future)))

    def _report_waiting(self) -> None:
        if not self._backlog or any(actor.ready for actor in self._all):
            self._waiting_since = None
        elif self._waiting_since is None:
            self._waiting_since = time.monotonic()
        elif time.monotonic() - self._waiting_since > PATIENCE_SECONDS:
            self._waiting_since = float("inf")
            need = self._backlog[0][1]
            gpus = f" and {need.gpus:g} GPU" if need.gpus else ""
            self._note(f"No node of the Ray cluster has {need.cpus:g} core{gpus} free yet: see `ray status`.")

    def _connect(self, resources: Resources) -> None:
        # Read when Ray is imported: under `uv run`, Ray would copy the working directory, with store and data, to all
        # nodes, and start workers by another `uv run` there.
        os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
        import ray

        address = os.environ.get("RAY_ADDRESS", "")
        if address.startswith("ray://"):
            raise StudyError(
                "RAY_ADDRESS names a Ray client server (ray://). Run on a node of the cluster, with HOST:6379."
            )
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        handler = signal.getsignal(signal.SIGTERM)
        if not ray.is_initialized():
            try:
                _initialise(address, self._asked)
            except Exception as error:
                where = f"the cluster at RAY_ADDRESS={address}" if address else "a cluster on this machine"
                raise StudyError(f"Ray cannot use {where}: {printable_error(error)}") from None
            finally:
                signal.signal(signal.SIGTERM, handler)  # Ray installs one that ends the process
            self._ours, self._here = True, not address
        self._connected = True
        total = ray.cluster_resources()
        kind = "GPU" if resources.gpus else "CPU"
        if total.get(kind, 0) < min(1.0, resources.gpus or 1.0):
            raise StudyError(f"the Ray cluster has no {kind}: see `ray status`.")
        self._most = self._asked or max(1, int(total[kind] / (resources.gpus or resources.cpus)))
        if address:
            check_nodes(self._config)

    def _stop(self) -> None:
        """Let the running trainings write a checkpoint, then end their actors."""
        self._backlog.clear()
        busy = [actor for actor in self._all if actor.step is not None]
        try:
            for actor in busy:
                actor.terminate(self._here)
            deadline = time.monotonic() + GRACE_SECONDS
            while any(actor.step for actor in busy) and time.monotonic() < deadline and not signals.interrupted_again():
                with suppress(queue.Empty):
                    self._events.get(timeout=AGAIN_SECONDS)[0].step = None
        finally:
            for actor in self._all:
                if actor in busy or not actor.ready:
                    actor.kill(self._here)
            self._all = [actor for actor in self._all if actor not in busy and actor.ready]


@dataclass(eq=False)
class _Actor:
    """The engine's side of an actor. ``step``: under way; ``ready``: whether it has reported that it can run steps, and
    then ``node`` and ``process`` are known."""

    handle: Any
    resources: Resources
    step: Step | None = None
    ready: bool = False
    node: str = ""
    process: int = 0

    def terminate(self, here: bool) -> None:
        """Send SIGTERM. Ray cannot interrupt a running method, so a task beside it does. A process *here*, on this
        machine, is signalled directly: a scheduler that signals the whole process group has ended Ray's own processes,
        and then every call of Ray would hang for a minute."""
        if here:
            _terminate(self.process)
            return
        import ray

        with suppress(Exception):
            place = {"num_cpus": 0, "max_retries": 0, "scheduling_strategy": _on(self.node)}
            ray.remote(_terminate).options(**place).remote(self.process)

    def kill(self, here: bool = False) -> None:
        """End the process. *here*: see ``terminate``."""
        if here:
            if self.process:
                with suppress(ProcessLookupError):
                    os.kill(self.process, signal.SIGKILL)
            return
        import ray

        with suppress(Exception):
            ray.kill(self.handle)


def _terminate(process: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGTERM)


class ActorProcess:
    """What runs in the process of an actor: ``start`` once, then ``do`` for each step."""

    def start(self, config: WorkerConfig, path: list[str], expected: dict[str, Any]) -> tuple[str, str, int]:
        """Prepare the process; *path* is the driver's ``sys.path``, *expected* its surroundings."""
        import ray

        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # Ray's handler ends the process at once
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        sys.path += [entry for entry in path if entry not in sys.path]
        try:
            if difference := difference_to(expected):
                raise StepError(difference)
            initialise(config)
            answer = Answer("done")
        except BaseException as error:
            answer = answer_of(error)
        return answer.to_bytes().decode(), ray.get_runtime_context().get_node_id(), os.getpid()

    def do(self, step: str) -> tuple[str]:
        try:
            answer = do(Step(**json.loads(step)))
        except KeyboardInterrupt as error:
            answer = answer_of(error)
        return (answer.to_bytes().decode(),)


def death(error: BaseException) -> Answer:
    """Why an actor did not answer, by the words of Ray's message: there is no code for it."""
    text = str(error)
    if getattr(error, "preempted", False) or any(words in text for words in NODE_LOST):
        return Answer("lost", "the machine it ran on was lost again and again")
    if type(error).__name__ == "ActorUnavailableError":
        return Answer("lost", "the connection to its worker was lost again and again")
    if any(words in text for words in LOW_MEMORY):
        return Answer("memory", "Ray ended its worker twice because the machine had too little memory")
    return Answer("died", "killed, out of memory or crashed")


def check_nodes(config: WorkerConfig) -> None:
    """Raises StudyError unless every node of the cluster runs this version, computes the same bits and sees the store
    and all files. A store whose locks do not reach other nodes uses leases from now on."""
    import ray

    store = Store.open(config.store)
    files = [str(path) for path in (*config.plugins, config.folder, *([config.data_root] if config.data_root else []))]
    token = uuid.uuid4().hex
    with store.probe_file(token) as probe:
        asked = {}
        for node in ray.nodes():
            if node["Alive"] and node["Resources"].get("CPU", 0) >= 1:
                place = {"num_cpus": 0, "max_retries": 0, "scheduling_strategy": _on(node["NodeID"])}
                answer = ray.remote(node_report).options(**place).remote(str(probe), token, files, surroundings())
                asked[node["NodeManagerAddress"]] = node["NodeID"], answer
        reports = {}
        for host, (number, answer) in asked.items():
            try:
                reports[host] = ray.get(answer, timeout=PROBE_SECONDS)
            except Exception as error:
                # Ray lists a node for some seconds after its loss
                if all(node["NodeID"] != number for node in ray.nodes() if node["Alive"]):
                    continue
                raise StudyError(f"Ray node {host} cannot run prunecheck: {printable_error(error)}") from None
    for host, report in reports.items():
        if not report["sees store"]:
            raise StudyError(
                f"Ray node {host} does not see the store {printable_path(config.store)}. Give --store on a folder that "
                "all nodes share."
            )
        if report["problem"]:
            raise StudyError(f"Ray node {host}: {report['problem']}")
    if not all(report["is locked"] for report in reports.values()):
        store.use_leases()


def node_report(probe: str, token: str, files: list[str], expected: dict[str, Any]) -> dict[str, Any]:
    """What a node says about itself; *probe* is a file in the store with the content *token*, locked by the driver."""
    from prunecheck.store.durable import lock, read_file, unlock

    seen = False
    with suppress(StoreError):
        seen = read_file(Path(probe), limit=100) == token.encode()
    locked = False
    if seen:
        with suppress(StoreError):
            handle = lock(Path(probe), wait=False)
            locked = handle is None
            if handle is not None:
                unlock(handle)
    absent = [path for path in files if not Path(path).exists()]
    problem = f"{absent[0]} is not there. Put it on a folder that all nodes share." if absent else ""
    return {"sees store": seen, "is locked": locked, "problem": problem or difference_to(expected)}


def surroundings() -> dict[str, Any]:
    """What must be equal on all machines of a study, since keys hold it: versions, processor and settings."""
    return {"prunecheck": version("prunecheck"), **numerics(), **numerics("bfloat16")}


def difference_to(expected: dict[str, Any]) -> str:
    """A sentence on how the surroundings here differ from *expected*, those of the driver; or ""."""
    found = surroundings()
    for name in sorted({*expected, *found}):
        if expected.get(name) != found.get(name):
            return (
                f"{name} is {found.get(name)}, but {expected.get(name)} where the study was started, so its results "
                "would have other keys. Use machines and installations of one kind."
            )
    return ""


def _initialise(address: str, most: int | None) -> None:
    import ray

    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if address:
        ray.init(address=address, **quiet)
    else:
        local = {"include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES}
        ray.init(address="local", num_cpus=most, **local, **quiet)


def _on(node: str) -> Any:
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    return NodeAffinitySchedulingStrategy(node_id=node, soft=False)
