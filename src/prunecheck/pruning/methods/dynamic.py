"""Dynamic sparse training: the mask changes while the network trains; the counts of every layer stay.

Both start from a random mask with ERK counts; an update drops the kept weights of least magnitude and grows as many.
At an update no optimiser step is taken; weights that grow start at 0 with a momentum of 0 (RigL, algorithm 1).

| method | drops | grows |
|---|---|---|
| ``set`` | least magnitude | at random |
| ``rigl`` | least magnitude | largest gradient of the batch |
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prunecheck.pruning.built_in import method
from prunecheck.pruning.methods.magnitude import magnitudes

if TYPE_CHECKING:
    from torch import Tensor

    from prunecheck.pruning.seeds import Rng

Scores = tuple[dict[str, "Tensor"], dict[str, "Tensor"]]


# As RigL's authors run SET. Mocanu et al. 2018 update after every epoch by a constant fraction to the end, drop that
# fraction of the positive and of the negative weights each, and draw the values of new weights at random.
@method(name="set", when="during", paper="Mocanu et al. 2018")
def set_(weights: dict[str, Tensor], rng: Rng) -> Scores:
    """Sparse evolutionary training: while the network trains, the smallest weights are dropped, random ones grow."""
    from prunecheck.pruning.updates import at_random

    return magnitudes(weights), at_random(weights, rng)


@method(when="during", paper="Evci et al. 2020")
def rigl(weights: dict[str, Tensor], gradients: dict[str, Tensor]) -> Scores:
    """While the network trains, the smallest weights are dropped, those with the largest gradients grow."""
    return magnitudes(weights), magnitudes(gradients)
