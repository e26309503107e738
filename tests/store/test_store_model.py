from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from store_study import key_of

from prunecheck.store import Damaged, Store, durable, sizes


class Model(RuleBasedStateMachine):
    """Any sequence of uses, compared with two dicts."""

    some_key = st.sampled_from([key_of(f"{i}") for i in range(4)])
    some_files = st.dictionaries(st.sampled_from(["a", "b.bin", "c-1"]), st.binary(max_size=30), max_size=3)

    @initialize()
    def begin(self) -> None:
        parent = Path("/dev/shm") if Path("/dev/shm").is_dir() else Path("/tmp")
        self.folder = parent / f"prunecheck-model-{os.getpid()}-{id(self)}"
        self.store = Store.open(self.folder)
        self.committed: dict[str, dict[str, bytes]] = {}
        self.partials: dict[str, bytes] = {}

    def teardown(self) -> None:
        durable.remove(self.folder)

    @rule(key=some_key, files=some_files)
    def commit(self, key: str, files: dict[str, bytes]) -> None:
        self.store.commit(key, files)
        self.committed.setdefault(key, files)
        self.partials.pop(key, None)

    @rule(key=some_key)
    def drop(self, key: str) -> None:
        self.store.drop(key)
        self.committed.pop(key, None)
        self.partials.pop(key, None)

    @rule(key=some_key, data=st.binary(max_size=30))
    def save_partial(self, key: str, data: bytes) -> None:
        self.store.save_partial(key, data)
        self.partials[key] = data

    @rule()
    def reopen(self) -> None:
        self.store = Store.open(self.folder)

    @precondition(lambda self: any(self.committed.values()))
    @rule(data=st.data())
    def damage(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(k for k, files in self.committed.items() if files)))
        name = data.draw(st.sampled_from(sorted(self.committed[key])))
        (self.folder / "objects" / key[:2] / key / name).write_bytes(self.committed[key][name] + b"!")
        with pytest.raises(Damaged):
            self.store.read(key, name)
        del self.committed[key]

    @invariant()
    def agrees(self) -> None:
        if not hasattr(self, "store"):
            return
        assert list(self.store.keys()) == sorted(self.committed)
        for key, files in self.committed.items():
            assert {name: self.store.read(key, name) for name in self.store.names(key)} == files
        for i in range(4):
            assert self.store.load_partial(key_of(f"{i}")) == self.partials.get(key_of(f"{i}"))
        assert sizes(self.store).artefacts == len(self.committed)


TestModel = Model.TestCase
TestModel.settings = settings(max_examples=30, stateful_step_count=20, deadline=None)
