"""Hybrid tickets (Su et al. 2020, section 6): smart-ratio counts, the largest trained weights of each layer,
retrained like learning-rate rewinding."""

from __future__ import annotations

from prunecheck.methods.magnitude import magnitudes
from prunecheck.plugins import method

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
