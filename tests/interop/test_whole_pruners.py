"""A pruner that takes a model and gives a pruned model is a method: alone, at the front door, and in a study."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import prune

import prunecheck
from prunecheck.errors import PluginError
from prunecheck.pruning.masks import counts_of, sparsity_of
from prunecheck.store import Store
from tests.interop.nets import FORMS, Net, batch, masks, net, same

PLUGIN = '''
import copy
import torch
from torch.nn.utils import prune
from prunecheck import method


def targets_of(model):
    return [(m, "weight") for m in model.modules() if isinstance(m, (torch.nn.Conv2d, torch.nn.Linear))]


@method(gives="masks")
def black_box(model, batches, sparsity):
    """Gradient times weight through torch.nn.utils.prune, on a copy."""
    twin = copy.deepcopy(model)
    for inputs, targets in batches:
        torch.nn.functional.cross_entropy(twin(inputs), targets).backward()
    scores = {(m, n): (m.weight * m.weight.grad).abs() for m, n in targets_of(twin)}
    prune.global_unstructured(targets_of(twin), prune.L1Unstructured, importance_scores=scores, amount=sparsity)
    return twin
'''


def layers_of(model: nn.Module) -> list[tuple[nn.Module, str]]:
    return [(m, "weight") for m in model.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]


def in_place(model: nn.Module, sparsity: float) -> nn.Module:
    prune.global_unstructured(layers_of(model), prune.L1Unstructured, amount=sparsity)
    return model


def made_permanent(model: nn.Module, sparsity: float) -> nn.Module:
    for module, name in layers_of(in_place(model, sparsity)):
        prune.remove(module, name)
    return model


def on_a_copy(model: nn.Module, sparsity: float) -> nn.Module:
    return made_permanent(copy.deepcopy(model), sparsity)


def as_masks(model: nn.Module, sparsity: float) -> dict[str, Tensor]:
    return prunecheck.read_masks(on_a_copy(model, sparsity))


@pytest.mark.parametrize("function", [in_place, made_permanent, on_a_copy, as_masks])
def test_every_return_value_of_a_pruner_is_read_and_the_model_is_unchanged(function: Callable[..., Any]) -> None:
    prunecheck.method(gives="masks")(function)
    model = net()
    before = copy.deepcopy(model.state_dict())
    found = prunecheck.mask(function.__name__, model, batch(), 0.7)
    assert same(found, prunecheck.read_masks(made_permanent(net(), 0.7)))
    assert sparsity_of(found) == pytest.approx(0.7, abs=0.002)
    assert model.state_dict().keys() == before.keys()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_module(form: str) -> None:
    @prunecheck.method(gives="masks")
    def gives_form() -> nn.Module:
        return FORMS[form](masks())

    share = 1 - sparsity_of(masks())
    assert same(prunecheck.mask("gives_form", net(), None, 1 - share), masks())


def test_pruner_that_changes_the_model_without_returning_it_is_refused() -> None:
    @prunecheck.method(gives="masks")
    def careless(model: Net, sparsity: float) -> dict[str, Tensor]:
        return prunecheck.read_masks(made_permanent(model, sparsity))

    with pytest.raises(PluginError, match="careless changed the model it was given"):
        prunecheck.mask("careless", net(), None, 0.7)


def test_pruner_must_meet_the_total() -> None:
    @prunecheck.method(gives="masks")
    def generous(model: Net, sparsity: float) -> nn.Module:
        return on_a_copy(model, sparsity - 0.1)

    with pytest.raises(
        PluginError, match=r"'generous' keeps 218 of 544 weights; a sparsity of 70% leaves 163, give or"
    ):
        prunecheck.mask("generous", net(), None, 0.7)


def test_pruner_with_an_allocation_must_meet_layer_counts() -> None:
    @prunecheck.method(gives="masks", allocate="uniform")
    def elsewhere(model: Net, sparsity: float) -> nn.Module:
        return on_a_copy(model, sparsity)

    with pytest.raises(PluginError, match=r"the mask of first.weight keeps \d+ weights, not 65"):
        prunecheck.mask("elsewhere", net(), None, 0.7)


def test_counts_cannot_be_asked_of_an_allocation_by_scores() -> None:
    @prunecheck.method(gives="masks")
    def hopeful(counts: dict[str, int]) -> dict[str, Tensor]:
        raise AssertionError(counts)

    with pytest.raises(PluginError, match="'hopeful' asks for 'counts', but 'global' needs scores"):
        prunecheck.mask("hopeful", net(), None, 0.7)


def test_a_network_of_another_kind_is_refused() -> None:
    @prunecheck.method(gives="masks")
    def another() -> nn.Module:
        return nn.Linear(3, 3)

    with pytest.raises(PluginError, match=r"'another' returned nothing for first.weight"):
        prunecheck.mask("another", net(), None, 0.7)


def test_a_users_file_in_a_study(tmp_path: Path) -> None:
    (tmp_path / "black_box.py").write_text(PLUGIN)
    study = {
        "name": "whole",
        "model": "convnet",
        "data": {"name": "mnist5k", "size": 8, "train_size": 200, "test_size": 100},
        "methods": ["black_box"],
        "checks": ["random_labels", "layerwise_rearrange"],
        "sparsities": [0.8],
        "seeds": 1,
        "controls": [],
        "plugins": [str(tmp_path / "black_box.py")],
        "training": {"epochs": 1, "rewind_epoch": 0},
    }
    results = prunecheck.run(study, store=tmp_path / "store", folder=tmp_path / "out", workers=1)
    ours = {arm.check: arm for arm in results.plan.arms if arm.method == "black_box"}
    assert set(ours) == {"clean", "random_labels", "layerwise_rearrange"}
    store = Store.open(tmp_path / "store")
    facts = {check: json.loads(store.read(arm.mask or "", "result.json")) for check, arm in ours.items()}
    kept = {check: {name: k for name, _, _, k in fact["layers"]} for check, fact in facts.items()}
    assert facts["clean"]["kept"] == pytest.approx(0.2 * facts["clean"]["weights"], abs=2)
    assert kept["layerwise_rearrange"] == kept["clean"]
    overlap = json.loads(store.read(ours["random_labels"].compare or "", "result.json"))
    assert 0 < overlap["iou"] < 1  # other labels, another mask


def test_counts_of_a_whole_pruner_come_from_itself() -> None:
    prunecheck.method(gives="masks")(on_a_copy)
    counts = counts_of(prunecheck.mask("on_a_copy", net(), None, 0.7))
    assert len({round(counts[n] / masks()[n].numel(), 2) for n in counts}) > 1
