"""The checks that corrupt what a method prunes from: labels, pixels, both, half of the images."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from prunecheck.errors import PluginError
from prunecheck.pruning.checks.data import corrupted_data, half_dataset, random_labels, random_pixels
from prunecheck.pruning.seeds import stream

Batches = tuple[torch.Tensor, torch.Tensor]


def numbered(samples: int, classes: int = 10) -> Batches:
    """Image i holds i in every pixel (as int32, so that any number of samples can be told apart)."""
    images = torch.arange(samples, dtype=torch.int32).reshape(-1, 1, 1, 1).expand(samples, 1, 2, 2).clone()
    return images, torch.from_numpy(stream(0, "labels").integers(0, classes, samples))


@pytest.mark.parametrize("classes", [2, 10, 100])
def test_random_labels_are_uniform_whatever_the_labels_were(classes: int) -> None:
    images = torch.zeros(20_000, 1, 1, 1, dtype=torch.uint8)
    skewed = torch.from_numpy(stream(0, "skewed").integers(0, classes, 20_000) // 2)
    inputs, targets = random_labels(batches=(images, skewed), classes=classes, rng=stream(1, "check"))
    assert inputs is images
    assert stats.chisquare(np.bincount(targets, minlength=classes)).pvalue > 1e-4


def test_random_labels_are_independent_of_the_old_ones_and_one_in_c_stays_right() -> None:
    batches = numbered(20_000)
    _, targets = random_labels(batches=batches, classes=10, rng=stream(2, "check"))
    table = np.zeros((10, 10))
    np.add.at(table, (batches[1].numpy(), targets.numpy()), 1)
    assert stats.chi2_contingency(table).pvalue > 1e-4
    unchanged = int((batches[1] == targets).sum())
    assert stats.binomtest(unchanged, 20_000, 0.1).pvalue > 1e-4


def test_random_pixels_keep_the_values_of_every_image_and_its_label() -> None:
    images = torch.randint(0, 256, (40, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    targets = torch.arange(40) % 10
    inputs, same = random_pixels(batches=(images, targets), rng=stream(0, "check"))
    assert same is targets
    assert torch.equal(inputs.reshape(40, -1).sort(1).values, images.reshape(40, -1).sort(1).values)
    assert float((inputs == images).float().mean()) < 0.05


def test_random_pixels_mix_channels_and_places_uniformly() -> None:
    """Image values name their channel: afterwards every place holds every channel equally often."""
    images = torch.arange(3, dtype=torch.uint8).reshape(1, 3, 1, 1).expand(3000, 3, 2, 2)
    inputs, _ = random_pixels(batches=(images, torch.zeros(3000, dtype=torch.int64)), rng=stream(0, "check"))
    for place in inputs.reshape(3000, 12).T:
        assert stats.chisquare(np.bincount(place, minlength=3)).pvalue > 1e-5


def test_each_image_has_a_permutation_of_its_own() -> None:
    images = torch.arange(27, dtype=torch.uint8).reshape(1, 3, 3, 3).expand(50, 3, 3, 3)
    inputs, _ = random_pixels(batches=(images, torch.zeros(50, dtype=torch.int64)), rng=stream(0, "check"))
    assert len({tuple(image.reshape(-1).tolist()) for image in inputs}) == 50


def test_corrupted_data_is_both() -> None:
    images = torch.randint(0, 256, (500, 3, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    targets = torch.zeros(500, dtype=torch.int64)
    inputs, redrawn = corrupted_data(batches=(images, targets), classes=10, rng=stream(0, "check"))
    assert torch.equal(inputs.reshape(500, -1).sort(1).values, images.reshape(500, -1).sort(1).values)
    assert not torch.equal(inputs, images)
    assert stats.chisquare(np.bincount(redrawn, minlength=10)).pvalue > 1e-4


@pytest.mark.parametrize("samples", [1, 2, 3, 10, 101, 1000])
@pytest.mark.parametrize("which", ["random", "first"])
def test_half_of_the_images_each_shown_twice(samples: int, which: str) -> None:
    batches = numbered(samples)
    inputs, targets = half_dataset(batches=batches, rng=stream(0, "check"), which=which)
    assert len(inputs) == len(targets) == samples  # the number of steps stays what it was
    numbers, shown = np.unique(inputs[:, 0, 0, 0], return_counts=True)
    assert len(numbers) == (samples + 1) // 2
    assert sorted(shown, reverse=True)[: samples // 2] == [2] * (samples // 2)
    assert torch.equal(targets, batches[1][inputs[:, 0, 0, 0].long()])
    if which == "first":
        assert numbers.tolist() == list(range((samples + 1) // 2))


def test_the_random_half_is_balanced_over_the_classes_and_redrawn_per_seed() -> None:
    batches = numbered(999)
    seen = []
    for seed in range(20):
        inputs, targets = half_dataset(batches=batches, rng=stream(seed, "check"), matched_steps=False)
        assert len(targets) == 500
        halves = np.bincount(batches[1], minlength=10) / 2
        assert np.abs(np.bincount(targets, minlength=10) - halves).max() <= 0.5
        seen.append(inputs[:, 0, 0, 0].numpy())
    chosen = np.bincount(np.concatenate(seen), minlength=999)
    assert len({half.tobytes() for half in seen}) == 20
    assert abs(chosen.mean() - 10) < 0.1
    assert 0.8 < chosen.var() / 5 < 1.25  # Binomial(20, 1/2): no image is favoured


def test_unmatched_steps_show_each_image_once() -> None:
    inputs, _ = half_dataset(batches=numbered(100), rng=stream(0, "check"), matched_steps=False)
    assert len(np.unique(inputs[:, 0, 0, 0])) == len(inputs) == 50


def test_half_dataset_refuses_another_half() -> None:
    with pytest.raises(PluginError, match="which = 'last' must be 'random' or 'first'"):
        half_dataset(batches=numbered(10), rng=stream(0, "check"), which="last")
