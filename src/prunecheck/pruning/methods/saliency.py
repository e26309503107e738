"""Saliency pruning: score = |w * dL/dw| of the trained network (Molchanov et al. 2017), then fine-tuned.

SNIP's score after training instead of before it; known as ``global_saliency`` in jaxpruner, ``GlobalMagGrad`` in
ShrinkBench and first-order Taylor pruning elsewhere. Retrained like learning-rate rewinding. Deviates: the gradient is
that of the class-balanced scoring batches (ShrinkBench: one batch, biases ranked as well).
"""

from __future__ import annotations

from prunecheck.pruning import method
from prunecheck.pruning.methods.snip import snip

saliency = method(
    name="saliency",
    summary="Largest |weight x gradient| of the trained network, kept as trained, retrained from epoch k on.",
    when="trained",
    rewind="nothing",
    retrain="rest",
    aliases=("taylor", "mag_grad", "global_saliency"),
    paper="Molchanov et al. 2017",
)(snip.function)
