"""Finished steps do not change when a study grows, or when a plug-in draws from the global generators."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.reliability.study_folder import commits
from tests.runner import tiny

ABUSER = """
import random
import numpy, torch
from prunecheck.pruning import check, method

def abuse():
    for draw in (random.random, lambda: numpy.random.random(1_000_000), lambda: torch.rand(1_000_000)):
        draw()
    [random.random() for _ in range(1_000_000)]
    random.seed(1), numpy.random.seed(1), torch.manual_seed(1)

abuse()

@method
def greedy(weights):
    abuse()
    return {name: weight.abs() for name, weight in weights.items()}

@check(at="masks", preserves="counts")
def restless(masks, rng):
    abuse()
    return {n: m.flatten()[rng.permutation(m.numel())].reshape(m.shape) for n, m in masks.items()}
"""
METHODS = ["snip", "lr_rewinding", "random_ticket"]


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("usual")
    tiny.run(folder, methods=METHODS)
    return tiny.objects(folder)


def test_plugin_using_global_generators_changes_no_other_artefact(usual: dict[str, str], tmp_path: Path) -> None:
    plugin = tiny.plugin(tmp_path, ABUSER)
    methods, checks = ["greedy", *METHODS], ["restless", "layerwise_rearrange"]
    tiny.run(tmp_path, methods=methods, checks=checks, plugins=[plugin])
    found = tiny.objects(tmp_path)
    assert usual.items() <= found.items()
    assert len(found) > len(usual)


@pytest.mark.parametrize(
    "more",
    [
        {"methods": ["synflow", "random_ticket", "snip", "lr_rewinding"]},
        {"checks": ["random_labels", "layerwise_rearrange"]},
        {"sparsities": [0.5, 0.8]},
        {"seeds": [1, 0]},
        {"controls": ["identity", "aa"]},
    ],
    ids=lambda more: next(iter(more)),
)
def test_growing_study_changes_and_repeats_nothing(more: dict[str, Any], usual: dict[str, str], tmp_path: Path) -> None:
    fields = {"methods": METHODS} | more
    tiny.run(tmp_path, methods=METHODS)
    before = commits(tmp_path)
    grown = tiny.run(tmp_path, **fields)
    assert grown.ran
    assert before.items() <= commits(tmp_path).items()
    assert usual.items() <= tiny.objects(tmp_path).items()
    tiny.run(tmp_path / "at once", **fields)
    assert tiny.objects(tmp_path / "at once") == tiny.objects(tmp_path)
