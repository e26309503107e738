"""Keys, names and links that want to lead out of the store, or have another meaning somewhere."""

from __future__ import annotations

from pathlib import Path

import pytest
from store_study import everything, key_of, names_in

from prunecheck.errors import StoreError
from prunecheck.store import Missing, Store

KEY, OTHER = key_of("one"), key_of("two")
FILES = {"b.json": b"{}", "a.bin": bytes(5000)}


BAD_KEYS = [
    "",
    "..",
    "a",
    "0" * 63,
    "0" * 65,
    "A" * 64,
    "../" * 21 + "x",
    "/" + "0" * 63,
    "0" * 63 + "\n",
    "0" * 64 + "\x00",
]


@pytest.mark.parametrize("key", BAD_KEYS)
def test_malformed_keys_are_refused_everywhere(key: str, store: Store) -> None:
    calls = [
        store.has, store.names, store.entries, store.drop, store.claim, store.try_claim, store.load_partial,
        store.clear_partial, store.folder, store.partial_path, store.fault_of, store.quarantine,
        lambda key: store.commit(key, {}), lambda key: store.read(key, "a"),
        lambda key: store.save_partial(key, b""), lambda key: store.missing([key]),
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(StoreError, match="is not a key"):
            call(key)
    assert not store.root.exists()


TRAVERSALS = [
    "", ".", "..", "...", "../x", "../../x", "../../../../../../tmp/x", "a/../../x", "a/b", "./a", "a/", "/", "//",
    "/x", "/etc/passwd", "/tmp/x", "~", "~/x", "~root", "\\", "..\\x", "a\\b", "C:\\x", "C:x", "\\\\host\\share", "a:b",
    "a\x00b", "\x00", "../x\x00.bin", "a\n", "\n", "a\r", "a\tb", "\x1b[2J", "a b", " a", "a ", "-rf", "--help", "_a",
    ".git", ".gitignore", ".manifest.json", "manifest.json", "MANIFEST.JSON", "Manifest.Json", "x" * 65, "x" * 300,
    "é", "ａ", "․․/x", "‥", "a∕b", "a⁄b", "a\u202eb", "\ufeffa", "%2e%2e%2fx", "..%c0%afx", "$HOME", "`id`", "*", "?",
    "a|b", "a;b", "\udcff", "٣",
]  # fmt: skip


def test_number_of_hostile_names() -> None:
    assert len(set(TRAVERSALS)) >= 60


@pytest.mark.parametrize("name", TRAVERSALS)
def test_hostile_names_cannot_leave_the_folder(name: str, place: Path) -> None:
    store = Store.open(place / "store")
    store.commit(OTHER, FILES)
    before = everything(place)
    with pytest.raises(StoreError, match="is not a file name of an artefact") as caught:
        store.commit(KEY, {"fine": b"", name: b"gotcha"})
    assert everything(place) == before
    assert str(caught.value).isprintable()
    with pytest.raises(StoreError):
        store.read(OTHER, name)


@pytest.mark.parametrize("part", ["objects", "tmp", "quarantine", "claims", "partial", "objects/prefix", "lock"])
def test_links_inside_the_store_are_not_followed(part: str, place: Path) -> None:
    root, outside = place / "store", place / "outside"
    outside.mkdir()
    (root / "objects").mkdir(parents=True)
    link = root / part.replace("prefix", KEY[:2])
    if part == "objects":
        link.rmdir()
    link.symlink_to(outside)
    store = Store.open(root)
    with pytest.raises(StoreError):
        store.commit(KEY, FILES)
    assert names_in(outside) == []


def test_a_linked_artefact_is_no_artefact(place: Path, store: Store) -> None:
    store.commit(KEY, FILES)
    other = Store.open(place / "other")
    other.commit(OTHER, FILES)
    other.folder(KEY).parent.mkdir(exist_ok=True)
    other.folder(KEY).symlink_to(store.folder(KEY))
    assert not other.has(KEY)
    with pytest.raises(Missing):
        other.read(KEY, "a.bin")
