"""Masks and weights of the published codes (locuslab/wanda, IST-DASLab/sparsegpt, luuyin/OWL,
biomedical-cybernetics/Relative-importance-and-activation-pruning at 7bc55b0), run once on the CPU on
the network, layers and sequences of ``nets``; their sums and hashes are kept here."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from prunecheck.pruning import temporary_plugins
from prunecheck.pruning.patterns import parse_pattern
from prunecheck.pruning.post_training import post_training_method
from prunecheck.pruning.post_training.layers import Layer
from prunecheck.pruning.post_training.ratios import owl_shares
from prunecheck.pruning.post_training.selection import Select
from prunecheck.pruning.post_training.statistics import LayerInputs, Recorder
from prunecheck.pruning.registry import POST_TRAINING_METHODS
from tests.pruning.post_training.nets import WIDTH, draw, masks_of, pruned, sequences, weights_of

MODELS = {
    ("wanda", None): ("6c610f1820cdeae5", (6629.288792, 1937.41252, -14.061408)),
    ("wanda", "2:4"): ("4d8b5fbad130089d", (6219.555349, 1809.01507, -19.24441)),
    ("wanda", "4:8"): ("12ba5877006f76cf", (6418.074267, 1871.37802, -20.56266)),
    ("sparsegpt", "2:4"): ("7958697c24a99b45", (6457.185609, 1947.284288, -16.865087)),
    ("sparsegpt", "4:8"): ("42c4214813030601", (6603.025466, 1980.545737, -19.327224)),
    ("magnitude", "2:4"): ("b02bb75fdf5619da", (6310.421376, 1844.673252, -8.091089)),
    ("magnitude", "4:8"): ("acac51a336b8cf98", (6513.366082, 1906.524723, -8.598693)),
}
"""of prune_wanda, prune_sparsegpt and prune_magnitude at 50 %: the hash of all masks, and sums over all weights"""
RIA = {
    "row": ({"granularity": "row"}, "89217eb73c468b29", (6690.837738, 1957.462025, -11.832647)),
    "power 1": (
        {"granularity": "row", "options": {"power": 1.0}},
        "7e3dfbc04bb52512",
        (6623.924997, 1935.600294, -11.521265),
    ),
    "2:4": ({"pattern": "2:4"}, "5d3333ce77a20f13", (6280.878873, 1833.271907, -18.045534)),
    "4:8": ({"pattern": "4:8"}, "ba12ad371b0a0357", (6482.692179, 1895.589828, -15.960157)),
}
"""of prune_ria at 50 %: per_outneuron with a = 0.5 and a = 1, and the patterns without reallocation"""
LAYERS = {
    (None, 128): ("4af28c78c8d3e7b2", (4296.085688, 1854.053862, 40.240538)),
    (None, 64): ("a1d05fba4c51252b", (4314.592302, 1867.171652, 44.460558)),
    ("2:4", 128): ("68426dff8775eac1", (4167.041973, 1808.619403, 36.043128)),
    ("4:8", 128): ("a591bbab462145b8", (4186.879772, 1801.508193, 47.333723)),
}
"""of fasterprune at 50 % on one layer, by pattern and number of columns in a block"""


def _hash(mask: Tensor) -> str:
    return hashlib.sha256(np.packbits(mask.numpy().ravel()).tobytes()).hexdigest()[:16]


def _sums(weight: Tensor) -> tuple[float, float, float]:
    flat = weight.double().ravel()
    waves = torch.cos(torch.arange(len(flat), dtype=torch.float64))
    return float(flat.abs().sum()), float((flat**2).sum()), float(flat @ waves)


def _received(layer: nn.Linear, inputs: list[Tensor], needs: set[str]) -> LayerInputs:
    recorder = Recorder({"layer": Layer(layer)}, needs)
    for one in inputs:
        with recorder.recording(), torch.no_grad():
            layer(one)
    return recorder.read("layer")


class PublishedThreshold:
    """The unstructured selection of fasterprune: one weight more than the share, and all ties of it."""

    group = None

    def __call__(self, scores: Tensor, start: int = 0) -> Tensor:  # noqa: ARG002
        return scores > scores.flatten().sort().values[scores.numel() // 2]


@pytest.mark.parametrize(("method", "pattern"), MODELS)
def test_a_pruned_network_equals_that_of_the_published_code(method: str, pattern: str | None) -> None:
    net, results = pruned(method, pattern=pattern)
    masks, weights = masks_of(results), weights_of(net)
    known, sums = MODELS[method, pattern]
    assert _hash(torch.cat([mask.ravel() for mask in masks.values()])) == known
    assert _sums(torch.cat([weight.ravel() for weight in weights.values()])) == pytest.approx(sums, rel=1e-5, abs=1e-3)


@pytest.mark.parametrize("case", RIA)
def test_ria_equals_the_published_code_per_output_and_in_patterns(case: str) -> None:
    how, known, sums = RIA[case]
    net, results = pruned("ria", **how)
    assert _hash(torch.cat([mask.ravel() for mask in masks_of(results).values()])) == known
    every = torch.cat([weight.ravel() for weight in weights_of(net).values()])
    assert _sums(every) == pytest.approx(sums, rel=1e-5, abs=1e-3)


def test_ria_per_layer_keeps_one_weight_more_in_each_layer_than_the_published_threshold() -> None:
    """In the first block, which receives the same in both; later ones receive what one weight more passes on."""
    with temporary_plugins():

        @post_training_method
        def published_threshold(weight: Tensor, norms: Tensor) -> Tensor:
            scores = POST_TRAINING_METHODS.get("ria")(weight, norms)
            cut = scores.flatten().sort().values[scores.numel() // 2]
            removed[len(removed)] = scores <= cut
            return scores

        removed: dict[int, Tensor] = {}
        masks = masks_of(pruned("published_threshold")[1])
    first = list(masks.values())[:3]
    assert [int((mask & gone).sum()) for mask, gone in zip(first, removed.values(), strict=False)] == [1, 1, 1]
    assert _hash(torch.cat([~gone.ravel() for gone in list(removed.values())[:3]])) == "b7b6fba8f329ca3f"


def test_magnitude_keeps_one_weight_more_in_each_layer_than_the_published_threshold() -> None:
    masks = masks_of(pruned("magnitude")[1])
    for layer in masks:
        weight = pruned("magnitude", 0.0001)[0].get_parameter(layer).detach()
        cut = weight.abs().flatten().sort().values[weight.numel() // 2]
        assert int((masks[layer] & (weight.abs() <= cut)).sum()) == 1
    assert sum(int(mask.sum()) for mask in masks.values()) == 26487 + len(masks)


@pytest.mark.parametrize(("pattern", "columns"), LAYERS)
def test_sparsegpt_equals_the_published_code_on_a_layer_for_equal_selections(pattern: str | None, columns: int) -> None:
    layer = nn.Linear(256, 96, bias=False)
    layer.weight.data = draw(96, 256, seed=8, scale=0.3)
    factor = 1 + torch.arange(256) % 7
    inputs = [draw(1, 200, 256, seed=2000 + i) * factor + draw(1, 200, 1, seed=3000 + i) for i in range(4)]
    gram = _received(layer, inputs, {"gram"}).gram
    select = PublishedThreshold() if pattern is None else Select((96, 256), 96 * 128, "layer", parse_pattern(pattern))
    sparsegpt = POST_TRAINING_METHODS.get("sparsegpt")
    weight, mask = sparsegpt(layer.weight.detach(), gram, select, columns=columns)
    known, sums = LAYERS[pattern, columns]
    assert _hash(mask) == known
    assert _sums(weight) == pytest.approx(sums, rel=1e-5, abs=1e-3)


def test_norms_equal_the_square_root_of_wandas_scaler_row() -> None:
    received = _received(nn.Linear(WIDTH, 4), sequences(), {"norms"})
    assert received.norms is not None
    assert received.tokens == 320
    assert _sums(received.norms) == pytest.approx((879.240768, 19744.312575, -6.074137), rel=1e-6)


def test_owl_shares_equal_those_of_the_published_code() -> None:
    found = [1.8851902173913044, 2.502264492753623, 2.943840579710145]
    assert owl_shares(found, 0.5, 0.08) == pytest.approx([0.41557932, 0.50884135, 0.57557932], abs=1e-8)
    _, results = pruned("wanda", ratios="owl", granularity="layer")
    assert [result.share for result in results] == pytest.approx([0.41557932, 0.50884135, 0.57557932], abs=2e-4)
