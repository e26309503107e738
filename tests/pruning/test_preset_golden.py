"""Presets against the published codes themselves, bit for bit: presets.json is what their functions returned (see
make_golden.py beside it)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from prunecheck.api import mask
from prunecheck.pruning import ALLOCATIONS, METHODS
from prunecheck.pruning.layers import layers_of, weights_of
from prunecheck.pruning.run_method import run_method
from prunecheck.pruning.seeds import torch_stream
from prunecheck.pruning.select import select
from prunecheck.pruning.task import task_named
from tests.pruning.golden.small_net import SmallNet, VGGSmallNet, batch, packed, small_net

GOLDEN = json.loads((Path(__file__).parent / "golden" / "presets.json").read_text(encoding="utf-8"))
MASKS: dict[str, Any] = GOLDEN["masks"]


def ours(preset: str | None, method: str, sparsity: float, seed: int = 0) -> dict[str, Tensor]:
    torch.set_num_threads(1)
    net = small_net(VGGSmallNet if method.endswith(", VGG") else SmallNet)
    plugin = METHODS.get(method.removesuffix(", VGG"))
    if plugin.when == "init":
        return mask(plugin.name, net, batch(), sparsity, preset=preset, seed=seed)
    scores = {name: weight.abs() for name, weight in weights_of(net).items()}
    allocation = ALLOCATIONS.get(plugin.allocate)
    chosen = select(
        allocation, layers_of(net), scores, sparsity, method=plugin.name, family="resnet", options={}, preset=preset
    )
    return chosen.masks


@pytest.mark.parametrize("key", MASKS)
def test_the_mask_of_the_published_code(key: str) -> None:
    preset, method, sparsity = key.split("/")
    assert packed(ours(preset, method, float(sparsity))) == MASKS[key]


def test_every_preset_has_golden_masks_and_every_code_its_commit() -> None:
    from prunecheck.pruning.presets import PRESETS

    assert {key.split("/")[0] for key in MASKS} == set(PRESETS)
    assert all(len(commit) == 40 for commit in GOLDEN["commits"].values())


DIFFERENT = [
    "official/grasp",
    "snip/snip",
    "grasp/grasp",
    "synflow/snip",
    "synflow/grasp",
    "open_lth/magnitude_init, VGG",
]


@pytest.mark.parametrize("key", DIFFERENT)
def test_without_the_preset_the_mask_is_another(key: str) -> None:
    """Else the golden masks would prove nothing of what the presets change."""
    preset, method = key.split("/")
    assert packed(ours(None, method, 0.9)) != MASKS[f"{preset}/{method}/0.9"]


def test_a_redrawn_copy_follows_the_seed_and_leaves_the_model_alone() -> None:
    net = small_net()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    first, again, other = (mask("snip", net, batch(), 0.9, preset="snip", seed=seed) for seed in (0, 0, 1))
    assert packed(first) == packed(again)
    assert packed(first) != packed(other)
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())


def test_running_statistics_are_those_of_the_model_and_stay() -> None:
    net = small_net()
    with torch_stream(0, "statistics"), torch.no_grad():
        net.get_buffer("bn1.running_mean").normal_()
    fresh = mask("snip", small_net(), batch(), 0.9, preset="synflow")
    shifted = mask("snip", net, batch(), 0.9, preset="synflow")
    assert packed(fresh) != packed(shifted)
    assert packed(mask("snip", net, batch(), 0.9)) == packed(mask("snip", small_net(), batch(), 0.9))


def test_halves_are_two_losses_of_classes_of_their_own() -> None:
    """GraSP without redrawing: the same as two batches given one after the other."""
    net, (inputs, targets) = small_net(), batch()
    halves = [(inputs[:12], targets[:12]), (inputs[12:], targets[12:])]
    plugin = METHODS.get("grasp")
    scores = [
        run_method(
            plugin,
            model,
            batches,
            task_named("classification"),
            sparsity=0.9,
            options={},
            seed=0,
            label="g",
            preset=preset,
        )
        for model, batches, preset in ((net, [batch()], "grasp"), (redrawn_by_hand(net), halves, None))
    ]
    assert all(torch.equal(scores[0][name], scores[1][name]) for name in scores[0])


def redrawn_by_hand(net: SmallNet) -> SmallNet:
    twin = small_net()
    twin.load_state_dict(net.state_dict())
    with torch_stream(0, "redrawn for scoring"), torch.no_grad():
        for name in ("hidden.weight", "fc.weight"):
            torch.nn.init.xavier_normal_(twin.get_parameter(name))
    return twin
