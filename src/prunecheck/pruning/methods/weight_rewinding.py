"""Weight rewinding (Frankle et al. 2020; Renda et al. 2020): like a lottery ticket, but back to epoch k.

All state (weights, biases, normalisation) returns to the end of epoch k of the dense training; the ticket then trains
the rest of the schedule, from k on. A small k is late resetting.
"""

from __future__ import annotations

from prunecheck.pruning import method
from prunecheck.pruning.methods.magnitude import magnitudes

weight_rewinding = method(
    name="weight_rewinding",
    summary="Largest trained weights, rewound to epoch k, trained from there to the end.",
    when="trained",
    rewind="epoch",
    retrain="rest",
    aliases=("wr",),
    paper="Renda et al. 2020",
)(magnitudes)
