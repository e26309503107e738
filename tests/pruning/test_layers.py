from __future__ import annotations

import warnings

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune

from prunecheck.errors import ModelError, StudyError
from prunecheck.pruning.layers import ALSO, Layer, layers_of, share_kept, total, validate_also, weights_of
from tests import sequence_nets


def test_layers_in_module_order_without_biases_and_normalisation() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 8, 3, groups=4), nn.Linear(8, 5))
    assert layers_of(model) == (
        Layer("0.weight", "conv", (8, 3, 3, 3)),
        Layer("2.weight", "conv", (8, 2, 3, 3)),
        Layer("3.weight", "linear", (5, 8)),
    )
    assert total(layers_of(model)) == 216 + 144 + 40
    assert (layers_of(model)[1].fan_in, layers_of(model)[1].fan_out) == (2, 8)


def test_every_kind_of_convolution_counts() -> None:
    model = nn.Sequential(nn.Conv1d(2, 3, 5), nn.Conv3d(1, 2, 3), nn.ConvTranspose2d(4, 2, 3))
    assert [layer.kind for layer in layers_of(model)] == ["conv"] * 3


def test_order_is_registration_not_call_order_nor_alphabet() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.z = nn.Linear(2, 2)
            self.a = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))

    assert [layer.name for layer in layers_of(Odd())] == ["z.weight", "a.0.weight", "a.1.weight"]


def test_the_model_may_be_the_layer() -> None:
    assert layers_of(nn.Linear(2, 3)) == (Layer("weight", "linear", (3, 2)),)


def test_a_shared_weight_is_one_layer_named_after_its_first_appearance() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two, self.three = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4)
            self.two.weight = self.one.weight
            self.again = self.three

    assert [layer.name for layer in layers_of(Tied())] == ["one.weight", "three.weight"]


def test_weights_share_memory_with_the_model_and_carry_no_gradient() -> None:
    model = nn.Linear(2, 2)
    weights = weights_of(model)
    weights["weight"].zero_()
    assert not model.weight.any()
    assert not weights["weight"].requires_grad


@pytest.mark.parametrize("model", [nn.BatchNorm2d(3), nn.Sequential(), nn.Embedding(3, 4), nn.ReLU()])
def test_nothing_to_prune_is_refused(model: nn.Module) -> None:
    with pytest.raises(ModelError, match=f"{type(model).__name__} has no convolution and no linear"):
        layers_of(model)


def test_a_parametrised_or_already_pruned_layer_is_refused_by_name() -> None:
    for wrap in (parametrizations.weight_norm, lambda m: prune.l1_unstructured(m, "weight", 0.5)):
        model = nn.Sequential(nn.Linear(3, 3), nn.Sequential(nn.Linear(3, 4)))
        wrap(model[1][0])
        with pytest.raises(ModelError, match=r"^1\.0\.weight of Sequential is not a plain"):
            layers_of(model)


def test_a_lazy_layer_is_refused() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls lazy modules experimental
        model = nn.Sequential(nn.LazyLinear(4))
    with pytest.raises(ModelError, match=r"0\.weight is lazy"):
        layers_of(model)
    model(torch.zeros(1, 3))
    assert total(layers_of(model)) == 12


def test_share_kept() -> None:
    layers = (Layer("a", "conv", (2, 5)), Layer("b", "linear", (4,)))
    assert share_kept(layers, {"a": 1, "b": 4}) == {"a": 0.1, "b": 1.0}


def test_recurrent_weights_are_layers_where_they_are_asked_for() -> None:
    for model in (sequence_nets.lstm(), sequence_nets.gru()):
        assert [layer.name for layer in layers_of(model)] == ["fc.weight"]
        found = layers_of(model, ("recurrent",))
        assert [layer.name for layer in found] == [*sequence_nets.RECURRENT, "fc.weight"]
        assert [layer.kind for layer in found] == ["recurrent"] * 8 + ["linear"]
        assert all(layer.shape == tuple(model.get_parameter(layer.name).shape) for layer in found)
        assert layers_of(model, ("attention",)) == layers_of(model)


def test_projected_lstm_and_cells_have_their_matrices_and_no_bias() -> None:
    names = [layer.name for layer in layers_of(nn.LSTM(3, 4, proj_size=2), ("recurrent",))]
    assert names == ["weight_ih_l0", "weight_hh_l0", "weight_hr_l0"]
    assert [layer.shape for layer in layers_of(nn.GRUCell(3, 4), ("recurrent",))] == [(12, 3), (12, 4)]


def test_attention_projections_are_layers_where_they_are_asked_for() -> None:
    model = sequence_nets.transformer()
    here, there = layers_of(model), layers_of(model, ("attention",))
    assert [layer.name for layer in there if layer not in here] == [sequence_nets.IN_PROJECTION]
    (added,) = [layer for layer in there if layer.kind == "attention"]
    assert added.shape == (24, 8)
    names = [layer.name for layer in layers_of(nn.MultiheadAttention(8, 2, kdim=3, vdim=5), ("attention",))]
    assert names == ["q_proj_weight", "k_proj_weight", "v_proj_weight", "out_proj.weight"]


def test_network_of_recurrent_layers_alone_names_the_option() -> None:
    with pytest.raises(ModelError, match=r'nothing to prune. also_prune = \["recurrent"\] prunes the weights it has'):
        layers_of(nn.LSTM(3, 4))
    with pytest.raises(ModelError, match=r"nothing to prune\.$"):
        layers_of(nn.ReLU())


def test_kinds_are_validated_and_ordered() -> None:
    assert validate_also("recurrent, attention") == validate_also(("recurrent", "attention", "recurrent")) == ALSO
    assert validate_also("") == validate_also(()) == ()
    with pytest.raises(StudyError, match=r"also_prune: .*'attenton'.* Did you mean 'attention'"):
        validate_also(("attenton",))
