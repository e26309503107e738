"""Checks of the data where images stay on the disk: the draws of the same checks in memory, without a second copy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from prunecheck.errors import PluginError
from prunecheck.pruning import CHECKS, check
from prunecheck.pruning.partial import apply_data_check
from prunecheck.pruning.streamable import PARTS, validate_streamed
from prunecheck.pruning.streamed_checks import corrupt_samples

TARGETS = torch.arange(40) % 4
NUMBERED = torch.arange(40, dtype=torch.uint8).reshape(40, 1, 1, 1).expand(40, 3, 2, 2).contiguous()
"""images that hold their own number"""


def described(name: str, dose: float | None = None, **options: Any) -> dict[str, Any]:
    return {"name": name, "label": name, "options": options, "dose": dose}


@pytest.mark.parametrize("dose", [None, 0.25])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("random_labels", {}),
        ("random_labels", {"labels_seed": 12345}),
        ("half_dataset", {}),
        ("half_dataset", {"which": "first", "batch": 4, "matched_steps": False}),
    ],
)
def test_samples_and_labels_are_those_of_the_check_in_memory(name: str, options: dict[str, Any], dose: float) -> None:
    if dose is not None and options.get("matched_steps") is False:
        with pytest.raises(PluginError, match="changes the number of samples"):
            corrupt_samples(TARGETS, described(name, dose, **options), 3, 4)
        return
    images, targets = apply_data_check((NUMBERED, TARGETS), described(name, dose, **options), 3, 4)
    found = corrupt_samples(TARGETS, described(name, dose, **options), 3, 4)
    assert found.positions.tolist() == images[:, 0, 0, 0].tolist()
    assert found.targets.tolist() == targets.tolist()
    assert found.change is None


def test_pixels_of_each_image_are_scrambled_in_its_own_order_the_same_every_time() -> None:
    found = corrupt_samples(TARGETS, described("random_pixels"), 3, 4)
    assert found.positions.tolist() == list(range(40))
    assert found.targets.tolist() == TARGETS.tolist()
    assert found.change is not None
    image = np.arange(3 * 8 * 8, dtype=np.uint8).reshape(3, 8, 8)
    first, second = found.change(image, 5), found.change(image, 6)
    assert sorted(first.ravel().tolist()) == sorted(image.ravel().tolist())
    assert first.tolist() != image.tolist()
    assert first.tolist() != second.tolist()
    again = corrupt_samples(TARGETS, described("random_pixels"), 3, 4).change
    other = corrupt_samples(TARGETS, described("random_pixels"), 4, 4).change
    assert again is not None
    assert other is not None
    assert again(image, 5).tolist() == first.tolist()
    assert other(image, 5).tolist() != first.tolist()


def test_a_fraction_of_the_images_is_scrambled() -> None:
    change = corrupt_samples(TARGETS, described("corrupted_data", 0.25), 3, 4).change
    assert change is not None
    image = np.arange(3 * 8 * 8, dtype=np.uint8).reshape(3, 8, 8)
    assert sum(change(image, i).tolist() != image.tolist() for i in range(40)) == 10


def test_corrupted_data_has_random_labels_too() -> None:
    found = corrupt_samples(TARGETS, described("corrupted_data"), 3, 4)
    assert found.change is not None
    assert found.targets.tolist() != TARGETS.tolist()


def test_a_check_that_changes_nothing_is_an_error() -> None:
    with pytest.raises(PluginError, match="left every sample unchanged"):
        corrupt_samples(torch.zeros(5, dtype=torch.int64), described("random_labels"), 0, 1)


def test_every_data_check_of_the_package_can_be_streamed() -> None:
    assert {name for name in CHECKS.names() if CHECKS.get(name).at == "batches"} == set(PARTS)


def test_a_data_check_of_the_user_is_refused() -> None:
    @check(at="batches", name="mine")
    def mine(batches: tuple[torch.Tensor, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        return batches

    with pytest.raises(PluginError, match="'mine' gets the whole training set, which streamed data are too large for"):
        validate_streamed(mine)
