"""Images from the disk: the batches of the feed in memory, for any number of threads, and random resized crops."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from prunecheck.data import StreamedData, load, open_stream
from prunecheck.data.crops import center_cropped, randomly_cropped
from prunecheck.data.images import decode
from prunecheck.errors import DataError
from prunecheck.pruning.seeds import stream
from prunecheck.training.feed import Feed
from prunecheck.training.recipe import Recipe
from prunecheck.training.stream_feed import StreamFeed
from tests.data.streams import WRITERS, write_folder

Batches = list[tuple[Tensor, Tensor]]
RESIZED = Recipe(batch_size=5, pad=0, crop="resized")


def feed(data: StreamedData, threads: int = 3, **how: Any) -> StreamFeed:
    how = {"size": data.size, "center_crop": data.center_crop, "pool": ThreadPoolExecutor(threads)} | how
    return StreamFeed(data.train, data.mean, data.std, **how)


def same(ours: Batches, theirs: Batches) -> bool:
    pairs = zip(ours, theirs, strict=True)
    return all(torch.equal(a, c) and torch.equal(b, d) for (a, b), (c, d) in pairs)


@pytest.mark.parametrize("recipe", [Recipe(batch_size=5, pad=2), Recipe(batch_size=4, pad=0, flip="alternating")])
def test_batches_are_those_of_the_feed_in_memory(tmp_path: Path, recipe: Recipe) -> None:
    spec = write_folder(tmp_path)
    data, loaded = open_stream(spec), load(replace(spec, stream=False))
    images, targets = torch.from_numpy(loaded.train_inputs), torch.from_numpy(loaded.train_targets)
    memory = Feed(images, targets, data.mean, data.std, pad=recipe.pad)
    ours = feed(data, pad=recipe.pad)
    for epoch in (0, 1):
        assert same(list(ours.epoch(recipe, 3, "ticket", epoch)), list(memory.epoch(recipe, 3, "ticket", epoch)))
    assert same(list(ours.plain(7)), list(memory.plain(7)))
    chosen = np.array([4, 17, 0, 4])
    assert same([ours.select(chosen)], [memory.select(chosen)])
    (batch, _) = ours.select(chosen)
    assert batch.is_contiguous(memory_format=torch.channels_last)


def test_number_of_threads_changes_no_byte(tmp_path: Path) -> None:
    data = open_stream(write_folder(tmp_path))
    one, many = (list(feed(data, threads).epoch(RESIZED, 1, "ticket", 4)) for threads in (1, 8))
    assert same(one, many)


def test_batches_are_the_same_in_any_order_and_from_the_middle_of_an_epoch(tmp_path: Path) -> None:
    data = open_stream(write_folder(tmp_path))
    whole = list(feed(data).epoch(RESIZED, 1, "ticket", 4))
    other = feed(data)
    draws = other.draws(RESIZED, 1, "ticket", 4)
    rows = RESIZED.batches(other.samples)
    assert same([other.drawn(draws, rows[2]), other.drawn(draws, rows[0])], [whole[2], whole[0]])
    # as a GPU's counters give them
    assert same([other.drawn(draws, torch.arange(5, 10))], [whole[1]])


def test_random_resized_crop_is_that_of_the_stream_of_its_sample(tmp_path: Path) -> None:
    data = open_stream(write_folder(tmp_path))
    ours = feed(data)
    draws = ours.draws(RESIZED, 7, "ticket", 2)
    images, targets = ours.drawn(draws, slice(0, 5))
    assert draws.flips is not None
    assert 0 < int(draws.flips[:18].sum()) < 18
    for place in range(5):
        sample = int(draws.order[place])
        rng = stream(7, "ticket", "box", 2, sample)
        content = data.train.read(sample)[1]
        crop = partial(randomly_cropped, size=8, rng=rng, scale=(0.08, 1.0), ratio=(3 / 4, 4 / 3))
        pixels = decode("a", content, crop=crop)
        pixels = pixels[:, ::-1] if bool(draws.flips[place]) else pixels
        expected = (pixels / 255 - np.array(data.mean)) / np.array(data.std)
        np.testing.assert_allclose(images[place].permute(1, 2, 0).numpy(), expected, atol=1e-5)
        assert int(targets[place]) == int(data.train_targets[sample])


def test_evaluation_crop_keeps_the_given_share(tmp_path: Path) -> None:
    data = open_stream(replace(write_folder(tmp_path), center_crop=0.8))
    images, _ = feed(data).select(np.arange(3))
    pixels = decode("a", data.train.read(1)[1], crop=lambda image: center_cropped(image, 8, 0.8))
    expected = (pixels / 255 - np.array(data.mean)) / np.array(data.std)
    np.testing.assert_allclose(images[1].permute(1, 2, 0).numpy(), expected, atol=1e-5)


def test_few_row_groups_are_mixed_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prunecheck.training.stream_feed.BLOCKS_AT_ONCE", 2)
    data = open_stream(WRITERS["parquet"](tmp_path))
    ours = feed(data)
    orders = [ours.draws(RESIZED, 0, "ticket", epoch).order for epoch in (0, 1)]
    assert data.train.blocks is not None
    for order in orders:
        assert sorted(order.tolist()) == list(range(18))
        blocks = data.train.blocks[order.numpy()]
        spans = [np.flatnonzero(blocks == block) for block in range(5)]
        # two groups of four images are read at a time, and mixed
        assert max(span.max() - span.min() for span in spans) < 8
        assert max(span.max() - span.min() for span in spans) >= 4
    assert orders[0].tolist() != orders[1].tolist()


def test_image_that_breaks_during_training_is_named(tmp_path: Path) -> None:
    data = open_stream(write_folder(tmp_path))
    (tmp_path / "train/dog/02.png").write_text("no image")
    with pytest.raises(DataError, match=r"train/dog/02.png cannot be read"):
        list(feed(data).epoch(RESIZED, 0, "ticket", 0))


def test_missing_image_is_named(tmp_path: Path) -> None:
    data = open_stream(write_folder(tmp_path))
    (tmp_path / "train/dog/02.png").unlink()
    with pytest.raises(DataError, match=r"train/dog/02.png cannot be read"):
        list(feed(data).plain())
