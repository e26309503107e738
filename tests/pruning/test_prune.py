"""Masks in one call, on networks with attention and recurrent layers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

import prunecheck
from prunecheck.errors import StudyError
from tests import sequence_nets

NETS = {"lstm": sequence_nets.lstm, "gru": sequence_nets.gru, "transformer": sequence_nets.transformer}
ALSO = ("attention", "recurrent")


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(20, 1, 8, 8), torch.arange(20) % 10


@pytest.mark.parametrize("method", ["snip", "grasp", "synflow", "gradient", "random_ticket", "magnitude_init"])
@pytest.mark.parametrize("build", NETS.values(), ids=NETS)
def test_masks_cover_attention_and_recurrent_weights_with_exact_counts(
    build: Callable[[], nn.Module], method: str
) -> None:
    torch.manual_seed(0)
    model = build()
    data = batch()
    bare = prunecheck.mask(method, model, data, 0.5)
    masks = prunecheck.mask(method, model, data, 0.5, also_prune=ALSO)
    assert bare.keys() < masks.keys()
    weights = sum(mask.numel() for mask in masks.values())
    assert sum(int(mask.sum()) for mask in masks.values()) == round(weights * 0.5)
    for name in masks.keys() - bare.keys():
        assert masks[name].shape == model.get_parameter(name).shape
        assert method == "random_ticket" or 0 < int(masks[name].sum()) < masks[name].numel()


def test_snip_of_an_lstm_is_weight_times_gradient_of_the_module() -> None:
    """Against a plain backward pass, because functional calls of recurrent modules keep a second list of weights."""
    torch.manual_seed(0)
    model, (inputs, targets) = sequence_nets.lstm(), batch()
    masks = prunecheck.mask("snip", model, (inputs, targets), 0.7, also_prune="recurrent")
    nn.functional.cross_entropy(model(inputs), targets).backward()
    scores = torch.cat([(p * p.grad).abs().flatten() for n in masks if (p := model.get_parameter(n)).grad is not None])
    kept = torch.cat([mask.flatten() for mask in masks.values()])
    assert len(scores) == len(kept)
    assert scores[kept].min() >= scores[~kept].max() - 1e-7


@pytest.mark.parametrize("build", NETS.values(), ids=NETS)
def test_kept_masks_hold_in_training(build: Callable[[], nn.Module]) -> None:
    torch.manual_seed(0)
    model = build()
    masks = prunecheck.random_ticket(model, 0.5, also_prune=ALSO)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-3)
    before = {name: model.get_parameter(name).detach().clone() for name in masks}
    with prunecheck.keep(model, masks):
        for _ in range(3):
            optimiser.zero_grad()
            inputs, targets = batch()
            nn.functional.cross_entropy(model(inputs), targets).backward()
            optimiser.step()
    for name, mask in masks.items():
        weight = model.get_parameter(name).detach()
        assert not weight[~mask].any()
        assert not torch.equal(weight[mask], before[name][mask])


def test_counts_list_the_added_layers_and_presets_are_refused() -> None:
    model = sequence_nets.transformer()
    rows = prunecheck.counts(model, 0.5, allocate="erk", also_prune=("attention",))
    assert (sequence_nets.IN_PROJECTION, 192) in [row[:2] for row in rows]
    with pytest.raises(StudyError, match="published codes prune"):
        prunecheck.mask("snip", model, batch(), 0.5, preset="official", also_prune=("attention",))
    with pytest.raises(StudyError, match="Did you mean 'recurrent'"):
        prunecheck.random_ticket(model, 0.5, also_prune=("recurent",))
