"""Iterative magnitude pruning (Frankle & Carbin 2019): train, prune the smallest weights, back to the initial ones,
again.

Ten rounds, each removing the same share of the survivors; ``per_round = 0.2`` is the published 20 % a round, whatever
the sparsity. All layers compete (open_lth also spares the classifier of its VGGs: preset ``open_lth``).
``rewind = "epoch"`` makes it iterative weight rewinding, ``rewind = "nothing"`` iterative learning-rate rewinding.
"""

from __future__ import annotations

from prunecheck.pruning import method
from prunecheck.pruning.methods.magnitude import magnitudes

imp = method(
    name="imp",
    summary="Rounds of training, magnitude pruning and reset to the initial weights; the last ticket trained in full.",
    when="trained",
    rewind="init",
    retrain="full",
    rounds=10,
    paper="Frankle & Carbin 2019",
)(magnitudes)
