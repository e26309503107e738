"""Layerwise magnitude pruning (Han et al. 2015; Zhu & Gupta 2018): the largest trained weights of every layer, the same
share in each.

``LayerMagWeight`` in ShrinkBench, ``magnitude`` in jaxpruner, ``l1_unstructured`` layer by layer in torch. Kept as
trained, retrained like learning-rate rewinding (ShrinkBench fine-tunes at a small constant rate instead).
"""

from __future__ import annotations

from prunecheck.pruning import method
from prunecheck.pruning.methods.magnitude import magnitudes

magnitude_layerwise = method(
    name="magnitude_layerwise",
    summary="Largest trained weights, the same share of every layer, kept as trained, retrained from epoch k on.",
    allocate="uniform",
    when="trained",
    rewind="nothing",
    retrain="rest",
    aliases=("layer_magnitude",),
    paper="Han et al. 2015",
)(magnitudes)
