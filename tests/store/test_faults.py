"""SQLite's method: break the N-th I/O operation, for N = 1, 2, … until the run gets through."""

from __future__ import annotations

import errno
import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from store_study import KILLED, assert_recovers, in_child, key_of, names_in, objects, run_study, start_child, wait_for

from prunecheck.errors import StoreError, StudyError
from prunecheck.store import Store, durable, faults, verify

FEW, MANY = 3, 40


def undisturbed(place: Path, steps: int) -> dict[str, bytes]:
    run_study(place / "undisturbed", steps)
    return objects(place / "undisturbed")


def failure_of(root: Path, steps: int, acknowledged: set[str]) -> str | None:
    try:
        run_study(root, steps, acknowledged.add)
    except StoreError as error:
        return str(error)
    return None


def break_every_operation(place: Path, mode: str, once: bool, steps: int, monkeypatch: pytest.MonkeyPatch) -> int:
    expected = undisturbed(place, steps)
    for at in range(1, 100_000):
        root, acknowledged = place / f"{at}", set()
        fault = faults.Fault(at, mode, once)
        with monkeypatch.context() as patch:
            patch.setattr(faults, "armed", fault)
            failure = failure_of(root, steps, acknowledged)
        assert failure is None or ("the same command resumes" in failure and "\n" not in failure)
        assert_recovers(root, steps, acknowledged, expected)
        durable.remove(root)
        if fault.count < at:
            assert failure is None
            return at - 1
    raise AssertionError("never got through")


@pytest.mark.parametrize("once", [True, False], ids=["once", "permanent"])
@pytest.mark.parametrize("mode", ["enospc", "eio", "torn"])
def test_an_error_at_every_operation(mode: str, once: bool, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert break_every_operation(place, mode, once, FEW, monkeypatch) > 60


@pytest.mark.slow
@pytest.mark.parametrize("once", [True, False], ids=["once", "permanent"])
@pytest.mark.parametrize("mode", ["enospc", "eio", "torn"])
def test_an_error_at_every_operation_of_a_longer_study(
    mode: str, once: bool, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert break_every_operation(place, mode, once, 12, monkeypatch) > 250


def kill_at_every_operation(place: Path, steps: int) -> int:
    expected = undisturbed(place, steps)
    for at in range(1, 100_000):
        root, log = place / f"{at}", place / f"{at}.log"

        def work(at: int = at, root: Path = root, log: Path = log) -> None:
            handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            faults.armed = faults.Fault(at, "kill", once=False)
            run_study(root, steps, lambda key: os.write(handle, key.encode() + b"\n") and None)

        status = in_child(work)
        assert_recovers(root, steps, set(log.read_text().split()), expected)
        durable.remove(root)
        if status == 0:
            return at - 1
        assert status == KILLED
    raise AssertionError("never got through")


def test_a_kill_at_every_operation(place: Path) -> None:
    assert kill_at_every_operation(place, FEW) > 60


@pytest.mark.slow
def test_a_kill_at_every_operation_of_a_longer_study(place: Path) -> None:
    assert kill_at_every_operation(place, 12) > 250


def kill_at_random(place: Path, kills: int, rng: random.Random) -> None:
    """One study that is killed again and again, after a random time, until it is through; then the next."""
    expected, begin = undisturbed(place, MANY), time.perf_counter()
    run_study(place / "timed", MANY)
    duration, root, log, killed = time.perf_counter() - begin, place / "0", place / "log", 0

    def work() -> None:
        handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        run_study(root, MANY, lambda key: os.write(handle, key.encode() + b"\n") and None)

    while killed < kills:
        child = start_child(work)
        time.sleep(rng.uniform(0, duration / 3))
        os.kill(child, signal.SIGKILL)
        status = wait_for(child)
        killed += status == KILLED
        acknowledged = log.read_text().split() if log.exists() else []
        assert status in (0, KILLED)
        assert len(acknowledged) == len(set(acknowledged)), "a committed step ran again"
        assert verify(Store.open(root)).ok
        assert not Store.open(root).missing(acknowledged)
        if status == 0 or len(acknowledged) >= MANY - 1:
            assert_recovers(root, MANY, set(acknowledged), expected)
            durable.remove(root)
            log.unlink()


def test_kill_9_at_random_moments(place: Path) -> None:
    kill_at_random(place, 20, random.Random(1))


@pytest.mark.slow
def test_kill_9_at_200_random_moments(place: Path) -> None:
    kill_at_random(place, 200, random.Random(2))


def test_the_variable_breaks_a_real_process(place: Path) -> None:
    script = "import sys, store_study, pathlib; store_study.run_study(pathlib.Path(sys.argv[1]), 3)"
    for value, code, words in [("30:kill", KILLED, ""), ("30:enospc", 1, "The disk is full.")]:
        environment = {**os.environ, faults.VARIABLE: value, "PYTHONPATH": str(Path(__file__).parent)}
        command = [sys.executable, "-c", script, str(place / value.replace(":", "-"))]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stderr
        assert words in done.stderr


def test_a_file_size_limit_ends_in_one_sentence(place: Path) -> None:
    root, files = place / "store", {"big.bin": bytes(50_000)}

    def work() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
        try:
            Store.open(root).commit(key_of("big"), files)
        except StoreError as error:
            (place / "message").write_text(str(error))
            raise

    assert in_child(work) == 74
    assert "size limit" in (place / "message").read_text()
    store = Store.open(root)
    assert list(store.keys()) == []
    assert names_in(root / "tmp") == []
    store.commit(key_of("big"), files)
    assert store.read(key_of("big"), "big.bin") == files["big.bin"]


def test_parse() -> None:
    assert faults.parse(None) is None
    assert faults.parse("") is None
    assert faults.parse("3:eio") == faults.Fault(3, "eio", once=False)
    assert faults.parse("12:kill:once") == faults.Fault(12, "kill", once=True)


@pytest.mark.parametrize("text", ["x", "3", "3:", "3:fire", "x:eio", "3:eio:twice", "-1:eio", "٣:eio", "3:eio:once:"])
def test_parse_refuses(text: str) -> None:
    with pytest.raises(
        StudyError, match=r"PRUNECHECK_FAULT=.*: write N:kill\|enospc\|eio\|torn\[:once\], for example 3:eio:once\.$"
    ):
        faults.parse(text)


@pytest.mark.parametrize(("mode", "code"), [("enospc", errno.ENOSPC), ("eio", errno.EIO), ("torn", errno.EIO)])
def test_strike_breaks_from_the_chosen_operation_on(mode: str, code: int) -> None:
    fault = faults.Fault(3, mode, once=False)
    broken = []
    for turn in range(1, 6):
        try:
            fault.strike("fsync", os.fsync, -1)
        except OSError as error:
            broken.append((turn, error.errno, error.strerror))
    assert broken == [(turn, code, os.strerror(code)) for turn in (3, 4, 5)]
    assert fault.count == 5


def test_strike_once() -> None:
    fault = faults.Fault(2, "eio", once=True)
    fault.strike("read", os.read)
    with pytest.raises(OSError):
        fault.strike("read", os.read)
    fault.strike("read", os.read)


def test_torn_stores_half_of_a_write(place: Path) -> None:
    handle = os.open(place / "file", os.O_WRONLY | os.O_CREAT)
    with pytest.raises(OSError):
        faults.Fault(1, "torn", once=True).strike("write", os.write, handle, b"12345678")
    os.close(handle)
    assert (place / "file").read_bytes() == b"1234"


def test_other_modes_store_nothing_of_a_write(place: Path) -> None:
    handle = os.open(place / "file", os.O_WRONLY | os.O_CREAT)
    with pytest.raises(OSError):
        faults.Fault(1, "enospc", once=True).strike("write", os.write, handle, b"12345678")
    os.close(handle)
    assert (place / "file").read_bytes() == b""


def test_kill_mode_uses_sigkill(monkeypatch: pytest.MonkeyPatch) -> None:
    killed = []
    monkeypatch.setattr(os, "kill", lambda *how: killed.append(how))
    with pytest.raises(OSError):
        faults.Fault(1, "kill", once=True).strike("fsync", os.fsync, -1)
    assert killed == [(os.getpid(), signal.SIGKILL)]
