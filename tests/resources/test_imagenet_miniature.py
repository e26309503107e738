"""The shipped study of ImageNet, end to end, on a miniature in the layouts in which ImageNet is found."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from prunecheck.cli import main
from prunecheck.resources import study_text
from tests.data.streams import picture, write_tar

SYNSETS = ("n01440764", "n01443537", "n01484850")
SMALL = (
    "model=convnet",
    "data.size=16",
    "sparsities=[0.98]",
    "seeds=1",
    "controls=[]",
    "training.epochs=1",
    "training.batch_size=6",
    "scoring.classes=2",
)
IMAGES = {"train": 6, "val": 4}


def jpegs(split: str) -> list[tuple[str, int, bytes]]:
    """(name without suffix, class, content) of images of several sizes, in the order of the folders."""
    found = []
    for label, synset in enumerate(SYNSETS):
        for number in range(IMAGES[split]):
            seed = 1000 * (split == "val") + 100 * label + number
            found.append((f"{synset}_{number}", label, picture(seed, 20 + number, 27 - number, "jpeg")))
    return found


def write_folders(root: Path) -> None:
    for split in IMAGES:
        for name, label, content in jpegs(split):
            folder = root / "ILSVRC/Data/CLS-LOC" / split / SYNSETS[label]
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{name}.JPEG").write_bytes(content)


def write_shards(root: Path) -> None:
    root.mkdir()
    for split, name in (("train", "train"), ("val", "validation")):
        every = jpegs(split)
        for shard, first in enumerate(range(0, len(every), 5)):
            write_tar(root / f"imagenet1k-{name}-{shard:04}.tar", every[first : first + 5])


def test_the_study_of_imagenet_gives_the_same_results_from_folders_and_from_shards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "s.toml").write_text(study_text("imagenet-resnet50"))
    monkeypatch.chdir(tmp_path)
    rows = []
    for name, write in (("folders", write_folders), ("shards", write_shards)):
        write(tmp_path / name)
        words = [word for change in (*SMALL, f"data.root={name}") for word in ("--set", change)]
        where = ["--store", f"store-{name}", "--out", f"out-{name}"]
        assert main(["run", "s.toml", "--workers", "1", "--quiet", *words, *where]) == 0
        with Path(f"out-{name}", "results.csv").open() as file:
            found = list(csv.DictReader(file))
        # keys hold the fingerprint of the files, and shards are other files
        rows.append([{name: value for name, value in row.items() if name != "key"} for row in found])
    assert {row["method"] for row in rows[0]} == {"dense", "random_ticket", "snip", "grasp", "synflow"}
    assert {row["check"] for row in rows[0]} == {"clean", "corrupted_data", "layerwise_rearrange"}
    assert rows[0] == rows[1]
