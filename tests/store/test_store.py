from __future__ import annotations

import errno
import os
import pickle
from pathlib import Path

import pytest
from store_study import key_of, names_in, objects

from prunecheck.errors import StoreError
from prunecheck.store import Claim, Damaged, Missing, Store, durable, faults

KEY, OTHER = key_of("one"), key_of("two")
FILES = {"b.json": b"{}", "a.bin": bytes(5000)}


# --- commit and read


def test_what_is_committed_can_be_read(store: Store) -> None:
    assert not store.has(KEY)
    store.commit(KEY, FILES)
    assert store.has(KEY)
    assert store.names(KEY) == ("a.bin", "b.json")
    assert {name: store.read(KEY, name) for name in store.names(KEY)} == FILES
    assert store.entries(KEY)["a.bin"].size == 5000
    assert store.fault_of(KEY) is None


def test_an_artefact_may_be_empty(store: Store) -> None:
    store.commit(KEY, {})
    assert store.names(KEY) == ()
    assert store.has(KEY)


def test_the_first_writer_wins(store: Store) -> None:
    store.commit(KEY, {"a": b"1"})
    store.commit(KEY, {"a": b"2", "b": b"3"})
    assert store.names(KEY) == ("a",)
    assert store.read(KEY, "a") == b"1"
    assert names_in(store.root / "tmp") == []


def test_the_first_writer_wins_a_close_race(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.commit(KEY, {"a": b"1"})
    monkeypatch.setattr(Store, "has", lambda *_: False)
    store.commit(KEY, {"a": b"2"})
    monkeypatch.undo()
    assert store.read(KEY, "a") == b"1"
    assert names_in(store.root / "tmp") == []


def test_second_commit_makes_the_first_durable(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.commit(KEY, FILES)
    synced = []
    monkeypatch.setattr(durable, "sync_folder", synced.append)
    store.commit(KEY, FILES)
    assert synced == [store.folder(KEY).parent]


def test_the_same_content_gives_the_same_bytes(place: Path) -> None:
    for name, files in [("one", FILES), ("two", dict(reversed(FILES.items())))]:
        Store.open(place / name).commit(KEY, files)
    assert objects(place / "one") == objects(place / "two")


def test_wrong_file_name_suggests_the_right_one(store: Store) -> None:
    store.commit(KEY, FILES)
    with pytest.raises(
        StoreError, match=rf"'a.bim' is not a file of artefact {KEY[:12]}…\. Did you mean 'a.bin'\?"
    ) as caught:
        store.read(KEY, "a.bim")
    assert not isinstance(caught.value, Damaged)
    assert store.has(KEY)


def test_an_absent_artefact_is_missing(store: Store) -> None:
    for look in (store.names, store.entries, lambda key: store.read(key, "a")):
        with pytest.raises(Missing, match=f"^artefact {KEY[:12]}… is not in the store\\.$"):
            look(KEY)
    assert not store.root.exists()


def test_damaged_artefact_goes_to_quarantine_and_can_be_committed_again(store: Store) -> None:
    store.commit(KEY, FILES)
    (store.folder(KEY) / "a.bin").write_bytes(b"rot")
    assert store.read(KEY, "b.json") == b"{}"
    with pytest.raises(
        Damaged, match=rf"^artefact {KEY[:12]}… is damaged \(a.bin\); it was moved to {store.root}/quarantine\.$"
    ):
        store.read(KEY, "a.bin")
    assert not store.has(KEY)
    (kept,) = (store.root / "quarantine").iterdir()
    assert kept.name.startswith(f"{KEY}-")
    assert (kept / "a.bin").read_bytes() == b"rot"
    store.commit(KEY, FILES)
    assert store.read(KEY, "a.bin") == FILES["a.bin"]


def test_damaged_manifest_is_detected_by_every_read(store: Store) -> None:
    store.commit(KEY, FILES)
    (store.folder(KEY) / "manifest.json").unlink()
    assert store.fault_of(KEY) == "manifest.json"
    with pytest.raises(Damaged, match=r"is damaged \(its manifest\)"):
        store.names(KEY)
    assert not store.has(KEY)


def test_commit_replaces_an_artefact_without_manifest(store: Store) -> None:
    store.folder(KEY).mkdir(parents=True)
    (store.root / "format.json").write_text('{"format": 1}')
    store.commit(KEY, FILES)
    assert store.read(KEY, "b.json") == b"{}"
    assert len(names_in(store.root / "quarantine")) == 1


def test_artefact_repaired_meanwhile_is_not_quarantined(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.commit(KEY, FILES)
    real, answers = durable.read_file, iter([None])
    monkeypatch.setattr(
        durable, "read_file", lambda path, limit: next(answers, None) if path.name == "a.bin" else real(path, limit)
    )
    with pytest.raises(Damaged):
        store.read(KEY, "a.bin")
    assert store.has(KEY)


def test_quarantine_takes_only_what_is_damaged(store: Store) -> None:
    store.commit(KEY, FILES)
    assert store.quarantine(KEY) is False
    assert store.quarantine(OTHER) is False
    (store.folder(KEY) / "b.json").unlink()
    assert store.fault_of(KEY) == "b.json"
    assert store.quarantine(KEY) is True
    assert not store.has(KEY)


def test_drop(store: Store) -> None:
    store.commit(KEY, FILES)
    store.commit(OTHER, FILES)
    store.save_partial(KEY, b"half")
    store.drop(KEY)
    store.drop(KEY)
    assert list(store.keys()) == [OTHER]
    assert store.load_partial(KEY) is None
    assert names_in(store.root / "tmp") == []


def test_drop_of_an_artefact_that_was_dropped_meanwhile(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.commit(OTHER, FILES)
    monkeypatch.setattr(Store, "has", lambda *_: True)
    store.drop(KEY)
    assert names_in(store.root / "tmp") == []


# --- keys


def test_keys_and_missing(store: Store) -> None:
    committed = sorted(key_of(f"{i}") for i in range(40))
    for key in committed:
        store.commit(key, {})
    absent = {key_of(f"absent {i}") for i in range(40)}
    assert list(store.keys()) == committed
    assert store.missing(iter([*committed, *absent, *absent])) == absent
    assert store.missing(committed) == set()
    assert store.missing([]) == set()


def test_keys_ignores_other_files(store: Store) -> None:
    store.commit(KEY, FILES)
    (store.root / "objects" / KEY[:2] / "notes").mkdir()
    (store.root / "objects" / "zz" / KEY).mkdir(parents=True)
    (store.root / "objects" / ".DS_Store").write_bytes(b"")
    assert list(store.keys()) == [KEY]


def test_missing_lists_a_folder_once_however_many_keys(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.commit(KEY, FILES)
    keys = {key_of(f"{i}") for i in range(100_000)}
    listed = []
    real = durable.folder_names
    monkeypatch.setattr(durable, "folder_names", lambda path: listed.append(path) or real(path))
    assert store.missing({*keys, KEY}) == keys - {KEY}
    assert len(listed) == 256


# --- claims


def test_a_claim_keeps_others_out(store: Store) -> None:
    with store.claim(KEY) as claim:
        assert isinstance(claim, Claim)
        assert Store.open(store.root).try_claim(KEY) is None
        with store.claim(OTHER):
            pass
    again = store.try_claim(KEY)
    assert again is not None
    again.release()
    assert names_in(store.root / "claims") == []


def test_a_claim_is_freed_by_an_exception(store: Store) -> None:
    with pytest.raises(KeyboardInterrupt), store.claim(KEY):
        raise KeyboardInterrupt
    with store.claim(KEY):
        pass


# --- scratch


def test_new_process_empties_tmp_after_a_killed_one(store: Store) -> None:
    store.commit(KEY, FILES)
    (store.root / "tmp" / "litter").mkdir()
    (store.root / "tmp" / "litter" / "file").write_bytes(b"1")
    (store.root / "tmp" / ".x.tmp").write_bytes(b"1")
    Store.open(store.root).commit(OTHER, FILES)
    assert names_in(store.root / "tmp") == []


def test_tmp_is_not_emptied_during_a_write(store: Store) -> None:
    with store.writing():
        (store.root / "tmp" / "work").write_bytes(b"1")
        other = Store.open(store.root)
        other.sweep()
        other.commit(KEY, FILES)
        assert names_in(store.root / "tmp") == ["work"]
    store.sweep()
    assert names_in(store.root / "tmp") == []


def test_the_lock_is_freed_when_writing_fails(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.commit(KEY, FILES)
    before = len(names_in(Path("/proc/self/fd")))
    with monkeypatch.context() as patch:
        patch.setattr(faults, "armed", faults.Fault(4, "eio", once=False))
        with pytest.raises(StoreError):
            store.commit(OTHER, FILES)
    assert len(names_in(Path("/proc/self/fd"))) == before
    handle = durable.lock(store.root / "lock", wait=False)
    assert handle is not None
    durable.unlock(handle)


def test_label_files_are_written_once_per_process(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.commit(KEY, FILES)
    swept = []
    monkeypatch.setattr(Store, "sweep", lambda self: swept.append(self))
    monkeypatch.setattr(durable, "write_file", lambda *args, **_: swept.append(args))
    store.commit(OTHER, FILES)
    assert swept == []


# --- the rest


def test_a_store_can_be_sent_to_another_process(store: Store) -> None:
    store.commit(KEY, FILES)
    twin = pickle.loads(pickle.dumps(store))
    assert twin == store
    assert twin.read(KEY, "b.json") == b"{}"
    assert repr(store) == f"Store(root={store.root!r})"


def test_free_bytes(store: Store) -> None:
    assert store.free_bytes() > 0


def test_unreadable_store_is_an_error(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.commit(KEY, FILES)

    def lstat(_path: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "lstat", lstat)
    for look in (lambda: store.has(KEY), lambda: store.missing([KEY]), lambda: list(store.keys())):
        with pytest.raises(StoreError, match="Permission denied"):
            look()


def test_unfinished_files_are_in_tmp(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nowhere else would anybody sweep it up after a kill."""
    temps = []
    real = os.rename
    monkeypatch.setattr(os, "rename", lambda old, new: (temps.append(old.parent), real(old, new)))
    store.commit(KEY, FILES)
    store.save_partial(OTHER, b"half")
    assert len(temps) == 5  # three labels, an artefact, a partial state
    assert set(temps) == {store.root / "tmp"}


def test_folders_are_synced_once_per_process(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.commit(KEY, FILES)
    store.drop(KEY)
    made = []
    monkeypatch.setattr(durable, "ensure_folder", made.append)
    store.commit(KEY, FILES)
    assert made == []
