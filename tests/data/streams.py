"""Small data sets of images of many sizes: the same images in the same order as folders, tar shards and parquet."""

from __future__ import annotations

import io
import json
import os
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image

from prunecheck.data import DataSpec

CLASSES = ("cat", "dog", "emu")


def picture(seed: int, width: int, height: int, kind: str = "png") -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind)
    return stream.getvalue()


def pictures(n: int, seed: int, side: int | None = None, kind: str = "png") -> list[tuple[str, int, bytes]]:
    """(name, class, content) of *n* images of every class, of one *side* or of all kinds of sizes."""
    found = []
    for label, name in enumerate(CLASSES):
        for i in range(n):
            number = seed + 100 * label + i
            width, height = (side, side) if side else (9 + number % 5, 8 + number % 7)
            found.append((f"{name}/{i:02}.{kind}", label, picture(number, width, height, kind)))
    return found


def write_folder(root: Path, n: int = 6, n_test: int = 3, side: int | None = None) -> DataSpec:
    for split, count, seed in (("train", n, 0), ("val", n_test, 1000)):
        for name, _, content in pictures(count, seed, side):
            (root / split / name).parent.mkdir(parents=True, exist_ok=True)
            (root / split / name).write_bytes(content)
    return DataSpec("folder", root=str(root), size=8, stream=True)


def write_shards(root: Path, n: int = 6, n_test: int = 3, per_shard: int = 5) -> DataSpec:
    root.mkdir(parents=True, exist_ok=True)
    for split, count, seed in (("train", n, 0), ("validation", n_test, 1000)):
        every = pictures(count, seed)
        for shard in range(0, len(every), per_shard):
            samples = [
                (name.replace("/", "_").removesuffix(".png"), label, content)
                for name, label, content in every[shard : shard + per_shard]
            ]
            write_tar(root / f"mini-{split}-{shard // per_shard:04}.tar", samples)
    return DataSpec("webdataset", root=str(root), size=8)


def write_tar(path: Path, samples: list[tuple[str, int, bytes]]) -> None:
    with tarfile.open(path, "w") as archive:
        for key, label, content in samples:
            about = json.dumps({"filename": key, "label": label}).encode()
            for suffix, data in (("png", content), ("json", about), ("cls", str(label).encode())):
                member = tarfile.TarInfo(f"{key}.{suffix}")
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))


def write_parquet(root: Path, n: int = 6, n_test: int = 3, per_group: int = 4) -> DataSpec:
    import pyarrow as pa
    import pyarrow.parquet as pq

    root.mkdir(parents=True, exist_ok=True)
    for split, count, seed in (("train", n, 0), ("validation", n_test, 1000)):
        every = pictures(count, seed)
        images = [{"bytes": content, "path": name} for name, _, content in every]
        table = pa.table({"image": images, "label": [label for _, label, _ in every]})
        pq.write_table(table, root / f"{split}-00000-of-00001.parquet", row_group_size=per_group)
    return DataSpec("parquet", root=str(root), size=8, stream=True)


WRITERS = {"folder": write_folder, "webdataset": write_shards, "parquet": write_parquet}


def make_old(root: Path) -> None:
    """As files are that were not changed a moment ago: what is found in them is remembered."""
    for path in root.rglob("*"):
        os.utime(path, ns=(10**18, 10**18))
