"""Ctrl-C and SIGTERM to a command in the middle of a step that would take minutes: one line, the right exit code, no
process left, and the same command continues."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from . import tiny

SLEEPS = """
    import time
    from pathlib import Path

    from prunecheck.pruning import method

    @method
    def sleepy(weights):
        tried, mark = Path({mark!r} + ".tried"), Path({mark!r})
        if not tried.exists():
            tried.touch()
        elif not mark.exists():
            mark.touch()
            time.sleep(500)
        return {{n: w.abs() for n, w in weights.items()}}
"""


def as_toml(fields: dict[str, object]) -> str:
    def value(thing: object) -> str:
        if isinstance(thing, dict):
            return "{" + ", ".join(f"{key} = {value(inner)}" for key, inner in thing.items()) + "}"
        return json.dumps(thing)

    return "\n".join(f"{key} = {value(thing)}" for key, thing in fields.items())


def alive(group: int) -> list[str]:
    """Command lines of the living processes of a process group."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            state, _, pgrp = (entry / "stat").read_text().rpartition(")")[2].split()[:3]
            if entry.name.isdigit() and int(pgrp) == group and state != "Z":
                found.append((entry / "cmdline").read_text())
        except (OSError, ValueError):
            continue
    return found


PATIENCE_SECONDS = 200
"""far more than anything takes here, and far less than the steps that sleep"""


def wait_until(what: str, true: object) -> None:
    assert callable(true)
    end = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < end, f"{what}: not within {PATIENCE_SECONDS} s"
        time.sleep(0.05)


pytestmark = [
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc"),
    pytest.mark.timeout(300),
]


def begin(folder: Path, workers: int, **changes: Any) -> subprocess.Popen[str]:
    """The command line, running the study in a separate session."""
    path = folder / "tiny.toml"
    path.write_text(as_toml(tiny.fields(**changes)))
    command = [sys.executable, "-c", "import sys; from prunecheck.cli import main; sys.exit(main())", "run", str(path)]
    command += ["--workers", str(workers), "--store", str(folder / "store"), "--out", str(folder / "out")]
    return subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def stop(process: subprocess.Popen[str], number: signal.Signals, to_all: bool) -> None:
    """Stop it and check its last output: one line, the right code, no process left."""
    try:
        (os.killpg if to_all else os.kill)(process.pid, number)
        out, err = process.communicate(timeout=PATIENCE_SECONDS)
        wait_until("all processes have ended", lambda: not alive(process.pid))
    finally:
        if alive(process.pid):
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == {signal.SIGINT: 130, signal.SIGTERM: 75}[number], err
    assert out == ""
    last = err.splitlines()[-1]
    assert last.startswith("prunecheck: ")
    assert "the same command again to continue" in last
    assert "Traceback" not in err
    assert "KeyboardInterrupt" not in err


@pytest.mark.parametrize(
    ("number", "workers", "to_all"),
    [
        pytest.param(signal.SIGINT, 2, True, id="Ctrl-C in a terminal reaches all"),
        pytest.param(signal.SIGTERM, 1, False, id="SIGTERM, one process", marks=pytest.mark.slow),
        pytest.param(signal.SIGINT, 1, False, id="SIGINT, one process", marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, 2, False, id="SIGTERM, workers", marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, 2, True, id="SIGTERM to all", marks=pytest.mark.slow),
    ],
)
def test_stopped_in_the_middle_of_a_step(number: signal.Signals, workers: int, to_all: bool, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    changes = {"methods": ["sleepy", "snip"], "plugins": [tiny.plugin(tmp_path, SLEEPS.format(mark=str(mark)))]}
    process = begin(tmp_path, workers, **changes)
    wait_until("the long step begins", lambda: mark.exists() or process.poll() is not None)
    stop(process, number, to_all)
    before = tiny.objects(tmp_path)
    tiny.run(tmp_path, **changes)
    assert before
    assert before.items() <= tiny.objects(tmp_path).items()


STUCK_IN_THE_LAST_EPOCH = """
    import time
    from pathlib import Path

    from prunecheck.training.feed import Feed

    real = Feed.draws

    def draws(self, recipe, seed, phase, epoch, **order):
        mark = Path({marks!r}) / phase
        if epoch == 2 and not mark.exists():
            mark.touch()
            time.sleep(500)
        return real(self, recipe, seed, phase, epoch, **order)

    Feed.draws = draws
"""


@pytest.mark.parametrize(
    ("number", "workers", "to_all"),
    [
        pytest.param(signal.SIGTERM, 1, False, id="SIGTERM, one process", marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, 2, True, id="SIGTERM to all", marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, 2, False, id="SIGTERM, workers", marks=pytest.mark.long),
        pytest.param(signal.SIGINT, 2, True, id="Ctrl-C in a terminal reaches all", marks=pytest.mark.long),
        pytest.param(signal.SIGINT, 1, False, id="SIGINT, one process", marks=pytest.mark.long),
    ],
)
def test_a_training_puts_down_its_last_epochs_end(
    number: signal.Signals, workers: int, to_all: bool, tmp_path: Path
) -> None:
    """Long before its next checkpoint is due; and what goes on from there ends with the bytes of an undisturbed run."""
    (tmp_path / "marks").mkdir()
    plugin = tiny.plugin(tmp_path, STUCK_IN_THE_LAST_EPOCH.format(marks=str(tmp_path / "marks")))
    changes = {"training": {"epochs": 3, "rewind_epoch": 1, "batch_size": 30}, "methods": ["snip"]}
    process = begin(tmp_path, workers, plugins=[plugin], **changes)
    wait_until("the last epoch", lambda: list((tmp_path / "marks").iterdir()) or process.poll() is not None)
    stop(process, number, to_all)
    partial = [path.name for path in (tmp_path / "store" / "partial").iterdir()]
    assert len(partial) == 1
    tiny.run(tmp_path, **changes)
    tiny.run(tmp_path / "alone", **changes)
    assert tiny.objects(tmp_path) == tiny.objects(tmp_path / "alone")


@pytest.mark.slow
def test_workers_do_not_outlive_a_killed_run(tmp_path: Path) -> None:
    """They finish their step, and do not wait for more for ever."""
    process = begin(tmp_path, 2, seeds=3)
    try:
        wait_until("the first artefact", lambda: tiny.objects(tmp_path) or process.poll() is not None)
        process.kill()
        process.communicate(timeout=PATIENCE_SECONDS)
        wait_until("all processes have ended", lambda: not alive(process.pid))
    finally:
        if alive(process.pid):
            os.killpg(process.pid, signal.SIGKILL)


def test_ctrl_c_while_the_workers_are_still_starting(tmp_path: Path) -> None:
    """They import torch for seconds, in a process that reads no terminal. The sleep makes sure that the study is not
    finished before the signal, however late that is sent."""
    mark = tmp_path / "mark"
    changes = {"methods": ["sleepy", "snip"], "plugins": [tiny.plugin(tmp_path, SLEEPS.format(mark=str(mark)))]}
    process = begin(tmp_path, 2, **changes)
    wait_until("a second process", lambda: len(alive(process.pid)) > 2 or process.poll() is not None)
    stop(process, signal.SIGINT, to_all=True)
    before = tiny.objects(tmp_path)  # usually none
    mark.touch()
    tiny.run(tmp_path, **changes)
    assert before.items() <= tiny.objects(tmp_path).items()
