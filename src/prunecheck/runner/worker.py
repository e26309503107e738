"""What a worker process does: one step at a time, with one torch thread, so that the number of workers changes no
bit. Its answers are plain text: an exception need not survive pickling, and is none of the parent's classes."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, Literal

from prunecheck.errors import Interrupted, StoreError, is_own
from prunecheck.pruning import load_file
from prunecheck.runner.ranks import QUIET, Ranks, write_reason
from prunecheck.runner.signals import end_process, sigterm_interrupts
from prunecheck.store import Claim, Damaged, Store, Timings
from prunecheck.study.language_study import LanguageFiles
from prunecheck.study.step import Step
from prunecheck.text import printable_error

if TYPE_CHECKING:
    from multiprocessing.connection import Connection


@dataclass(frozen=True)
class WorkerConfig:
    """Everything a worker needs to know beside its steps. ``folder``: the study's, where a network's file may be.

    ``gpus``: the CUDA devices of a study on GPUs, one for each worker by turns. ``tickets_per_gpu``: how many trainings
    at a time; None to find out. ``loader_threads``: how many decode streamed images; None for the number of cores.
    ``language``: where a language model and its texts are.
    ``processes``: of one training; each has a GPU of its own, process 0 the first.
    """

    store: Path
    data_root: str | None
    plugins: tuple[Path, ...]
    folder: Path = Path()
    gpus: tuple[int, ...] = ()
    tickets_per_gpu: int | None = None
    loader_threads: int | None = None
    language: LanguageFiles | None = None
    processes: int = 1


Ended = Literal["done", "failed", "damaged", "memory", "died", "lost", "busy", "store", "interrupted"]


@dataclass(frozen=True)
class Answer:
    """How a step ended. ``reason``: one or two lines, unless it is done. ``seconds`` it took; ``memory``: the most
    bytes the process has held so far. ``damaged``: an input was damaged and has been set aside. ``memory``: there was
    too little. ``died``: the process did; ``lost``: its machine did. ``busy``: another run is computing the step.
    ``store`` and ``interrupted`` end the run."""

    ended: Ended
    reason: str = ""
    seconds: float = 0.0
    memory: int = 0

    def to_bytes(self) -> bytes:
        return json.dumps(asdict(self)).encode()


LONGEST_REASON = 4000
"""characters: an answer must fit into the buffer of a pipe, so that it is sent in one piece or not at all"""

_context: Any = None
_config: WorkerConfig | None = None
_ranks: Ranks | None = None
"""the other processes of this one's trainings; they stay for the next one"""


def initialise(config: WorkerConfig) -> None:
    """Prepare this process for steps: plug-ins, store, one thread. Raises what loading a plug-in raises."""
    global _context, _config
    release()
    from prunecheck.steps import Context  # torch: only a process that runs steps needs it

    for plugin in config.plugins:
        load_file(plugin)
    _context = Context(
        Store.open(config.store),
        config.data_root,
        config.folder,
        config.tickets_per_gpu,
        language=config.language,
        loader_threads=config.loader_threads,
    )
    _config = config
    _fix_numerics()
    if config.gpus:
        _use_gpu(config.gpus[0])


def release() -> None:
    """End the other processes of this one's trainings."""
    global _ranks
    if _ranks is not None:
        _ranks.close()
        _ranks = None


def _use_gpu(number: int) -> None:
    import torch

    # Read when a process first multiplies on a GPU: without it, sums there have no fixed order.
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
    torch.cuda.set_device(number)


def _fix_numerics() -> None:
    """After plug-ins are loaded and before every step, since a plug-in may have changed them."""
    import torch

    torch.set_num_threads(1)
    torch.set_deterministic_debug_mode("warn")  # use_deterministic_algorithms imports a compiler, which takes seconds
    # nothing reads fresh memory, and filling it costs 5 to 9 % of a step
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def do(step: Step) -> Answer:
    """Perform *step*; whatever it raises, but for KeyboardInterrupt, is told in the answer."""
    try:
        seconds = perform(step)
    except _Busy:
        return Answer("busy")
    # KeyboardInterrupt belongs to the caller: in the main process it stops the run.
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return answer_of(error)
    return Answer("done", seconds=seconds, memory=most_memory())


def do_together(steps: Sequence[Step]) -> list[Answer]:
    """Perform trainings of one kind at a time on a GPU; one answer for each, in order. Where that fails, each that did
    not end is performed alone, so that one that cannot be trained disturbs no other."""
    took: dict[str, float] = {}
    try:
        took = _perform_together(steps)
    except Interrupted as error:
        return [answer_of(error)] * len(steps)
    except Exception:
        pass  # it is raised again by the step that caused it
    memory = most_memory()
    return [Answer("done", seconds=took[s.key], memory=memory) if s.key in took else do(s) for s in steps]


def _perform_together(steps: Sequence[Step]) -> dict[str, float]:
    """Key -> seconds, an equal share, of the steps that were performed: those that no other process has or is at."""
    from prunecheck.steps import perform_together

    assert _context is not None, "initialise() comes first"
    store: Store = _context.store
    with sigterm_interrupts(), ExitStack() as claims:
        todo = []
        for step in steps:
            claim = None if store.has(step.key) else store.try_claim(step.key)
            if claim is not None:
                claims.enter_context(claim)
                # Another run on the same store may have finished it just before.
                todo += [] if store.has(step.key) else [step]
        _fix_numerics()
        begun = time.monotonic()
        if todo:
            perform_together(todo, _context)
        seconds = (time.monotonic() - begun) / max(len(todo), 1)
    for step in todo:
        Timings(store).record(step.cost_class, seconds / max(step.cost_units, 1.0), step.key)
    return {step.key: seconds for step in todo}


class _Busy(Exception):
    """Another process holds the claim."""


def _claimed(store: Store, key: str) -> Claim:
    claim = store.try_claim(key)
    if claim is None:
        raise _Busy
    return claim


def perform(step: Step) -> float:
    """Perform *step* unless its artefact exists and return the seconds it took. SIGTERM raises Interrupted; _Busy is
    raised if another process is at it."""
    assert _context is not None, "initialise() comes first"
    store: Store = _context.store
    if store.has(step.key):
        return 0.0
    with sigterm_interrupts(), _claimed(store, step.key):
        # Another run on the same store may have finished it just before.
        if store.has(step.key):
            return 0.0
        _fix_numerics()
        begun = time.monotonic()
        _perform_with_others(step)
    seconds = time.monotonic() - begun
    Timings(store).record(step.cost_class, seconds / max(step.cost_units, 1.0), step.key)
    return seconds


def _perform_with_others(step: Step) -> None:
    """Perform *step*, a training of several processes together with them."""
    global _ranks
    from prunecheck.steps import perform as perform_step

    size = step.params.get("processes", 1)
    if size == 1:
        perform_step(step, _context)
        return
    if _ranks is not None and _ranks.size != size:
        release()
    assert _config is not None
    if _ranks is None:
        _ranks = Ranks(serve_rank, _config, size, _backend(_config))
    try:
        _context.group = _ranks.group
        _ranks.perform(step, lambda: perform_step(step, _context))
    except BaseException:
        _ranks = None  # it has ended its processes
        raise
    finally:
        _context.group = None


def _backend(config: WorkerConfig) -> str:
    """What the processes of a training exchange tensors by; on one machine, without its network."""
    for name in ("lo", "lo0"):
        if Path("/sys/class/net", name).exists() or (sys.platform == "darwin" and name == "lo0"):
            os.environ.setdefault("GLOO_SOCKET_IFNAME", name)
    return "nccl" if config.gpus else "gloo"


def serve_rank(config: WorkerConfig, rank: int, size: int, meeting: str, connection: Connection) -> None:
    """The life of process *rank* of trainings that several processes do together: one training after the other until
    process 0, its parent, closes the connection or is gone. It writes nothing."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # process 0 decides
    os.dup2(2, 1)
    Thread(target=_end_with_parent, daemon=True).start()
    status = 0
    try:
        initialise(replace(config, gpus=config.gpus[rank : rank + 1]))
        write_reason(connection, "")
        from prunecheck.steps import compute
        from prunecheck.training.parallel import join

        _context.group = join(meeting, rank, size, _backend(config))
        while True:
            step = Step(**json.loads(connection.recv_bytes()))
            _fix_numerics()
            compute(step, _context)
            write_reason(connection, "")
    except (EOFError, OSError):
        pass  # the parent is gone, or has no more steps
    except BaseException as error:
        status = QUIET
        # that another process ended is not the reason
        if type(error).__name__ != "ProcessLost":
            with suppress(OSError):
                write_reason(connection, answer_of(error).reason)
    finally:
        end_process(status)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(QUIET)


def answer_of(error: BaseException) -> Answer:
    """*error* in words."""
    text = str(error) if is_own(error) else printable_error(error)
    ended: Ended = "failed"
    if isinstance(error, Interrupted):
        ended = "interrupted"
    elif isinstance(error, StoreError) and is_own(error):
        # Damaged is a StoreError too, but concerns one artefact only and does not end the run.
        ended = "damaged" if isinstance(error, Damaged) else "store"
    elif _is_lack_of_memory(error):
        ended = "memory"
    return Answer(ended, text[:LONGEST_REASON], memory=most_memory())


def _is_lack_of_memory(error: BaseException) -> bool:
    """torch raises a RuntimeError for main memory, and a class of its own for a GPU's."""
    is_torch_error = isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error)
    return isinstance(error, MemoryError) or is_torch_error or type(error).__name__ == "OutOfMemoryError"


def most_memory() -> int:
    """The most bytes this process has held at once; 0 where the system does not tell."""
    if sys.platform == "win32":
        return 0
    from resource import RUSAGE_SELF, getrusage

    # Linux counts in KiB, macOS in bytes.
    return getrusage(RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def serve(config: WorkerConfig, connection: Connection) -> None:
    """The life of a worker process: say that it is ready, or why not, and do one step after the other until the parent
    closes the connection or is gone."""
    own = os.getpid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's business
    os.dup2(2, 1)  # what plug-ins print must not get among the results on stdout
    try:
        initialise(config)
        ready = Answer("done")
    except BaseException as error:
        ready = answer_of(error)
    try:
        connection.send_bytes(ready.to_bytes())
        while ready.ended == "done":
            steps = [Step(**described) for described in json.loads(connection.recv_bytes())]
            try:
                answers = do_together(steps) if len(steps) > 1 else [do(steps[0])]
            except KeyboardInterrupt as error:  # a plug-in raised it: this process ignores Ctrl-C
                answers = [answer_of(error)] * len(steps)
            if os.getpid() != own:
                break  # a child that a plug-in forked came back here; the answer is its parent's
            for answer in answers:
                connection.send_bytes(answer.to_bytes())
    except (EOFError, OSError):
        pass  # the parent is gone, or has no more steps
    finally:
        end_process(0)
