"""What is asked for (``DataSpec``) and what that will be (``DataShape``), as plain values."""

from __future__ import annotations

from dataclasses import dataclass

from prunecheck.errors import DataError


@dataclass(frozen=True)
class DataSpec:
    """A data set by name, perhaps smaller than it came. Raises DataError for sizes that are not positive integers.

    ``root``: the folder (or archive) that holds the files; None looks in $PRUNECHECK_DATA, then in ``./data``.
    ``size``: side in pixels after area down-sampling. ``train_size``, ``test_size``: that many images, drawn
    class by class in a fixed order, so that a smaller subset lies inside every larger one.
    """

    name: str
    root: str | None = None
    size: int | None = None
    train_size: int | None = None
    test_size: int | None = None

    def __post_init__(self) -> None:
        for field in ("size", "train_size", "test_size"):
            value = getattr(self, field)
            if value is not None and (type(value) is not int or value < 1):
                raise DataError(f"data {self.name!r}: {field} is a positive whole number, not {value!r}.")


@dataclass(frozen=True)
class DataShape:
    """What loading a spec gives: images ``[n, channels, size, size]`` and labels 0..num_classes-1."""

    num_classes: int
    channels: int
    size: int
    n_train: int
    n_test: int
