from __future__ import annotations

from store_study import key_of

from prunecheck.store import Store

KEY, OTHER = key_of("one"), key_of("two")
FILES = {"b.json": b"{}", "a.bin": bytes(5000)}


def test_partial(store: Store) -> None:
    assert store.load_partial(KEY) is None
    for data in (b"", b"one", b"two\nlines\n", bytes(100_000)):
        store.save_partial(KEY, data)
        assert Store.open(store.root).load_partial(KEY) == data
    store.clear_partial(KEY)
    store.clear_partial(KEY)
    assert store.load_partial(KEY) is None


def test_commit_clears_the_partial_state(store: Store) -> None:
    store.save_partial(KEY, b"one")
    store.save_partial(OTHER, b"two")
    store.commit(KEY, FILES)
    assert store.load_partial(KEY) is None
    assert store.load_partial(OTHER) == b"two"


def test_a_damaged_partial_state_is_none(store: Store) -> None:
    store.save_partial(KEY, b"content")
    path = store.partial_path(KEY)
    sound = path.read_bytes()
    for bit in range(8 * len(sound)):
        path.write_bytes(bytes(b ^ (1 << bit % 8) if i == bit // 8 else b for i, b in enumerate(sound)))
        assert store.load_partial(KEY) is None
    for length in range(len(sound)):
        path.write_bytes(sound[:length])
        assert store.load_partial(KEY) is None
    path.write_bytes(sound)
    assert store.load_partial(KEY) == b"content"
    store.partial_path(OTHER).write_bytes(sound)
    assert store.load_partial(OTHER) is None
