"""Learning-rate rewinding (Renda et al. 2020): the weights stay as trained, only the schedule goes back to epoch k.

The same choices are "magnitude pruning after training" of Frankle et al. 2021, hence the alias ``magnitude_trained``.
Plain fine-tuning, at the last small learning rate throughout, is not offered.
"""

from __future__ import annotations

from prunecheck.pruning import method
from prunecheck.pruning.methods.magnitude import magnitudes

lr_rewinding = method(
    name="lr_rewinding",
    summary="Largest trained weights, kept as trained, retrained on the schedule from epoch k on.",
    when="trained",
    rewind="nothing",
    retrain="rest",
    aliases=("lrr", "magnitude_trained"),
    paper="Renda et al. 2020",
)(magnitudes)
