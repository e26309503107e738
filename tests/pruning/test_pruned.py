from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune

from prunecheck.errors import ModelError, StudyError
from prunecheck.pruning.layers import layers_of
from prunecheck.pruning.pruned import mask_in_state, masks_in_module, weight_of
from tests.interop.nets import FORMS, masks, net


@pytest.mark.parametrize(
    ("key", "weight"),
    [
        ("conv1.weight", "conv1.weight"),
        ("conv1.weight_mask", "conv1.weight"),
        ("a.0.parametrizations.weight.0.mask", "a.0.weight"),
        ("parametrizations.weight.2.mask", "weight"),
        ("conv1.weight_orig", "conv1.weight_orig"),
    ],
)
def test_which_weight_an_entry_speaks_of(key: str, weight: str) -> None:
    assert weight_of(key) == weight


@pytest.mark.parametrize("form", FORMS)
def test_a_module_in_any_form_gives_the_same_layers_and_masks(form: str) -> None:
    wanted = masks()
    found = masks_in_module(FORMS[form](wanted))
    assert tuple(found) == layers_of(net())
    for layer, one in found.items():
        assert torch.equal(one.mask, wanted[layer.name])
        assert one.mask.dtype == torch.bool
        assert one.is_plain is (form == "zeros")


def test_a_mask_wins_over_the_zeros_of_the_weight_under_it() -> None:
    model = nn.Linear(4, 2)
    with torch.no_grad():
        model.weight.zero_()
    prune.custom_from_mask(model, "weight", torch.tensor([[1.0, 0, 1, 1], [0, 1, 1, 1]]))
    assert next(iter(masks_in_module(model).values())).mask.sum() == 6


def test_several_masks_of_one_weight_all_count() -> None:
    state = {
        "parametrizations.weight.0.mask": torch.tensor([1.0, 1, 0]),
        "parametrizations.weight.1.mask": torch.tensor([True, False, True]),
    }
    found = mask_in_state(state, "weight")
    assert found is not None
    assert found.mask.tolist() == [True, False, False]


def test_a_parametrisation_that_is_no_mask_is_read_by_what_it_makes_of_the_weight() -> None:
    model = parametrizations.weight_norm(nn.Linear(3, 2))
    found = next(iter(masks_in_module(model).values()))
    assert found.is_plain
    assert found.mask.all()


def test_a_shared_weight_is_one_layer() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    assert [layer.name for layer in masks_in_module(model)] == ["0.weight"]


def test_what_is_no_mask_and_what_has_none() -> None:
    with pytest.raises(StudyError, match="weight_mask holds values other than 0 and 1"):
        mask_in_state({"weight_mask": torch.tensor([0.5, 1.0]), "weight_orig": torch.ones(2)}, "weight")
    assert mask_in_state({"bias": torch.ones(2)}, "weight") is None
    with pytest.raises(ModelError, match="ReLU has no convolution"):
        masks_in_module(nn.ReLU())
