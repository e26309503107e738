"""The checks, one corruption per file. Importing this package registers them all."""

from prunecheck.pruning.checks import (
    corrupted_data,
    half_dataset,
    identity,
    invert,
    layerwise_rearrange,
    layerwise_weight_shuffle,
    planted,
    random_labels,
    random_pixels,
    reinit,
    sign_shuffle,
)

__all__ = [
    "corrupted_data",
    "half_dataset",
    "identity",
    "invert",
    "layerwise_rearrange",
    "layerwise_weight_shuffle",
    "planted",
    "random_labels",
    "random_pixels",
    "reinit",
    "sign_shuffle",
]
