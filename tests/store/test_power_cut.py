"""After a power cut at any moment: nothing corrupt is accepted, nothing acknowledged is lost, a rerun does the rest."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from crash_model import Change, Recorder, crash_states, materialise
from store_study import assert_recovers, key_of, objects, run_study

from prunecheck.errors import StoreError
from prunecheck.store import Store, durable, verify

Log = list[Change | str]


def record(place: Path, monkeypatch: pytest.MonkeyPatch, steps: int) -> tuple[Log, dict[str, bytes]]:
    """The log of a study on an empty disk, and the bytes it ends with."""
    folder = place / "recorded"
    folder.mkdir()
    recorder = Recorder(folder)
    with monkeypatch.context() as patch:
        patch.setattr(durable, "_act", recorder)
        run_study(folder / "store", steps, recorder.log.append)
        Store.open(folder / "store").drop(key_of("nothing"))
    return recorder.log, objects(folder / "store")


def survive(place: Path, log: Log, expected: dict[str, bytes], steps: int, states: int, seed: int) -> int:
    """Draw crash states and try each different one; returns how many that were."""
    seen = set()
    for changes, acknowledged in crash_states(log, states, random.Random(seed)):
        root = place / "cut"
        root.mkdir()
        materialise(changes, root)
        tree = tuple((str(p), p.is_file() and p.read_bytes()) for p in sorted(root.rglob("*")))
        if (tree, frozenset(acknowledged)) not in seen:
            seen.add((tree, frozenset(acknowledged)))
            assert_recovers(root / "store", steps, acknowledged, expected)
        durable.remove(root)
    return len(seen)


def test_a_power_cut_at_every_operation(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log, expected = record(place, monkeypatch, steps=5)
    assert survive(place, log, expected, steps=5, states=2 * len(log) + 800, seed=3) > 250


@pytest.mark.slow
def test_a_thousand_power_cuts(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log, expected = record(place, monkeypatch, steps=12)
    assert survive(place, log, expected, steps=12, states=12_000, seed=4) > 1_000


def forgets(log: Log, what: str) -> Log:
    """The log of a store that forgets one kind of fsync."""
    folders = {c.target for c in log if isinstance(c, Change) and c.kind == "link" and c.is_folder} | {0}
    return [c for c in log if isinstance(c, str) or c.kind != "sync" or (c.node in folders) is not (what == "folders")]


@pytest.mark.parametrize("what", ["files", "folders"])
def test_the_model_catches_a_store_that_forgets_to_fsync(
    what: str, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, _ = record(place, monkeypatch, steps=3)
    lost = damaged = 0
    for changes, acknowledged in crash_states(forgets(log, what), 600, random.Random(5)):
        root = place / "cut"
        root.mkdir()
        materialise(changes, root)
        try:
            store = Store.open(root / "store")
            damaged += not verify(store).ok
            lost += bool(store.missing(acknowledged))
        except StoreError:  # format.json is damaged
            damaged += 1
        durable.remove(root)
    assert damaged > 10
    assert lost > 10
