"""The counts of any other method: its layer ratios without its positions."""

from __future__ import annotations

from prunecheck.pruning import allocation
from prunecheck.pruning.counts import Counts


@allocation
def counts_of(given: dict[str, int]) -> Counts:
    """As many weights per layer as another method keeps (name it: ``{name = "counts_of", method = "snip"}``)."""
    return Counts(given)
