"""Which cells are controls: read off their names."""

from __future__ import annotations

import re
from typing import Literal

from prunecheck.statistics.settings import Settings

Role = Literal["positive", "aa", "identity", "planted"]
RANDOM_TICKET = "random_ticket"
EQUAL_BY_CONSTRUCTION = ("layerwise_rearrange", "layerwise_weight_shuffle")
"""A random ticket keeps random positions of independent, identically distributed initial weights: moving the positions
or shuffling the values within a layer gives another draw from the same distribution."""
PLANTED = re.compile(r"planted_(\d*\.?\d+)")


def role(method: str, check: str, settings: Settings) -> Role | None:
    """The part a method x check plays in telling whether the study itself works; None for an ordinary check.

    ``identity``: the same arm twice. ``aa``: a random ticket against its own rearrangement or shuffle, equal in
    distribution by construction. ``planted``: a share of the positive control's mask re-drawn. ``positive``: a check of
    the method that is known to be hurt (ICH E10, assay sensitivity).
    """
    if check == "identity":
        return "identity"
    if check == "aa" or (method == RANDOM_TICKET and check in EQUAL_BY_CONSTRUCTION):
        return "aa"
    if partial(check) is not None:
        return "planted"
    return "positive" if method == settings.positive_control else None


def partial(check: str) -> float | None:
    """The share of the mask that a planted check re-draws: ``planted_0.25`` -> 0.25; None for any other check."""
    match = PLANTED.fullmatch(check)
    return float(match[1]) if match else None
