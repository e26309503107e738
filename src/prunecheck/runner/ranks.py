"""The processes of one training beside this one: started once, given one training after the other, ended together.

They are children of the process that runs the step, on the same machine; this one is process 0 of the group. Steps go
to them through pipes as plain text, results through the group itself: process 0 alone writes to the store.
"""

from __future__ import annotations

import atexit
import json
import multiprocessing
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunecheck.errors import StepError
from prunecheck.runner.child_process import as_child, death_in_words
from prunecheck.study.step import Step

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

    from prunecheck.training.parallel import Group

QUIET = 3
"""exit status of a process that ended because another did: not the reason"""
DEATH_SECONDS = 5.0
"""how long the process that ended is looked for"""

Serve = Callable[[Any, int, int, str, "Connection"], None]
"""serve(config, rank, size, meeting, connection): the life of one of the processes"""


class Ranks:
    """Processes 1 to ``size - 1``. Raises StepError where one cannot be set up."""

    def __init__(self, serve: Serve, config: Any, size: int, backend: str) -> None:
        self.size = size
        self._folder = Path(tempfile.mkdtemp(prefix="prunecheck-"))
        self._others: list[tuple[BaseProcess, Connection]] = []
        atexit.register(self.close)  # before multiprocessing waits for its children
        meeting = str(self._folder / "meeting")
        context = multiprocessing.get_context("spawn")
        try:
            for rank in range(1, size):
                ours, theirs = context.Pipe()
                arguments = (config, rank, size, meeting, theirs)
                process: BaseProcess = context.Process(target=serve, args=arguments)
                with as_child():
                    process.start()
                theirs.close()
                self._others.append((process, ours))
            for _, connection in self._others:
                if self._answer(connection) != "":
                    raise StepError(self._why())
            self.group = self._joined(meeting, backend)
        except BaseException:
            self.close()
            raise

    def _joined(self, meeting: str, backend: str) -> Group:
        from prunecheck.training.parallel import ProcessLost, join  # torch

        try:
            return join(meeting, 0, self.size, backend)
        except ProcessLost as error:
            raise StepError(self._why()) from error

    def perform(self, step: Step, work: Callable[[], None]) -> None:
        """Let all processes do *step*; *work* is this one's part. Raises StepError that says which process ended."""
        from prunecheck.training.parallel import ProcessLost  # torch

        try:
            for _, connection in self._others:
                with suppress(OSError):  # it is gone, which the first exchange with it will find
                    connection.send_bytes(json.dumps(step.to_dict()).encode())
            work()
            for _, connection in self._others:
                if self._answer(connection) != "":
                    raise StepError(self._why())
        except ProcessLost as error:
            reason = self._why()
            self.close()
            raise StepError(reason) from error
        except BaseException:
            self.close()  # they would wait for this process
            raise

    def _answer(self, connection: Connection) -> str | None:
        """What a process says: nothing where all is well, or why it failed; None where it is gone."""
        try:
            return str(json.loads(connection.recv_bytes())["reason"])
        except (EOFError, OSError, ValueError):
            return None

    def _why(self) -> str:
        """Which process ended, and why."""
        waiting: dict[Any, int] = {process.sentinel: rank for rank, (process, _) in enumerate(self._others, start=1)}
        while waiting and (ended := wait(list(waiting), DEATH_SECONDS)):
            for sentinel in ended:
                rank = waiting.pop(sentinel)
                process, connection = self._others[rank - 1]
                process.join(DEATH_SECONDS)
                said = self._answer(connection) if connection.poll() else None
                if said:
                    return said
                if process.exitcode != QUIET:
                    return (
                        f"process {rank + 1} of {self.size} of this training ended "
                        f"({death_in_words(process.exitcode)}). Run the study again: it goes on from the last "
                        "finished epoch."
                    )
        return f"a process of the {self.size} of this training does not answer. Run the study again."

    def close(self) -> None:
        """End the processes, at once."""
        atexit.unregister(self.close)
        for process, connection in self._others:
            connection.close()
            process.kill()
        for process, _ in self._others:
            process.join()
        self._others = []
        from prunecheck.training.parallel import leave  # torch

        leave()
        shutil.rmtree(self._folder, ignore_errors=True)


def write_reason(connection: Connection, reason: str) -> None:
    """What ``Ranks`` reads as the answer of a process."""
    connection.send_bytes(json.dumps({"reason": reason}).encode())
