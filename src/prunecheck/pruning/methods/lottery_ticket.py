"""Lottery tickets, one-shot (Frankle & Carbin 2019, as in the official LT_prune.py of Su et al. 2020).

Train the dense network, keep the largest trained weights of all convolutions (linear layers stay whole and the total
counts them), go back to the initial weights, biases and normalisation, train the full schedule. The default counts
are exact; the official code removes one weight more (preset ``official``).
"""

from __future__ import annotations

from prunecheck.pruning import method
from prunecheck.pruning.methods.magnitude import magnitudes

lottery_ticket = method(
    name="lottery_ticket",
    summary="Largest trained weights (linear layers whole), reset to their initial values, trained in full.",
    allocate="global_conv",
    when="trained",
    rewind="init",
    retrain="full",
    aliases=("lt", "omp"),
    paper="Frankle & Carbin 2019",
)(magnitudes)
