"""The magnitude methods: one score, |w|, and seven choices of the rest.

| method | score x allocate | x when | x rewind | x retrain | rounds |
|---|---|---|---|---|---|
| ``magnitude_init`` | abs(w), all layers compete | init | init | full | 1 |
| ``lottery_ticket`` | abs(w), convolutions compete | trained | init | full | 1 |
| ``imp`` | abs(w), all layers compete | trained | init | full | 10 |
| ``weight_rewinding`` | abs(w), all layers compete | trained | epoch k | rest | 1 |
| ``lr_rewinding`` | abs(w), all layers compete | trained | nothing | rest | 1 |
| ``hybrid_ticket`` | abs(w), smart ratio | trained | nothing | rest | 1 |
| ``magnitude_layerwise`` | abs(w), the same share of every layer | trained | nothing | rest | 1 |
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prunecheck.pruning.built_in import method

if TYPE_CHECKING:
    from torch import Tensor


def magnitudes(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """|w|: the score of every magnitude method, whatever it prunes and when."""
    return {name: weight.abs() for name, weight in weights.items()}


# Frankle et al. 2021, "Missing the Mark"; no data is used.
magnitude_init = method(
    name="magnitude_init",
    summary="The largest initial weights, all layers competing; trained from initialisation.",
    aliases=("magnitude", "mag"),
    paper="Frankle et al. 2021",
)(magnitudes)

# One-shot, as in the official LT_prune.py of Su et al. 2020: linear layers stay whole and the total counts them;
# weights, biases and normalisation go back to their initial values. Exact counts; the official code removes one weight
# more (preset "official").
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

# Every round removes the same share of the survivors; per_round = 0.2 is the published 20 %, whatever the sparsity.
# open_lth also spares the classifier of its VGGs (preset "open_lth"). rewind = "epoch" makes it iterative weight
# rewinding, rewind = "nothing" iterative learning-rate rewinding.
imp = method(
    name="imp",
    summary="Rounds of training, magnitude pruning and reset to the initial weights; the last ticket trained in full.",
    when="trained",
    rewind="init",
    retrain="full",
    rounds=10,
    paper="Frankle & Carbin 2019",
)(magnitudes)

# All state (weights, biases, normalisation) returns to the end of epoch k of the dense training; a small k is late
# resetting (Frankle et al. 2020).
weight_rewinding = method(
    name="weight_rewinding",
    summary="Largest trained weights, rewound to epoch k, trained from there to the end.",
    when="trained",
    rewind="epoch",
    retrain="rest",
    aliases=("wr",),
    paper="Renda et al. 2020",
)(magnitudes)

# "Magnitude pruning after training" of Frankle et al. 2021 makes the same choices, hence the alias. Plain fine-tuning,
# at the last small learning rate throughout, is not offered.
lr_rewinding = method(
    name="lr_rewinding",
    summary="Largest trained weights, kept as trained, retrained on the schedule from epoch k on.",
    when="trained",
    rewind="nothing",
    retrain="rest",
    aliases=("lrr", "magnitude_trained"),
    paper="Renda et al. 2020",
)(magnitudes)

# Su et al. 2020, section 6.
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

# Zhu & Gupta 2018; LayerMagWeight in ShrinkBench (which fine-tunes at a small constant rate instead), magnitude in
# jaxpruner, l1_unstructured layer by layer in torch.
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
