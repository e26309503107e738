"""What every registered check promises, whatever it corrupts."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from prunecheck.pruning import CHECKS
from prunecheck.pruning.layers import Layer
from prunecheck.pruning.masks import random_masks
from prunecheck.pruning.plugins import POINTS
from prunecheck.pruning.seeds import stream
from prunecheck.pruning.updates import drop_and_grow
from prunecheck.pruning.validation import validate_corruption
from tests.offers import ask

LAYERS = (
    Layer("conv.weight", "conv", (8, 3, 3, 3)),
    Layer("dense.weight", "conv", (4, 8, 1, 1)),
    Layer("empty.weight", "conv", (4, 4, 1, 1)),
    Layer("fc.weight", "linear", (10, 12)),
)
COUNTS = {"conv.weight": 50, "dense.weight": 32, "empty.weight": 0, "fc.weight": 31}
EVERY = CHECKS.names()


def offers(seed: int = 0, samples: int = 60) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(3)
    masks = random_masks(LAYERS, COUNTS, stream(0, "masks"))
    free = {layer.name: torch.randn(layer.shape, generator=generator) for layer in LAYERS}
    growth = {layer.name: torch.rand(layer.shape, generator=generator) for layer in LAYERS}
    update = drop_and_grow(masks, {name: weight.abs() for name, weight in free.items()}, growth, 0.3)
    return {
        "updates": update.masks,
        "kept": update.kept,
        "before": update.before,
        "batches": (
            torch.randint(0, 256, (samples, 3, 6, 6), generator=generator, dtype=torch.uint8),
            torch.arange(samples) % 10,
        ),
        "scores": {name: weight.abs() for name, weight in free.items()},
        "masks": masks,
        "patterns": dict.fromkeys(masks),
        "weights": {name: weight * masks[name] for name, weight in free.items()},
        "initial": {layer.name: torch.randn(layer.shape, generator=generator) for layer in LAYERS},
        "classes": 10,
        "layers": LAYERS,
        "rng": stream(seed, "check"),
    }


def tensors(value: Any) -> list[torch.Tensor]:
    return list(value.values()) if isinstance(value, dict) else list(value)


@pytest.mark.parametrize("name", EVERY)
def test_same_names_shapes_and_kinds_come_back(name: str) -> None:
    check, given = CHECKS.get(name), offers()
    before, after = given[check.at], ask(check, **given)
    if check.at == "batches":
        inputs, targets = after
        assert (inputs.dtype, inputs.shape) == (torch.uint8, before[0].shape)
        assert (targets.dtype, targets.shape) == (torch.int64, before[1].shape)
        assert 0 <= int(targets.min()) <= int(targets.max()) < 10
    else:
        assert {n: (t.dtype, t.shape) for n, t in after.items()} == {n: (t.dtype, t.shape) for n, t in before.items()}


@pytest.mark.parametrize("name", EVERY)
def test_it_changes_something_and_keeps_what_it_promises(name: str) -> None:
    check, given = CHECKS.get(name), offers()
    validate_corruption(check, given[check.at], ask(check, **given), given["masks"])


@pytest.mark.parametrize("name", EVERY)
def test_what_it_was_given_is_untouched(name: str) -> None:
    given, fresh = offers(), offers()
    ask(CHECKS.get(name), **given)
    for joint in (*POINTS, "initial"):
        assert all(torch.equal(a, b) for a, b in zip(tensors(given[joint]), tensors(fresh[joint]), strict=True))


@pytest.mark.parametrize("name", EVERY)
def test_the_rng_it_is_given_decides_alone(name: str) -> None:
    check, state = CHECKS.get(name), torch.get_rng_state()
    first, again, other = (tensors(ask(check, **offers(seed))) for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    redrawn = any(not torch.equal(a, b) for a, b in zip(first, other, strict=True))
    assert redrawn == ("rng" in check.asks)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("name", [name for name in EVERY if CHECKS.get(name).at == "weights"])
def test_pruned_weights_stay_exactly_zero(name: str) -> None:
    given = offers()
    after = ask(CHECKS.get(name), **given)
    assert all(not after[n][~given["masks"][n]].any() for n in after)


@pytest.mark.parametrize("name", [name for name in EVERY if CHECKS.get(name).at == "masks"])
def test_dense_and_empty_layers_stay_what_they_are(name: str) -> None:
    after = ask(CHECKS.get(name), **offers())
    assert after["dense.weight"].all()
    assert not after["empty.weight"].any()


@pytest.mark.parametrize("name", EVERY)
def test_the_description_is_complete(name: str) -> None:
    check = CHECKS.get(name)
    assert check.summary
    assert check.destroys
    assert check.keeps
    for alias in check.aliases:
        assert CHECKS.get(alias) is check


def test_the_papers_checks_sit_where_the_paper_puts_them() -> None:
    joints = {name: CHECKS.get(name).at for name in EVERY}
    expected = {
        "random_labels": "batches",
        "random_pixels": "batches",
        "corrupted_data": "batches",
        "half_dataset": "batches",
        "layerwise_rearrange": "masks",
        "layerwise_weight_shuffle": "weights",
        "identity": "masks",
    }
    assert {name: joints[name] for name in expected} == expected
