"""A model of what a power cut may leave on the disk, after Pillai et al. (OSDI 2014).

A ``Recorder`` notes every operation of a run as a change to numbered nodes (files and folders). After a cut, exactly
those changes are certain that an fsync of their node confirmed; of the rest any part may be there, in any order, and a
write may be torn. ``crash_states`` draws such states, ``materialise`` makes one real.

A rename is one change, certain only once the folder it went *to* was fsynced. An fsync of a file does not confirm its
name. Both are the least that POSIX promises; most file systems promise more.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SECTOR = 512


@dataclass(frozen=True)
class Change:
    """``link``: name -> target in node; ``unlink``: name leaves node; ``write``: data at offset of node;
    ``move``: name leaves ``source``, target is ``new_name`` in node. ``sync``: confirms what happened to node."""

    kind: str
    node: int
    name: str = ""
    target: int = 0
    is_folder: bool = False
    offset: int = 0
    data: bytes = b""
    source: int = 0
    new_name: str = ""


@dataclass
class Recorder:
    """Stands in for ``durable._act``. ``log``: changes and acknowledged keys (str), in order."""

    root: Path
    log: list[Change | str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.nodes: dict[Path, int] = {self.root: 0}
        self.handles: dict[int, tuple[int, int]] = {}
        self.fresh = 0

    def __call__(self, operation: str, call: Callable[..., Any], *args: Any) -> Any:
        existed = isinstance(args[0], Path) and args[0].exists()
        result = call(*args)
        getattr(self, f"_{operation}")(result, existed, *args)
        return result

    def _new(self, path: Path, is_folder: bool) -> None:
        self.fresh += 1
        self.nodes[path] = self.fresh
        self.log.append(Change("link", self.nodes[path.parent], path.name, self.fresh, is_folder))

    def _open(self, handle: int, existed: bool, path: Path, flags: int, *_mode: int) -> None:
        if not existed and flags & os.O_CREAT:
            self._new(path, is_folder=False)
        offset = path.stat().st_size if flags & os.O_APPEND else 0
        self.handles[handle] = (self.nodes.get(path, -1), offset)

    def _write(self, written: int, _existed: bool, handle: int, data: bytes) -> None:
        node, offset = self.handles[handle]
        self.log.append(Change("write", node, offset=offset, data=bytes(data[:written])))
        self.handles[handle] = (node, offset + written)

    def _read(self, *_: Any) -> None:
        pass

    def _fsync(self, _result: None, _existed: bool, handle: int) -> None:
        self.log.append(Change("sync", self.handles[handle][0]))

    def _mkdir(self, _result: None, _existed: bool, path: Path) -> None:
        self._new(path, is_folder=True)

    def _unlink(self, _result: None, _existed: bool, path: Path) -> None:
        self.log.append(Change("unlink", self.nodes[path.parent], path.name))
        del self.nodes[path]

    _rmdir = _unlink

    def _rename(self, _result: None, _existed: bool, old: Path, new: Path) -> None:
        self.log.append(
            Change(
                "move",
                self.nodes[new.parent],
                old.name,
                self.nodes[old],
                source=self.nodes[old.parent],
                new_name=new.name,
            )
        )
        for path in [p for p in self.nodes if p == old or old in p.parents]:
            self.nodes[new / path.relative_to(old)] = self.nodes.pop(path)


def crash_states(log: list[Change | str], states: int, rng: random.Random) -> Iterator[tuple[list[Change], set[str]]]:
    """*states* of the disk: the changes that reached it, and the keys acknowledged before the cut.

    First the two extremes (nothing unconfirmed, everything) at every prefix, then random parts at random prefixes.
    """
    for number in range(states):
        cut = number // 2 if number < 2 * len(log) else rng.randrange(len(log) + 1)
        before = [item for item in log[:cut] if isinstance(item, Change)]
        certain = confirmed(before)
        chance = number % 2 if number < 2 * len(log) else rng.choice([0.1, 0.5, 0.9])
        kept = []
        for index, change in enumerate(before):
            if change.kind == "sync":
                continue
            if index in certain:
                kept.append(change)
            elif rng.random() < chance:
                kept.append(torn(change, rng) if change.kind == "write" and chance < 1 else change)
        yield kept, {item for item in log[:cut] if isinstance(item, str)}


def confirmed(changes: list[Change]) -> set[int]:
    """The positions of the changes that some later fsync of their node made certain."""
    certain: set[int] = set()
    open_changes: dict[int, list[int]] = {}
    for index, change in enumerate(changes):
        if change.kind == "sync":
            certain.update(open_changes.pop(change.node, ()))
        else:
            open_changes.setdefault(change.node, []).append(index)
    return certain


def torn(change: Change, rng: random.Random) -> Change:
    """The write, or its first sectors, or its first sectors and noise: what a disk may make of it."""
    cut = rng.randrange(len(change.data) // SECTOR + 1) * SECTOR
    data = rng.choice([change.data, change.data[:cut], change.data[:cut] + rng.randbytes(len(change.data) - cut)])
    return Change("write", change.node, offset=change.offset, data=data)


def materialise(changes: list[Change], root: Path) -> None:
    """Write the state that *changes* leave to the empty folder *root*."""
    folders: dict[int, dict[str, int]] = {0: {}}
    files: dict[int, bytearray] = {}
    for change in changes:
        if change.kind == "link":
            folders.setdefault(change.node, {})[change.name] = change.target
            if change.is_folder:
                folders.setdefault(change.target, {})
            else:
                files.setdefault(change.target, bytearray())
        elif change.kind == "unlink":
            folders.setdefault(change.node, {}).pop(change.name, None)
        elif change.kind == "move":
            folders.setdefault(change.source, {}).pop(change.name, None)
            folders.setdefault(change.node, {})[change.new_name] = change.target
        else:
            body = files.setdefault(change.node, bytearray())
            body.extend(bytes(max(0, change.offset - len(body))))
            body[change.offset : change.offset + len(change.data)] = change.data
    _write(root, 0, folders, files)


def _write(place: Path, node: int, folders: dict[int, dict[str, int]], files: dict[int, bytearray]) -> None:
    for name, target in folders[node].items():
        if target in folders:
            (place / name).mkdir()
            _write(place / name, target, folders, files)
        else:
            (place / name).write_bytes(files.get(target, b""))
