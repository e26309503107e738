from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import prunecheck
from prunecheck.errors import StudyError
from prunecheck.interop import audit, patterns
from prunecheck.models import build
from prunecheck.pruning.allocations.smart_ratio import official_counts
from prunecheck.pruning.layers import layers_of
from prunecheck.pruning.masks import permuted, random_masks
from prunecheck.pruning.seeds import stream
from tests.interop.nets import Net, masks, net, with_prune_buffers, with_zeros


@pytest.mark.parametrize(
    ("model", "family", "stays", "sd", "share"),
    [("resnet32", "resnet", 2244.8, 42.7, 0.0605), ("vgg19_bn", "vgg", 115_713.3, 137.9, 0.2889)],
)
def test_what_a_rearrangement_leaves_in_place(model: str, family: str, stays: float, sd: float, share: float) -> None:
    """The closed form on the official smart-ratio counts at 98%, computed apart."""
    network = build(model, num_classes=10)
    counts = official_counts(layers_of(network), 0.98, family)
    found = audit(random_masks(layers_of(network), counts, stream(0)), network)
    assert found.kept * found.stays == pytest.approx(stays, abs=0.05)
    assert found.kept * found.stays_sd == pytest.approx(sd, abs=0.05)
    assert found.stays == pytest.approx(share, abs=5e-5)
    full = {"resnet32": 0.0, "vgg19_bn": (1728 + 36864) / 400_474}[model]
    assert found.in_full_layers == pytest.approx(full, abs=1e-12)
    assert found.smart_ratio_correlation == pytest.approx(1, abs=1e-3)


def test_the_chance_overlap_is_what_rearranging_gives() -> None:
    found, rng = audit(masks(), net()), stream(0)
    left = [sum(int((m & permuted(m, rng)).sum()) for m in masks().values()) / found.kept for _ in range(400)]
    assert np.mean(left) == pytest.approx(found.stays, abs=4 * found.stays_sd / 20)
    assert np.std(left) == pytest.approx(found.stays_sd, rel=0.15)


def test_counts_and_sparsity_beside_the_two_rules() -> None:
    network = build("resnet8", num_classes=10)
    found = prunecheck.audit(prunecheck.random_ticket(network, 0.95), network, inputs=(3, 32, 32))
    assert [layer.smart_ratio for layer in found.layers] == [layer.kept for layer in found.layers]
    assert [layer.name for layer in found.layers] == [layer.name for layer in layers_of(network)]
    assert [layer.kept for layer in found.layers] == [kept for _, _, kept in prunecheck.counts("resnet8", 0.95)]
    erk = [kept for _, _, kept in prunecheck.counts("resnet8", 0.95, allocate="erk")]
    assert [layer.erk for layer in found.layers] == erk
    assert found.smart_ratio_correlation == pytest.approx(1)
    assert found.erk_correlation is not None
    assert found.erk_correlation < 0.99
    assert found.sparsity == pytest.approx(0.95, abs=1e-4)
    assert found.effective_sparsity is not None
    assert found.sparsity <= found.effective_sparsity < 0.96
    assert found.notes == ()


def by_hand() -> tuple[dict[str, torch.Tensor], Net]:
    chosen = masks(share=1.0)
    chosen["first.weight"][1:] = False  # one unit alive after the first layer
    return chosen, net()


def test_effective_sparsity_and_dead_units_by_hand() -> None:
    chosen, model = by_hand()
    found = audit(chosen, model, inputs=(3, 6, 6))
    # alive: 27 of the first layer; of the second the four units of the first group, each through 1 of 4 inputs;
    # of the classifier those four inputs for each of 5 classes
    alive = 27 + 4 * 9 + 5 * 4
    assert found.effective_sparsity == pytest.approx(1 - alive / found.weights)
    assert found.dead_units == 7 + 4
    assert audit(chosen, model).effective_sparsity is None
    assert audit(chosen, model).dead_units is None


def test_audit_reports_collapse() -> None:
    chosen, model = by_hand()
    chosen["second.weight"][:] = False
    found = audit(chosen, model, inputs=(3, 6, 6))
    assert found.empty_layers == ("second.weight",)
    assert found.effective_sparsity == 1
    assert [note.split(":")[0] for note in found.notes][:2] == [
        "Collapse",
        "No kept weight is on a path from input to output",
    ]


def test_audit_reports_masks_that_rearrangement_hardly_changes() -> None:
    found = audit(masks(share=0.9), net())
    assert found.stays > 0.5
    assert "that check changes little of this mask" in " ".join(found.notes)
    assert "can hardly" not in " ".join(audit(masks(), net()).notes)


def test_uniform_shares_have_no_correlation_and_an_impossible_rule_no_counts() -> None:
    model = nn.Sequential(nn.Linear(10, 10), nn.Linear(10, 10))
    half = torch.arange(100).reshape(10, 10) % 2 == 0
    found = audit({"0.weight": half, "1.weight": half}, model)
    assert found.smart_ratio_correlation is None
    few = torch.arange(100).reshape(10, 10) < 5
    found = audit({"0.weight": few, "1.weight": few}, model)  # the classifier's fixed 0.3 is more than there is
    assert [layer.smart_ratio for layer in found.layers] == [None, None]
    assert found.notes == ("The smart ratio is impossible at this sparsity.",)


def test_a_module_needs_no_model_and_one_of_torch_prune_no_copy() -> None:
    whole = audit(masks(), net(), inputs=(3, 6, 6))
    assert audit(with_zeros(masks()), inputs=(3, 6, 6)) == whole
    assert audit(with_prune_buffers(masks()), net(), inputs=(3, 6, 6)) == whole
    alone = audit(with_prune_buffers(masks()), inputs=(3, 6, 6))
    assert alone == replace(whole, effective_sparsity=None, dead_units=None)


def test_audit_to_dict_is_json() -> None:
    found = audit(masks(), net(), inputs=(3, 6, 6)).to_dict()
    assert json.loads(json.dumps(found, allow_nan=False))["layers"][0]["name"] == "first.weight"


def test_invalid_audits_are_refused() -> None:
    with pytest.raises(StudyError, match="an audit needs the model"):
        audit(masks())
    with pytest.raises(StudyError, match=r"keep 544 of 544 weights: there is nothing to audit"):
        audit(masks(share=2.0), net())


def test_patterns_and_what_they_save_are_named() -> None:
    model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 16))
    found = audit(prunecheck.mask("magnitude_init", model, None, 0.5, pattern="2:4"), model)
    assert [layer.pattern for layer in found.layers] == ["2:4", "2:4"]
    assert dict(found.summary())["pattern"] == "2:4 in 2 of 2 layers"
    assert "torch's 2:4 kernels (float16, bfloat16) take 2 of 2 layers" in dict(found.summary())["saves"]
    free = prunecheck.mask("magnitude_init", model, None, 0.5)
    assert patterns(free, model) == {"0.weight": None, "2.weight": None}
    assert dict(audit(free, model).summary())["pattern"] == "none recognised"
    assert json.loads(json.dumps(found.to_dict()))["layers"][0]["two_of_four"] is True
