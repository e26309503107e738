"""The row-gathering feed against a plain one that pads, crops, flips and normalises image by image."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor

from prunecheck.pruning.seeds import stream
from prunecheck.training.feed import Feed
from prunecheck.training.recipe import Recipe

from .small import MEAN, STD, feed, images

Batches = list[tuple[Tensor, Tensor]]


def naive(inputs: np.ndarray, sample: int, pad: int, down: int, right: int, flip: bool) -> np.ndarray:
    """One image, in float64: zeros around it, a window of the original size, mirrored, in standard units."""
    channels, height, width = inputs.shape[1:]
    padded = np.zeros((channels, height + 2 * pad, width + 2 * pad))
    padded[:, pad : pad + height, pad : pad + width] = inputs[sample] / 255
    window = padded[:, down : down + height, right : right + width]
    if flip:
        window = window[:, :, ::-1]
    return (window - np.array(MEAN).reshape(-1, 1, 1)) / np.array(STD).reshape(-1, 1, 1)


@pytest.mark.parametrize("pad", [0, 1, 4])
@pytest.mark.parametrize("flip", [False, True])
def test_epoch_equals_naive_implementation(pad: int, flip: bool) -> None:
    """With every draw taken from the same streams, in the same order."""
    inputs, targets = images()
    recipe = Recipe(batch_size=5, pad=pad, flip=flip)
    found = list(Feed(inputs, targets, MEAN, STD, pad=pad).epoch(recipe, 3, "ticket", 7))
    order = stream(3, "ticket", "order", 7).permutation(23)
    draws = stream(3, "ticket", "augment", 7)
    down, right = draws.integers(0, 2 * pad + 1, 23), draws.integers(0, 2 * pad + 1, 23)
    mirrored = draws.random(23) < 0.5
    assert [len(labels) for _, labels in found] == [5, 5, 5, 5, 3]
    assert torch.equal(torch.cat([labels for _, labels in found]), targets[torch.from_numpy(order)])
    shown = torch.cat([batch for batch, _ in found]).numpy()
    for place, sample in enumerate(order):
        expected = naive(
            inputs.numpy(), sample, pad, int(down[place]), int(right[place]), bool(flip and mirrored[place])
        )
        np.testing.assert_allclose(shown[place], expected, atol=1e-5)
    if pad:
        assert {(int(d), int(r)) for d, r in zip(down, right, strict=True)} != {(pad, pad)}


def test_batches_are_channels_last_without_a_copy() -> None:
    for batch, _ in feed(pad=2).epoch(Recipe(batch_size=5, pad=2), 0, "ticket", 0):
        assert batch.dtype == torch.float32
        assert batch.is_contiguous(memory_format=torch.channels_last)
        assert not batch.is_contiguous()


@pytest.mark.parametrize(
    ("samples", "size", "expected"),
    [(10, 5, [5, 5]), (11, 5, [5, 6]), (12, 5, [5, 5, 2]), (1, 5, [1]), (5, 5, [5]), (6, 5, [6]), (3, 2, [3])],
)
def test_every_sample_once_an_epoch_and_never_a_batch_of_one(samples: int, size: int, expected: list[int]) -> None:
    """Batch normalisation needs two: a last sample that is left alone joins the batch before it."""
    inputs = torch.arange(samples, dtype=torch.uint8).reshape(-1, 1, 1, 1).expand(-1, 1, 4, 4)
    recipe = Recipe(batch_size=size, pad=0, flip=True)
    table = Feed(inputs, torch.arange(samples), (0.0,), (1 / 255,))
    found = list(table.epoch(recipe, 0, "pretrain", 0))
    assert [len(labels) for _, labels in found] == expected
    assert len(found) == recipe.steps_per_epoch(samples)
    labels = torch.cat([labels for _, labels in found])
    assert sorted(labels.tolist()) == list(range(samples))
    shown = torch.cat([batch for batch, _ in found])[:, 0, 0, 0]
    assert torch.equal(shown.round().long(), labels)  # every image still has its own label


def epoch_of(seed: int = 0, phase: str = "ticket", epoch: int = 0) -> Batches:
    return list(feed(pad=1).epoch(Recipe(batch_size=5, pad=1), seed, phase, epoch))


def equal(a: Batches, b: Batches) -> bool:
    return all(torch.equal(x, u) and torch.equal(y, v) for (x, y), (u, v) in zip(a, b, strict=True))


def test_an_epoch_is_a_function_of_seed_phase_and_epoch_alone() -> None:
    reference = epoch_of()
    torch.rand(7)
    assert equal(reference, epoch_of())
    table = feed(pad=1)
    recipe = Recipe(batch_size=5, pad=1)
    for earlier in range(3):
        list(table.epoch(recipe, 9, "pretrain", earlier))
    assert equal(reference, list(table.epoch(recipe, 0, "ticket", 0)))
    for other in (epoch_of(seed=1), epoch_of(phase="pretrain"), epoch_of(epoch=1)):
        assert not equal(reference, other)


def test_other_images_are_shown_in_the_same_order_with_the_same_augmentation() -> None:
    """What lets a corrupted arm differ from the clean one in nothing else."""
    recipe = Recipe(batch_size=5, pad=2)
    inputs, targets = images(20)
    clean = Feed(inputs, targets, MEAN, STD, pad=2)
    other = Feed(255 - inputs, targets, MEAN, STD, pad=2)
    for (x, labels), (y, twins) in zip(clean.epoch(recipe, 1, "p", 0), other.epoch(recipe, 1, "p", 0), strict=True):
        assert torch.equal(labels, twins)
        shift, scale = torch.tensor(MEAN).reshape(-1, 1, 1), torch.tensor(STD).reshape(-1, 1, 1)
        total = x * scale + shift + y * scale + shift  # 1 where both show the image, 0 in the padding
        assert bool(((total - 1).abs() < 1e-5).logical_or(total.abs() < 1e-5).all())


def mirrored_samples(seed: int, phase: str, epoch: int, samples: int = 40) -> list[bool]:
    """Of every sample, whether an epoch with alternating flip shows it mirrored."""
    inputs = torch.zeros((samples, 1, 2, 2), dtype=torch.uint8)
    inputs[:, 0, 0, 0] = 255  # on the left, unless mirrored
    table = Feed(inputs, torch.arange(samples), (0.0,), (1.0,))
    found = dict[int, bool]()
    for batch, labels in table.epoch(Recipe(batch_size=7, pad=0, flip="alternating"), seed, phase, epoch):
        found |= {int(label): bool(image[0, 0, 1] > 0) for image, label in zip(batch, labels, strict=True)}
    return [found[sample] for sample in range(samples)]


def test_alternating_flip_mirrors_every_sample_in_every_other_epoch() -> None:
    epochs = [mirrored_samples(3, "ticket", epoch) for epoch in range(5)]
    for before, after in pairwise(epochs):
        assert [not flip for flip in before] == after
    assert 10 < sum(epochs[0]) < 30  # half of the samples begin mirrored


def test_alternating_flip_begins_anew_for_every_seed_and_phase() -> None:
    first = mirrored_samples(3, "ticket", 0)
    assert first == mirrored_samples(3, "ticket", 0) == mirrored_samples(3, "ticket", 2)
    for other in (mirrored_samples(4, "ticket", 0), mirrored_samples(3, "pretrain", 0)):
        assert other not in (first, [not flip for flip in first])


def test_alternating_flip_leaves_order_and_crops_as_they_are_with_random_flip() -> None:
    inputs = torch.zeros((30, 1, 3, 3), dtype=torch.uint8)
    inputs[:, 0, :, 1] = torch.tensor([50, 100, 150], dtype=torch.uint8)  # the same mirrored
    table = Feed(inputs, torch.arange(30), (0.0,), (1.0,), pad=1)
    rows: list[Batches] = []
    for flip in (True, "alternating"):
        recipe = Recipe(batch_size=8, pad=1, flip=flip)  # type: ignore[arg-type]
        rows.append([(batch.sum(3), labels) for batch, labels in table.epoch(recipe, 0, "p", 1)])
    assert equal(*rows)


def test_crops_and_flips_are_uniform() -> None:
    inputs = torch.zeros((400, 1, 3, 3), dtype=torch.uint8)
    inputs[:, 0, 1, 1] = 255
    inputs[:, 0, 1, 2] = 128  # to the right of the bright pixel, unless mirrored
    table = Feed(inputs, torch.zeros(400, dtype=torch.int64), (0.0,), (1.0,), pad=1)
    places: Counter[tuple[int, int]] = Counter()
    mirrored = visible = 0
    for epoch in range(5):
        for batch, _ in table.epoch(Recipe(batch_size=100, pad=1), 0, "p", epoch):
            for image in batch[:, 0]:
                row, column = divmod(int(image.argmax()), 3)
                places[row, column] += 1
                if column == 1:
                    visible += 1
                    mirrored += bool(image[row, 0] > 0)
    assert len(places) == 9
    assert max(places.values()) - min(places.values()) < 120  # 222 expected in each, 15 standard deviation
    assert abs(mirrored / visible - 0.5) < 0.1


def test_plain_and_select_show_the_images_as_they_are() -> None:
    inputs, targets = images()
    table = Feed(inputs, targets, MEAN, STD, pad=3)
    parts = list(table.plain(size=10))
    assert [len(labels) for _, labels in parts] == [10, 10, 3]
    shown = torch.cat([batch for batch, _ in parts]).numpy()
    assert torch.equal(torch.cat([labels for _, labels in parts]), targets)
    for sample in range(23):
        np.testing.assert_allclose(shown[sample], naive(inputs.numpy(), sample, 0, 0, 0, False), atol=1e-5)
    chosen, labels = table.select(np.array([4, 4, 0]))
    np.testing.assert_array_equal(chosen.numpy(), shown[[4, 4, 0]])
    assert labels.tolist() == targets[[4, 4, 0]].tolist()


def test_the_images_are_copied_once_and_never_written_to() -> None:
    inputs, targets = images()
    before = inputs.clone(), targets.clone()
    table = Feed(inputs, targets, MEAN, STD, pad=1)
    for batch, _ in table.epoch(Recipe(batch_size=5, pad=1), 0, "p", 0):
        batch.zero_()
    assert torch.equal(inputs, before[0])
    assert torch.equal(targets, before[1])
    assert float(next(table.plain())[0].abs().max()) > 0
