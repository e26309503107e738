"""Masks of attention and recurrent weights through files, pruned forms and audits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.utils import prune

import prunecheck
from prunecheck.interop import save_masks, write_arms
from tests import sequence_nets

ALSO = ("attention", "recurrent")
NETS = {"lstm": sequence_nets.lstm, "transformer": sequence_nets.transformer}
each_net = pytest.mark.parametrize("build", NETS.values(), ids=NETS)


def equal(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> bool:
    return list(one) == list(two) and all(torch.equal(one[name], two[name]) for name in one)


@each_net
@pytest.mark.parametrize("sparsity", [0.5, 0.9])
def test_masks_come_back_from_files_states_and_modules(
    build: Callable[[], nn.Module], sparsity: float, tmp_path: Path
) -> None:
    model = build()
    masks = prunecheck.random_ticket(model, sparsity, also_prune=ALSO)
    path = save_masks(masks, tmp_path / "masks.safetensors")
    assert equal(prunecheck.read_masks(path, model), masks)
    state = {n: p * masks[n] if n in masks else p for n, p in model.state_dict().items()}
    assert equal(prunecheck.read_masks(state, model), masks)
    pruned = build()
    pruned.load_state_dict(state)
    assert equal(prunecheck.read_masks(pruned, model), masks)
    assert equal(prunecheck.read_masks(pruned), masks)


@each_net
def test_masks_without_these_weights_are_read_as_before(build: Callable[[], nn.Module], tmp_path: Path) -> None:
    model = build()
    masks = prunecheck.random_ticket(model, 0.5)
    state = {n: p * masks[n] if n in masks else p for n, p in model.state_dict().items()}
    assert equal(prunecheck.read_masks(save_masks(masks, tmp_path / "masks.safetensors"), model), masks)
    assert equal(prunecheck.read_masks(state, model), masks)


def test_buffers_of_torch_prune_on_attention_and_lstm_are_read() -> None:
    model = sequence_nets.transformer()
    attention = model.get_submodule(sequence_nets.IN_PROJECTION.rpartition(".")[0])
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear) and "out_proj" not in name:
            prune.l1_unstructured(module, "weight", amount=0.5)
    prune.l1_unstructured(attention, "in_proj_weight", amount=0.25)
    found = prunecheck.read_masks(model)
    assert int(found[sequence_nets.IN_PROJECTION].sum()) == 144
    assert equal(prunecheck.read_masks(model.state_dict(), sequence_nets.transformer()), found)
    recurrent = sequence_nets.lstm()
    prune.l1_unstructured(recurrent.rnn, "weight_hh_l0", amount=0.5)
    found = prunecheck.read_masks(recurrent)
    assert list(found) == [*sequence_nets.RECURRENT, "fc.weight"]
    assert {name for name, mask in found.items() if not mask.all()} == {"rnn.weight_hh_l0"}


@each_net
def test_audit_counts_what_stays_dense(build: Callable[[], nn.Module]) -> None:
    model = build()
    every = sum(parameter.numel() for parameter in model.parameters())
    masks = prunecheck.random_ticket(model, 0.75)
    found = prunecheck.audit(masks, model)
    removed = sum(int((~mask).sum()) for mask in masks.values())
    assert found.sparsity_of_all == pytest.approx(removed / every)
    assert found.sparsity_of_all < 0.7 < found.sparsity
    assert any("stay dense" in note and "also_prune" in note for note in found.notes)
    whole = prunecheck.audit(prunecheck.random_ticket(model, 0.75, also_prune=ALSO), model, inputs=(1, 8, 8))
    assert whole.sparsity == pytest.approx(0.75, abs=0.01)
    assert whole.effective_sparsity is None, "gates and softmax saturate, so that paths cannot be told"
    assert not any("stay dense" in note for note in whole.notes)


def test_arms_corrupt_these_weights_too(tmp_path: Path) -> None:
    model = sequence_nets.lstm()
    masks = prunecheck.random_ticket(model, 0.9, also_prune=ALSO)
    write_arms(masks, sequence_nets.lstm, tmp_path, checks=["layerwise_rearrange"], seeds=[0])
    moved = prunecheck.read_masks(tmp_path / "layerwise_rearrange-seed0.safetensors", model)
    assert list(moved) == list(masks)
    for name in sequence_nets.RECURRENT:
        assert int(moved[name].sum()) == int(masks[name].sum())
        assert bool(masks[name].all()) or not torch.equal(moved[name], masks[name])
