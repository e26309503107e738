from __future__ import annotations

import random
from pathlib import Path

import pytest
from store_study import key_of, names_in, objects

from prunecheck.errors import StoreError
from prunecheck.store import Garbage, Report, Sizes, Store, gc, maintenance, sizes, verify

KEYS = sorted(key_of(f"{i}") for i in range(6))


@pytest.fixture
def filled(store: Store) -> Store:
    for key in KEYS:
        store.commit(key, {"a.bin": bytes(100)})
    store.save_partial(key_of("half"), b"half")
    return store


def manifest_bytes(store: Store, key: str = KEYS[0]) -> int:
    return (store.folder(key) / "manifest.json").stat().st_size


def partial_bytes(store: Store) -> int:
    return store.partial_path(key_of("half")).stat().st_size


def test_verify_an_absent_store(store: Store) -> None:
    assert verify(store) == Report(0, 0, (), ())
    assert not store.root.exists()


def test_verify(filled: Store) -> None:
    assert verify(filled) == Report(6, 6 * (100 + manifest_bytes(filled)), (), ())
    assert verify(filled).ok


def test_verify_counts_what_was_damaged(filled: Store) -> None:
    (filled.folder(KEYS[2]) / "a.bin").write_bytes(bytes(99))
    report = verify(filled)
    assert report == Report(6, 6 * (100 + manifest_bytes(filled)) - 1, (KEYS[2],), ())
    assert not report.ok
    assert not filled.has(KEYS[2])


def test_verify_lists_unrecognised_files_and_does_not_change_them(filled: Store) -> None:
    prefix = KEYS[0][:2]
    (filled.root / "objects" / prefix / "notes.txt").write_text("mine")
    (filled.root / "objects" / ".DS_Store").write_text("mine")
    (filled.root / "objects" / "zz" / KEYS[0]).mkdir(parents=True)
    report = verify(filled)
    assert report.unrecognised == ("objects/.DS_Store", f"objects/{prefix}/notes.txt")
    assert report.ok
    assert (filled.root / "objects" / ".DS_Store").exists()


def test_gc_is_a_dry_run_by_default(filled: Store) -> None:
    before = objects(filled.root)
    garbage = gc(filled, keep=KEYS[:4])
    size = 2 * (100 + manifest_bytes(filled)) + partial_bytes(filled)
    assert garbage == Garbage(tuple(KEYS[4:]), (key_of("half"),), size)
    assert objects(filled.root) == before


@pytest.mark.parametrize("keep", [KEYS[:4], set(KEYS[:4]), lambda key: key in KEYS[:4]])
def test_gc(keep: object, filled: Store) -> None:
    (filled.root / "tmp" / "litter").write_bytes(b"1")
    planned = gc(filled, keep)  # type: ignore[arg-type]
    assert gc(filled, keep, dry_run=False) == planned  # type: ignore[arg-type]
    assert list(filled.keys()) == KEYS[:4]
    assert filled.load_partial(key_of("half")) is None
    assert names_in(filled.root / "tmp") == []
    assert verify(filled).ok


def test_gc_keeps_a_kept_partial_state_but_not_that_of_a_committed_key(filled: Store) -> None:
    filled.save_partial(KEYS[0], b"left by a kill right after the commit")
    garbage = gc(filled, keep=lambda _key: True, dry_run=False)
    assert garbage.partials == (KEYS[0],)
    assert garbage.artefacts == ()
    assert filled.load_partial(key_of("half")) == b"half"
    assert filled.has(KEYS[0])


def test_gc_asks_about_partial_states_by_key(filled: Store) -> None:
    garbage = gc(filled, keep={key_of("half")})
    assert garbage.partials == ()
    assert garbage.artefacts == tuple(KEYS)


def test_gc_does_not_change_quarantine(filled: Store) -> None:
    (filled.folder(KEYS[0]) / "a.bin").unlink()
    verify(filled)
    gc(filled, keep=(), dry_run=False)
    assert len(names_in(filled.root / "quarantine")) == 1
    assert list(filled.keys()) == []


def test_gc_refuses_while_a_step_is_running(filled: Store) -> None:
    with (
        filled.claim(key_of("at work")),
        pytest.raises(
            StoreError, match=r"^a study is running on .*store\. Wait until it is finished, then try again\.$"
        ),
    ):
        gc(filled, keep=(), dry_run=False)
    assert list(filled.keys()) == KEYS
    with filled.claim(key_of("at work")):
        assert gc(filled, keep=()).artefacts == tuple(KEYS)


def test_gc_runs_despite_the_claim_of_a_dead_process(filled: Store) -> None:
    (filled.root / "claims" / key_of("dead")).touch()
    (filled.root / "claims" / "notes").touch()
    gc(filled, keep=(), dry_run=False)
    assert list(filled.keys()) == []
    assert names_in(filled.root / "claims") == ["notes"]


def test_gc_of_an_absent_store(store: Store) -> None:
    assert gc(store, keep=()) == Garbage((), (), 0)
    assert not store.root.exists()


def test_gc_never_removes_reachable_artefacts(place: Path) -> None:
    """200 random families of steps; kept is what the wanted steps need, directly or not."""
    rng = random.Random(1)
    for number in range(200):
        store = Store.open(place / f"{number}")
        keys = [key_of(f"{number} {i}") for i in range(8)]
        parents = {key: rng.sample(keys[:i], rng.randint(0, min(i, 2))) for i, key in enumerate(keys)}
        for key in keys:
            store.commit(key, {"upstream": " ".join(parents[key]).encode()})
        reachable, queue = set(), rng.sample(keys, 2)
        while queue:
            key = queue.pop()
            reachable.add(key)
            queue += parents[key]
        garbage = gc(store, reachable, dry_run=False)
        assert set(store.keys()) == reachable
        assert set(garbage.artefacts) == set(keys) - reachable


def test_sizes(filled: Store) -> None:
    each = 100 + manifest_bytes(filled)
    assert sizes(filled) == Sizes(6, 6 * each, 1, partial_bytes(filled), 0, 0)
    (filled.folder(KEYS[0]) / "a.bin").write_bytes(bytes(30))
    (filled.root / "partial" / "notes").write_bytes(bytes(5))
    verify(filled)
    assert sizes(filled) == Sizes(5, 5 * each, 1, partial_bytes(filled), 1, each - 70)


def test_sizes_of_an_absent_store(store: Store) -> None:
    assert sizes(store) == Sizes(0, 0, 0, 0, 0, 0)


def test_bytes_of_an_absent_path(place: Path) -> None:
    assert maintenance._bytes_of(place / "gone") == 0
    (place / "link").symlink_to("/etc")
    assert maintenance._bytes_of(place) < 100
