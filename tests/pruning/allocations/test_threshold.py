from __future__ import annotations

import pytest
import torch

from prunecheck.errors import InfeasibleError
from prunecheck.pruning.allocations.threshold import convolutions, everything
from prunecheck.pruning.layers import Layer, total
from prunecheck.pruning.masks import keep_top
from prunecheck.pruning.presets import rule_for
from tests.pruning.allocations.shapes import small
from tests.pruning.allocations.test_allocations import scores_for


def test_global_keeps_the_largest_scores_of_the_whole_network() -> None:
    layers, scores = small(), scores_for(small())
    counts = everything(layers, scores, 0.9)
    masks = keep_top(scores, counts).masks
    kept = torch.cat([scores[n][masks[n]] for n in scores])
    removed = torch.cat([scores[n][~masks[n]] for n in scores])
    assert kept.min() > removed.max()
    assert len(kept) == round(0.1 * total(layers))


def test_global_conv_leaves_linear_layers_whole_and_counts_them() -> None:
    layers, scores = small(), scores_for(small())
    scores["fc.weight"] *= 0  # the worst scores of all change nothing
    counts = convolutions(layers, scores, 0.9)
    masks = keep_top(scores, counts).masks
    assert masks["fc.weight"].all()
    assert sum(int(mask.sum()) for mask in masks.values()) == round(0.1 * total(layers))
    convs = [n for n in scores if n != "fc.weight"]
    assert min(scores[n][masks[n]].min() for n in convs) > max(scores[n][~masks[n]].max() for n in convs)


def test_global_conv_against_the_official_counting_line() -> None:
    """The official LT_prune.py prunes one weight more: index int(n * p) of the sorted convolutions goes too."""
    layers, scores = small(), scores_for(small())
    rule = rule_for("official", "lottery_ticket")
    assert rule is not None
    conv = sorted(torch.cat([scores[la.name].reshape(-1) for la in layers if la.kind == "conv"]).tolist())
    official = sum(value > conv[rule.rank(total(layers), 0.9)] for value in conv) + layers[-1].size
    exact = sum(convolutions(layers, scores, 0.9).values())
    assert exact - official in (0, 1)


def test_a_whole_linear_layer_may_eat_the_budget() -> None:
    layers = (Layer("a", "conv", (10, 10, 1, 1)), Layer("fc", "linear", (10, 10)))
    scores = {"a": torch.rand(10, 10, 1, 1), "fc": torch.rand(10, 10)}
    with pytest.raises(InfeasibleError, match=r"fixed share of fc alone is 100\. .* works here is 50%"):
        convolutions(layers, scores, 0.6)
    assert convolutions(layers, scores, 0.5) == {"a": 0, "fc": 100}
