"""Whatever happens to a stored file, it is noticed, set aside and made again; and all of a store can be verified."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from store_study import key_of, names_in, objects

from prunecheck import tensors
from prunecheck.store import Damaged, Store, verify

Harm = Callable[[Path, Path], None]


def flip_a_bit(path: Path, _other: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)


def truncate(path: Path, _other: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def zero(path: Path, _other: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def swap(path: Path, other: Path) -> None:
    mine, yours = path.read_bytes(), other.read_bytes()
    path.write_bytes(yours)
    other.write_bytes(mine)


def delete(path: Path, _other: Path) -> None:
    path.unlink()


def lengthen(path: Path, _other: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\n")


def link(path: Path, _other: Path) -> None:
    aside = path.parent.parent.parent.parent / "aside"
    path.rename(aside)
    path.symlink_to(aside)


def turn_into_a_folder(path: Path, _other: Path) -> None:
    path.unlink()
    path.mkdir()


def make_a_pipe(path: Path, _other: Path) -> None:
    path.unlink()
    os.mkfifo(path)


HARMS = [flip_a_bit, truncate, zero, swap, delete, lengthen, link, turn_into_a_folder, make_a_pipe]


def filled(root: Path, artefacts: int) -> tuple[Store, dict[str, dict[str, bytes]]]:
    store, content = Store.open(root), {}
    for number in range(artefacts):
        data = key_of(f"data {number}").encode()
        content[key_of(f"{number}")] = {"masks.bin": data * 9, "facts.json": data[:10], "z": data[:1] + bytes([number])}
    for key, files in content.items():
        store.commit(key, files)
    return store, content


def read_all(store: Store, key: str) -> dict[str, bytes]:
    return {name: store.read(key, name) for name in store.names(key)}


def harm_every_file(place: Path, harm: Harm, artefacts: int) -> int:
    store, content = filled(place / "store", artefacts)
    sound, keys, harmed = objects(store.root), sorted(content), 0
    for number, key in enumerate(keys):
        for name in ("manifest.json", *content[key]):
            other = keys[number - 1]
            harm(store.folder(key) / name, store.folder(other) / name)
            with pytest.raises(Damaged):
                read_all(store, key)
            assert not store.has(key)
            store.commit(key, content[key])
            if harm is swap:
                with pytest.raises(Damaged):
                    read_all(store, other)
                store.commit(other, content[other])
            harmed += 1
            assert len(names_in(store.root / "quarantine")) == harmed * (2 if harm is swap else 1)
    assert objects(store.root) == sound
    return harmed


@pytest.mark.parametrize("harm", HARMS)
def test_every_kind_of_damage_to_every_file_is_detected(harm: Harm, place: Path) -> None:
    assert harm_every_file(place, harm, artefacts=15) == 60


@pytest.mark.long
@pytest.mark.parametrize("harm", HARMS)
def test_every_kind_of_damage_to_500_files_is_detected(harm: Harm, place: Path) -> None:
    assert harm_every_file(place, harm, artefacts=125) == 500


@pytest.mark.parametrize("harm", HARMS)
def test_verify_finds_all_damage_at_once(harm: Harm, place: Path) -> None:
    store, content = filled(place / "store", 12)
    keys = sorted(content)
    victims = {keys[1]: "manifest.json", keys[5]: "masks.bin", keys[9]: "z"}
    for key, name in victims.items():
        if harm is swap:
            flip_a_bit(store.folder(key) / name, place)
        else:
            harm(store.folder(key) / name, place)
    report = verify(store)
    assert report.damaged == tuple(victims)
    assert not report.ok
    assert report.artefacts == 12
    assert list(store.keys()) == [key for key in keys if key not in victims]
    assert len(names_in(store.root / "quarantine")) == 3
    again = verify(store)
    assert again.ok
    assert again.artefacts == 9


def test_swapped_artefacts_are_detected(place: Path) -> None:
    store, content = filled(place / "store", 2)
    one, two = (store.folder(key) for key in content)
    shutil.move(one, place / "aside")
    shutil.move(two, one)
    shutil.move(place / "aside", two)
    assert set(verify(store).damaged) == set(content)


def test_every_flipped_bit_of_an_artefact_is_detected(place: Path) -> None:
    store, content = filled(place / "store", 1)
    (key,) = content
    path = store.folder(key) / "facts.json"
    sound = path.read_bytes()
    for bit in range(8 * len(sound)):
        path.write_bytes(bytes(b ^ (1 << bit % 8) if i == bit // 8 else b for i, b in enumerate(sound)))
        with pytest.raises(Damaged):
            store.read(key, "facts.json")
        store.commit(key, content[key])


def mutated(data: bytes, rng: random.Random) -> bytes:
    """A few bits flipped, bytes cut out, put in, doubled, or the end lost."""
    made = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 5])):
        place, kind = rng.randrange(len(made) + 1), rng.randrange(5)
        if kind == 0 and place < len(made):
            made[place] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del made[place : place + rng.randint(1, 9)]
        elif kind == 2:
            made[place:place] = rng.randbytes(rng.randint(1, 9))
        elif kind == 3:
            made[place:place] = made[place : place + rng.randint(1, 30)]
        else:
            del made[place:]
    return bytes(made)


def fuzz(place: Path, files: int, seed: int) -> int:
    """Mutate one file after the other of a real artefact (tensors, facts, manifest); how many came out changed."""
    rng, store, key = random.Random(seed), Store.open(place / "store"), key_of("fuzzed")
    content = {"masks.safetensors": tensors.to_bytes({"w": torch.arange(40) % 3 == 0}), "result.json": b'{"kept": 13}'}
    store.commit(key, content)
    changed = 0
    for _ in range(files):
        path = store.folder(key) / rng.choice(["manifest.json", *content])
        sound = path.read_bytes()
        broken = mutated(sound, rng)
        if broken == sound:
            continue
        path.write_bytes(broken)
        with pytest.raises(Damaged):
            read_all(store, key)
        assert not store.has(key)
        store.commit(key, content)
        shutil.rmtree(store.root / "quarantine")
        (store.root / "quarantine").mkdir()
        changed += 1
    assert read_all(store, key) == content
    return changed


def test_mutated_files_are_refused(place: Path) -> None:
    assert fuzz(place, 300, seed=0) > 270


@pytest.mark.long
@pytest.mark.timeout(3000)
def test_a_hundred_thousand_mutated_files_are_refused(place: Path) -> None:
    assert fuzz(place, 102_000, seed=1) > 100_000
