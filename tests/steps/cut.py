"""A training whose process ends in the middle."""

from __future__ import annotations

import pytest

from prunecheck.store import Store


class Cut(Exception):
    """The power went."""


def cut_after(monkeypatch: pytest.MonkeyPatch, epochs: int) -> None:
    """The process ends right after its checkpoint number *epochs* is on the disk."""
    real, done = Store.save_partial, 0

    def save(self: Store, key: str, data: bytes) -> None:
        nonlocal done
        real(self, key, data)
        done += 1
        if done == epochs:
            raise Cut

    monkeypatch.setattr(Store, "save_partial", save)
