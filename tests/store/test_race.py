"""Several processes on one store: each step is done once, none waits for a dead process, all bytes are those of one."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest
from store_study import KILLED, content, key_of, names_in, objects, run_study, start_child, wait_for

from prunecheck.store import Damaged, Store, verify

STEPS = 15


def race(place: Path, round_number: int, kills: int) -> None:
    """Four processes run one study; *kills* of them are killed on the way."""
    root, log, rng = place / f"{round_number}", place / f"{round_number}.log", random.Random(round_number)

    def work() -> None:
        handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        run_study(root, STEPS, lambda key: os.write(handle, key.encode() + b"\n") and None)

    children = [start_child(work) for _ in range(4)]
    for child in children[:kills]:
        time.sleep(rng.uniform(0, 0.01))
        os.kill(child, signal.SIGKILL)
    statuses = [wait_for(child) for child in children]
    assert set(statuses[:kills]) <= {0, KILLED}
    assert set(statuses[kills:]) == {0}
    committed = log.read_text().split()
    assert len(committed) == len(set(committed)) >= STEPS - kills, "a step was committed twice, or not at all"
    assert verify(Store.open(root)).ok
    assert not Store.open(root).missing(key_of(f"step {step}") for step in range(STEPS))


@pytest.mark.parametrize("kills", [0, 3])
def test_four_processes_one_study(kills: int, place: Path) -> None:
    run_study(place / "alone", STEPS)
    expected = {path: data for path, data in objects(place / "alone").items() if path.startswith("objects")}
    for number in range(3):
        race(place, number, kills)
        found = objects(place / f"{number}")
        assert {path: data for path, data in found.items() if path.startswith("objects")} == expected


@pytest.mark.slow
@pytest.mark.parametrize("kills", [0, 1, 3])
def test_four_processes_one_study_20_times(kills: int, place: Path) -> None:
    for number in range(20):
        race(place, number, kills)


def test_four_processes_without_claims_commit_the_same_keys(place: Path) -> None:
    """Different bytes under one key: whoever was first, an artefact is all his."""

    def work(number: int) -> None:
        store = Store.open(place / "store")
        for i in range(30):
            store.commit(key_of(f"{i}"), {"a": b"%d" % number * 100, "b": b"%d" % number})

    children = [start_child(lambda number=number: work(number)) for number in range(4)]
    assert [wait_for(child) for child in children] == [0, 0, 0, 0]
    store = Store.open(place / "store")
    assert len(list(store.keys())) == 30
    for key in store.keys():  # noqa: SIM118
        assert store.read(key, "a") == store.read(key, "b") * 100
    assert names_in(store.root / "tmp") == []


def test_the_claim_of_a_killed_process_is_free(store: Store, place: Path) -> None:
    def work() -> None:
        claim = store.claim(key_of("one"))
        (place / "claimed").touch()
        signal.pause()
        claim.release()

    child = start_child(work)
    while not (place / "claimed").exists():
        time.sleep(0.001)
    assert store.try_claim(key_of("one")) is None
    os.kill(child, signal.SIGKILL)
    assert wait_for(child) == KILLED
    with store.claim(key_of("one")):
        pass


def test_many_claims_of_one_key_one_holder_at_a_time(store: Store, place: Path) -> None:
    counter = place / "counter"
    counter.write_text("0")

    def work() -> None:
        for _ in range(50):
            with store.claim(key_of("one")):
                counter.write_text(str(int(counter.read_text()) + 1))

    children = [start_child(work) for _ in range(4)]
    assert [wait_for(child) for child in children] == [0, 0, 0, 0]
    assert counter.read_text() == "200"


def test_two_readers_of_one_damaged_artefact(store: Store) -> None:
    """Each may set it aside, neither may set aside what the other has put in its place."""
    key, files = key_of("one"), content(b"", 1)
    for _ in range(20):
        store.commit(key, files)
        (store.folder(key) / "result.bin").write_bytes(b"rot")

        def work() -> None:
            run = Store.open(store.root)
            while True:
                try:
                    run.read(key, "result.bin")
                    return
                except Damaged:
                    run.commit(key, files)

        children = [start_child(work) for _ in range(3)]
        assert [wait_for(child) for child in children] == [0, 0, 0]
        assert store.read(key, "result.bin") == files["result.bin"]
        store.drop(key)
