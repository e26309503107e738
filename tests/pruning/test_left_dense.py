from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from prunecheck.models import build
from prunecheck.pruning.layers import layers_of
from prunecheck.pruning.left_dense import left_dense
from tests import sequence_nets


@pytest.mark.parametrize("kind", ["attention", "recurrent"])
def test_share_of_dense_parameters_and_sparsity_over_all_of_them(kind: str) -> None:
    model = sequence_nets.transformer() if kind == "attention" else sequence_nets.lstm()
    found = left_dense(model, layers_of(model))
    assert found is not None
    every = sum(parameter.numel() for parameter in model.parameters())
    covered = sum(module.weight.numel() for module in model.modules() if isinstance(module, nn.Linear))
    assert (found.parameters, found.covered, found.also) == (every, covered, (kind,))
    assert found.share == 1 - covered / every
    for layer in layers_of(model):
        with torch.no_grad():
            model.get_parameter(layer.name).fill_(0.0)
    left = {layer.name for layer in layers_of(model)}
    zeros = sum(p.numel() for name, p in model.named_parameters() if name in left)
    assert found.true_sparsity(1.0) == pytest.approx(zeros / every)
    assert f'also_prune = ["{kind}"] prunes them too.' in found.sentence([0.9])


def test_nothing_is_said_where_only_biases_and_normalisation_are_left() -> None:
    for model in (build("resnet20", 10), build("vgg11_bn", 10), build("convnet", 10, 1, 8)):
        assert left_dense(model, layers_of(model)) is None
    for model in (sequence_nets.transformer(), sequence_nets.gru()):
        assert left_dense(model, layers_of(model, ("attention", "recurrent"))) is None


def test_other_tensors_are_named_without_an_option_that_cannot_prune_them() -> None:
    model = nn.Sequential(nn.Embedding(50, 4), nn.Linear(4, 5, bias=False))
    found = left_dense(model, layers_of(model))
    assert found is not None
    assert found.sentence([0.5, 0.9]) == (
        "90.91% of the 220 parameters stay dense, among them 0.weight. A sparsity of 50% removes 4.55% of all "
        "parameters, one of 90% 8.18%."
    )
    both = nn.Sequential(nn.Embedding(50, 4), nn.LSTM(4, 5))
    both_found = left_dense(both, layers_of(nn.Linear(1, 1)))
    assert both_found is not None
    assert both_found.sentence([0.9]).endswith('also_prune = ["recurrent"] prunes 2 of these 3 tensors too.')


def test_pruned_form_of_a_covered_layer_is_not_left_dense() -> None:
    model = nn.Sequential(nn.Linear(30, 20), nn.Linear(20, 10))
    layers = layers_of(model)
    prune.l1_unstructured(model[0], "weight", amount=0.5)
    assert left_dense(model, layers) is None
