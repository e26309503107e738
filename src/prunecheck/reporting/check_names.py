"""Names of the built-in checks in plain words, so that a reader need not know their identifiers."""

from __future__ import annotations

import re
from collections.abc import Iterable

from prunecheck.text import printable

PLAIN = {
    "corrupted_data": "scrambled images and random labels",
    "few_tokens": "few calibration sequences",
    "half_dataset": "half of the training set",
    "identity": "nothing changed",
    "invert": "the least valued weights kept",
    "layerwise_rearrange": "other positions in the same layers",
    "layerwise_weight_shuffle": "shuffled values in the same layers",
    "other_text": "another text",
    "permuted_norms": "the input statistics of other inputs",
    "permuted_ratios": "the ratios of other blocks",
    "planted": "some positions redrawn",
    "random_labels": "random labels",
    "random_pixels": "scrambled images",
    "random_tokens": "random tokens",
    "rearranged_rows": "other positions in the same rows",
    "reinit": "a fresh initialisation",
    "rowwise_weight_shuffle": "shuffled values in the same rows",
    "shuffled_tokens": "tokens in random order",
    "sign_shuffle": "shuffled signs in the same layers",
    "uniform_ratios": "the same ratio in every block",
    "unstructured_rearrange": "other positions, whatever the pattern",
    "update_shuffled": "shuffled updates of the kept weights",
    "update_withheld": "no update of the kept weights",
}
"""check -> the arm it makes, in words that follow "with"."""


def check_name(check: str) -> str:
    """``other positions in the same layers``; of a check that is not built in, its identifier."""
    return PLAIN.get(check, printable(check))


def in_plain_words(text: str, checks: Iterable[str]) -> str:
    """*text* with the identifiers of *checks* replaced by their names."""
    known = sorted(PLAIN.keys() & set(checks), key=len, reverse=True)
    return re.sub(rf"\b(?:{'|'.join(known)})\b", lambda found: PLAIN[found[0]], text) if known else text
