"""Names of the built-in checks in plain words, so that a reader need not know their identifiers."""

from __future__ import annotations

from prunecheck.text import printable

PLAIN = {
    "corrupted_data": "scrambled images and random labels",
    "half_dataset": "half of the training set",
    "identity": "nothing changed",
    "invert": "the least valued weights kept",
    "layerwise_rearrange": "other positions in the same layers",
    "layerwise_weight_shuffle": "shuffled values in the same layers",
    "planted": "some positions redrawn",
    "random_labels": "random labels",
    "random_pixels": "scrambled images",
    "reinit": "a fresh initialisation",
    "sign_shuffle": "shuffled signs in the same layers",
    "unstructured_rearrange": "other positions, whatever the pattern",
}
"""check -> the arm it makes, in words that follow "with"."""


def check_name(check: str) -> str:
    """``other positions in the same layers``; of a check that is not built in, its identifier."""
    return PLAIN.get(check, printable(check))
