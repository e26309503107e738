"""Networks that are not a plain chain of layers go through a whole study from a file of the user's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from prunecheck.errors import ModelError
from tests.runner import tiny

NETS = '''
import torch
from torch import nn


class Tied(nn.Module):
    """One convolution used twice, and its twin that owns the same parameter."""

    def __init__(self, num_classes):
        super().__init__()
        self.stem = nn.Conv2d(1, 8, 3, padding=1)
        self.first = nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.second = nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.second.weight = self.first.weight
        self.norm = nn.BatchNorm2d(8)
        self.head = nn.Linear(8, num_classes)

    def forward(self, x):
        x = torch.relu(self.stem(x))
        x = torch.relu(self.first(self.first(x)))
        return self.head(torch.relu(self.norm(self.second(x))).mean((2, 3)))


def grouped(num_classes):
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(),
        nn.Conv2d(8, 16, 3, padding=1, groups=4), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, num_classes),
    )


def depthwise(num_classes):
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(),
        nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.Conv2d(8, 16, 1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, num_classes),
    )


class Barren(nn.Module):
    """Nothing but one free parameter a class."""

    def __init__(self, num_classes):
        super().__init__()
        self.scale = nn.Parameter(torch.zeros(num_classes))

    def forward(self, x):
        return x.mean((1, 2, 3))[:, None] * self.scale


def barren(num_classes):
    return Barren(num_classes)
'''
STUDY: dict[str, Any] = {
    "methods": ["snip", "lr_rewinding", "random_ticket"],
    "checks": ["random_labels", "layerwise_rearrange", "layerwise_weight_shuffle"],
    "sparsities": [0.5],
    "controls": ["identity"],
}


def nets(folder: Path, name: str) -> str:
    path = folder / "nets.py"
    path.write_text(NETS, encoding="utf-8")
    return f"{path}:{name}"


@pytest.mark.parametrize(
    ("name", "weights"),
    [
        ("Tied", 72 + 8 * 8 * 9 + 80),  # the shared weight once
        ("grouped", 72 + 16 * 2 * 9 + 160),
        ("depthwise", 72 + 8 * 9 + 128 + 160),
    ],
)
def test_shared_grouped_and_depthwise_weights(name: str, weights: int, tmp_path: Path) -> None:
    results = tiny.run(tmp_path, model=nets(tmp_path, name), **STUDY)
    assert len(results.rows) == len(results.plan.arms)
    pruned = [row for row in results.rows if row["sparsity"] is not None]
    assert {row["weights"] for row in pruned} == {weights}
    assert {row["kept"] for row in pruned} == {weights // 2}
    identity = [row for row in pruned if (row["method"], row["check"]) == ("random_ticket", "identity")]
    clean = [row for row in pruned if (row["method"], row["check"]) == ("random_ticket", "clean")]
    assert identity[0]["weights_sha256"] == clean[0]["weights_sha256"]


def test_shared_weight_stays_shared_and_masked_everywhere(tmp_path: Path) -> None:
    from safetensors.torch import load

    results = tiny.run(tmp_path, model=nets(tmp_path, "Tied"), sparsities=[0.5], methods=["snip"])
    store = tiny.place(tmp_path).store
    arm = next(arm for arm in results.plan.arms if (arm.method, arm.check) == ("snip", "clean"))
    assert arm.mask
    masks = load(store.read(arm.mask, "masks.safetensors"))
    weights = load(store.read(arm.train, "final.safetensors"))
    assert set(masks) == {"stem.weight", "first.weight", "head.weight"}
    for name, mask in masks.items():
        assert not weights[name][~mask.bool()].any()
    if "second.weight" in weights:
        assert weights["second.weight"].equal(weights["first.weight"])


def test_a_model_without_a_prunable_layer_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no convolution and no linear layer: nothing to prune"):
        tiny.run(tmp_path, model=nets(tmp_path, "barren"))
    assert not tiny.objects(tmp_path)


def test_a_network_that_changed_is_trained_again(tmp_path: Path) -> None:
    path = tmp_path / "net.py"
    path.write_text(NETS)
    first, again = (tiny.run(tmp_path, model=f"{path}:grouped") for _ in range(2))
    assert first.trained > 0
    assert again.trained == 0
    path.write_text(
        NETS.replace("nn.Conv2d(8, 16, 3, padding=1, groups=4)", "nn.Conv2d(8, 16, 3, padding=1, groups=2)")
    )
    assert tiny.run(tmp_path, model=f"{path}:grouped").trained == first.trained
