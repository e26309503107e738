"""The counts of any other method: its layer ratios without its positions."""

from __future__ import annotations

from prunecheck.core.counts import Counts
from prunecheck.plugins import allocation


@allocation
def counts_of(given: dict[str, int]) -> Counts:
    """As many weights per layer as another method keeps (name it: ``{name = "counts_of", method = "snip"}``)."""
    return Counts(given)
