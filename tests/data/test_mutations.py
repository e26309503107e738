"""A thousand mutated data files: read, or refused in one error of at most three lines."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from prunecheck.data import DataSpec, load
from prunecheck.errors import DataError
from tests.data.makers import (
    binary_batch,
    cut,
    images,
    labels,
    png,
    python_batch,
    tiny_members,
    write_files,
    write_mnist,
    write_parquet,
    write_tar,
    write_zip,
)

ROUNDS = 170


def _parquet(root: Path) -> DataSpec:
    for name, seed in (("train", 0), ("test", 1)):
        write_parquet(root / f"{name}.parquet", images(4, side=6, seed=seed), labels(4, 2))
    return DataSpec("parquet", root=str(root), size=4)


def _folder(root: Path) -> DataSpec:
    pixels = images(8, side=6)
    write_files(root, {f"{c}/{i}.png": png(pixels[i + 4 * k]) for k, c in enumerate("ab") for i in range(4)})
    return DataSpec("folder", root=str(root), size=4)


def _cifar_tar(root: Path) -> DataSpec:
    batches = {f"data_batch_{n + 1}.bin": binary_batch(images(10, seed=n), labels(10)) for n in range(5)}
    write_tar(root / "cifar-10-binary.tar.gz", batches | {"test_batch.bin": binary_batch(images(20), labels(20))})
    return DataSpec("cifar10", root=str(root))


def _cifar_pickles(root: Path) -> DataSpec:
    batches = {f"data_batch_{n + 1}": python_batch(images(10, seed=n), labels(10)) for n in range(5)}
    write_files(root / "cifar-10-batches-py", batches | {"test_batch": python_batch(images(20), labels(20))})
    return DataSpec("cifar10", root=str(root))


def _idx(root: Path) -> DataSpec:
    write_mnist(root / "MNIST", 50, 20)
    return DataSpec("mnist", root=str(root))


def _zip(root: Path) -> DataSpec:
    write_zip(root / "tiny-imagenet-200.zip", tiny_members())
    return DataSpec("tiny_imagenet", root=str(root))


def mutated(content: bytes, rng: random.Random) -> bytes:
    """A few bytes changed, removed, repeated or set to an extreme; more often near the ends, where headers are."""
    for _ in range(rng.randint(1, 3)):
        place = rng.randrange(len(content) + 1) if rng.random() < 0.5 else rng.randrange(min(80, len(content)) + 1)
        place = len(content) - place if rng.random() < 0.3 else place
        noise = rng.choice([b"", rng.randbytes(rng.randint(1, 4)), b"\xff" * 4, b"\0" * 4, content[:8]])
        content = content[:place] + noise + content[place + rng.choice([0, len(noise), 1]) :]
        if rng.random() < 0.1:
            content = content[: rng.randrange(len(content) + 1)]
    return content


@pytest.mark.parametrize("write", [_parquet, _folder, _cifar_tar, _cifar_pickles, _idx, _zip])
def test_mutated_data_are_read_or_refused_in_one_error(
    write: Callable[[Path], DataSpec], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut(monkeypatch, "cifar10", 50, 20)
    cut(monkeypatch, "mnist", 50, 20)
    tmp_path.joinpath("data").mkdir()
    spec = write(tmp_path / "data")
    load(spec)
    files = sorted(path for path in (tmp_path / "data").rglob("*") if path.is_file())
    rng, refusals = random.Random(1), list[str]()
    for _ in range(ROUNDS):
        path = rng.choice(files)
        original = path.read_bytes()
        path.write_bytes(mutated(original, rng))
        try:
            load(spec)
        except DataError as error:
            refusals.append(str(error))
        path.write_bytes(original)
    assert len(refusals) > ROUNDS / 10
    assert [text for text in refusals if len(text.splitlines()) > 3] == []
