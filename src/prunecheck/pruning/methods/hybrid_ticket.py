"""Hybrid tickets (Su et al. 2020, section 6): smart-ratio counts, the largest trained weights of each layer,
retrained like learning-rate rewinding."""

from __future__ import annotations

from prunecheck.pruning import method
from prunecheck.pruning.methods.magnitude import magnitudes

hybrid_ticket = method(
    name="hybrid_ticket",
    summary="Smart-ratio counts, the largest trained weights of each layer, retrained from epoch k on.",
    allocate="smart_ratio",
    when="trained",
    rewind="nothing",
    retrain="rest",
    aliases=("hybrid",),
    paper="Su et al. 2020",
)(magnitudes)
