"""A bundle in memory is right, or it does not come to be."""

from __future__ import annotations

import numpy as np
import pytest

from prunecheck.data.types import shared_images
from prunecheck.errors import DataError
from tests.data.makers import bundle, images, labels


def test_a_valid_bundle_is_kept_as_it_is() -> None:
    data = bundle(class_names=("cat", "dog"))
    assert data.train_inputs.shape == (6, 3, 4, 4)
    assert data.notes == ()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"num_classes": 1}, "at least 2 classes"),
        (
            {"train_targets": np.array([0, 1, 0, 1, 0, 2])},
            r"1 train labels are outside 0\.\.1; the first is 2, of image 5",
        ),
        ({"test_targets": np.array([0, -1, 0, -1])}, r"2 test labels are outside 0\.\.1; the first is -1, of image 1"),
        ({"train_targets": np.zeros(6, dtype=np.int64)}, "same label, 0"),
        ({"num_classes": 4, "train_targets": np.array([0, 0, 3, 3, 3, 0])}, "2 of 4 classes have no train image: 1, 2"),
        ({"train_targets": labels(5)}, r"train labels are int64 \[6\]"),
        ({"train_targets": labels(6, 2).astype(np.int32)}, "not int32"),
        ({"train_inputs": images(0), "train_targets": labels(0)}, "train is empty"),
        ({"test_inputs": images(0), "test_targets": labels(0)}, "test is empty"),
        ({"train_inputs": images(6, side=4) / np.float32(255)}, r"uint8 \[N, C, H, H\], not float32"),
        ({"train_inputs": images(6, side=4)[:, :, :3]}, r"not uint8 \[6, 3, 3, 4\]"),
        ({"train_inputs": images(6, side=4)[:, ::-1]}, "not contiguous"),
        ({"test_inputs": images(4, side=8)}, r"train images are \[3, 4, 4\], test images \[3, 8, 8\]"),
        ({"mean": (0.5,)}, "one number per channel"),
        ({"std": (0.2, 0.0, 0.2)}, "std is positive"),
        ({"mean": (0.5, float("nan"), 0.5)}, "finite"),
        ({"class_names": ("cat",)}, "1 class names for 2 classes"),
    ],
)
def test_an_impossible_bundle_is_refused(changed: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        bundle(**changed)


def test_a_class_may_be_absent_from_test() -> None:
    assert bundle(test_targets=np.zeros(4, dtype=np.int64)).num_classes == 2


def test_shared_images_counts_train_images_in_test() -> None:
    train = images(5, side=4)
    test = np.concatenate([images(2, side=4, seed=1), train[[3, 3]]])
    assert shared_images(train, test) == 2
