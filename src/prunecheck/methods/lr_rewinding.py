"""Learning-rate rewinding (Renda et al. 2020): the weights stay as trained, only the schedule goes back to epoch k."""

from __future__ import annotations

from prunecheck.methods.magnitude import magnitudes
from prunecheck.plugins import method

lr_rewinding = method(
    name="lr_rewinding",
    summary="Largest trained weights, kept as trained, retrained on the schedule from epoch k on.",
    when="trained",
    rewind="nothing",
    retrain="rest",
    aliases=("lrr",),
    paper="Renda et al. 2020",
)(magnitudes)
