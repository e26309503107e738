"""Selection under a structured pattern: against naive copies, against torch's own 2:4, and exact counts everywhere."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import prune as torch_prune

import prunecheck
from prunecheck.errors import InfeasibleError, PluginError, StudyError
from prunecheck.pruning import ALLOCATIONS
from prunecheck.pruning.counts import kept_total
from prunecheck.pruning.layers import Layer, layers_of, total
from prunecheck.pruning.masks import counts_of
from prunecheck.pruning.patterns import layers_under, parse_pattern
from prunecheck.pruning.select import select
from prunecheck.pruning.select_pattern import counts_under, kept_of_group
from prunecheck.pruning.structure import has_pattern, patterns_of

LAYERS = (
    Layer("stem", "conv", (16, 3, 3, 3)),
    Layer("conv", "conv", (32, 16, 3, 3)),
    Layer("hidden", "linear", (24, 32)),
    Layer("head", "linear", (10, 24)),
)
WHOLE_GROUPS = ["filters", "rows", "columns", "kernels", "2x2", "2 rows"]
ALLOCATED = ["global", "uniform", "erk"]


def scores_of(seed: int = 0, levels: int | None = None) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    if levels is not None:
        return {la.name: torch.randint(levels, la.shape, generator=generator).float() for la in LAYERS}
    return {la.name: torch.rand(la.shape, generator=generator) for la in LAYERS}


def chosen(text: str, sparsity: float, allocation: str = "global", **how: Any) -> dict[str, Tensor]:
    given = {"scores": scores_of(), "method": "mine", "family": "resnet", "options": {}, "pattern": text} | how
    return select(ALLOCATIONS.get(allocation), LAYERS, given.pop("scores"), sparsity, **given).masks


@pytest.mark.parametrize(("text", "n", "m"), [("2:4", 2, 4), ("4:8", 4, 8), ("1:4", 1, 4), ("3:4", 3, 4)])
def test_n_of_m_keeps_the_largest_of_every_group(text: str, n: int, m: int) -> None:
    scores, masks = scores_of(), chosen(text, 1 - n / m)
    assert bool(masks["stem"].all())  # 3 inputs
    for name in ("conv", "hidden", "head"):
        last = scores[name].movedim(1, -1).reshape(-1, m)
        naive = torch.zeros_like(last, dtype=torch.bool)
        for group, kept in zip(last, naive, strict=True):
            for position in sorted(range(m), key=lambda i: -float(group[i]))[:n]:
                kept[position] = True
        assert torch.equal(masks[name].movedim(1, -1).reshape(-1, m), naive)


def naive_counts(text: str, sparsity: float) -> dict[str, int]:
    """Under the allocation `uniform`: how many groups of each layer stay, with the budget in plain arithmetic."""
    pattern = parse_pattern(text)
    inside = layers_under(pattern, LAYERS)
    budget = kept_total(total(LAYERS), sparsity) - sum(la.size for la in LAYERS if la not in inside)
    uniform = ALLOCATIONS.get("uniform")(inside, 1 - budget / total(inside))
    size = {la.name: len(pattern.groups(la.shape)[0]) for la in inside}
    groups = {name: max(1, kept // size[name]) for name, kept in uniform.items()}
    left = budget - sum(groups[name] * size[name] for name in groups)
    for name in sorted(groups, key=lambda name: groups[name] - uniform[name] / size[name]):
        if groups[name] * size[name] < uniform[name] and size[name] <= left:
            groups[name] += 1
            left -= size[name]
    return {la.name: groups[la.name] * size[la.name] if la in inside else la.size for la in LAYERS}


@pytest.mark.parametrize("sparsity", [0.3, 0.5, 0.8])
@pytest.mark.parametrize("text", WHOLE_GROUPS)
def test_whole_groups_are_counted_as_the_definition_says(text: str, sparsity: float) -> None:
    assert counts_of(chosen(text, sparsity, "uniform")) == naive_counts(text, sparsity)


@pytest.mark.parametrize("allocation", ALLOCATED)
@pytest.mark.parametrize("sparsity", [0.3, 0.5, 0.8])
@pytest.mark.parametrize("text", WHOLE_GROUPS)
def test_whole_groups_with_the_largest_means_stay_and_the_total_is_near(
    text: str, sparsity: float, allocation: str
) -> None:
    scores, masks, pattern = scores_of(), chosen(text, sparsity, allocation), parse_pattern(text)
    inside, largest = layers_under(pattern, LAYERS), 0
    for layer in LAYERS:
        mask = masks[layer.name]
        if layer not in inside:
            assert bool(mask.all())
            continue
        assert bool(mask.all()) or not bool(mask.any()) or has_pattern(mask, pattern)
        groups = pattern.groups(layer.shape)
        largest = max(largest, groups.shape[1])
        kept = mask.reshape(-1).numpy()[groups[:, 0]]
        means = scores[layer.name].reshape(-1).numpy()[groups].astype(float).mean(axis=1)
        assert means[kept].min(initial=np.inf) >= means[~kept].max(initial=-np.inf)
    wanted = kept_total(total(LAYERS), sparsity)
    assert wanted - largest < sum(counts_of(masks).values()) <= wanted


def test_filters_by_magnitude_are_those_of_the_l1_norm_as_in_torch() -> None:
    """torch.nn.utils.prune.ln_structured, layer by layer, with as many filters."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 16, 3), nn.Conv2d(16, 24, 3), nn.Flatten(), nn.Linear(24, 10))
    masks = prunecheck.mask("magnitude_init", net, None, 0.5, allocate="uniform", pattern="filters")
    for index in (0, 1):
        mask, layer = masks[f"{index}.weight"], net[index]
        removed = int((~mask[:, 0, 0, 0]).sum())
        torch_prune.ln_structured(layer, "weight", removed, n=1, dim=0)
        assert torch.equal(mask, layer.weight_mask.bool())


def linear_net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(64, 96), nn.ReLU(), nn.Linear(96, 32), nn.ReLU(), nn.Linear(32, 12))


def test_two_of_four_by_magnitude_is_that_of_torch() -> None:
    """torch.ao.pruning.WeightNormSparsifier ranks by the square of a weight."""
    from torch.ao.pruning import WeightNormSparsifier

    masks, net = prunecheck.mask("magnitude_init", linear_net(), None, 0.5, pattern="2:4"), linear_net()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sparsifier = WeightNormSparsifier(sparsity_level=1.0, sparse_block_shape=(1, 4), zeros_per_block=2)
        sparsifier.prepare(net, [{"tensor_fqn": name} for name in masks])
        sparsifier.step()
    for name, mask in masks.items():
        module = net.get_submodule(name.removesuffix(".weight"))
        assert torch.equal(mask, module.parametrizations.weight[0].mask.bool())


@pytest.mark.parametrize("pattern", ["2:4", "1:2", "1:4"])
def test_masks_survive_the_compressed_form_of_torch(pattern: str) -> None:
    """What torch.sparse.to_sparse_semi_structured stores for half precision: two of four; others lose weights in it."""
    from torch.sparse._semi_structured_conversions import (
        sparse_semi_structured_from_dense_cutlass,
        sparse_semi_structured_to_dense_cutlass,
    )

    net = linear_net()
    sparsity = 0.75 if pattern == "1:4" else 0.5
    masks = prunecheck.mask("magnitude_init", net, None, sparsity, pattern=pattern)
    for name in ("0.weight", "2.weight"):
        weight = (net.get_parameter(name).detach() * masks[name]).half()
        compressed = sparse_semi_structured_from_dense_cutlass(weight)
        assert torch.equal(sparse_semi_structured_to_dense_cutlass(*compressed), weight)
    free = prunecheck.mask("magnitude_init", net, None, sparsity)["0.weight"]
    weight = (net.get_parameter("0.weight").detach() * free).half()
    compressed = sparse_semi_structured_from_dense_cutlass(weight)
    assert not torch.equal(sparse_semi_structured_to_dense_cutlass(*compressed), weight)


def test_ties_go_to_the_earlier_weight_and_group_and_are_counted() -> None:
    flat = {la.name: torch.ones(la.shape) for la in LAYERS}
    how: dict[str, Any] = {"method": "mine", "family": "resnet", "options": {}}
    found = select(ALLOCATIONS.get("uniform"), LAYERS, flat, 0.5, pattern="2:4", **how)
    assert found.masks["head"][0, :8].tolist() == [True, True, False, False] * 2
    assert found.tied == sum(int(found.masks[name].sum()) for name in ("conv", "hidden", "head"))
    found = select(ALLOCATIONS.get("uniform"), LAYERS, flat, 0.5, pattern="filters", **how)
    kept = found.masks["conv"][:, 0, 0, 0].tolist()
    assert kept == sorted(kept, reverse=True)
    assert found.tied == sum(int(found.masks[name].sum()) for name in ("stem", "conv"))


@pytest.mark.parametrize("text", ["2:4", *WHOLE_GROUPS])
def test_weights_pruned_in_an_earlier_round_stay_pruned(text: str) -> None:
    """The second round has other scores, by which it would choose others."""
    first = chosen(text, 0.25 if text == "2:4" else 0.3)
    second = chosen(text, 0.5, scores=scores_of(1), previous=first)
    assert all(bool((second[name] <= first[name]).all()) for name in first)
    assert sum(counts_of(second).values()) < sum(counts_of(first).values())


def test_rounds_before_the_last_keep_more_of_a_group() -> None:
    pattern = parse_pattern("2:4")
    assert [kept_of_group(pattern, s) for s in (0.1, 0.206, 0.37, 0.5, 0.6)] == [4, 3, 3, 2, 2]
    assert kept_of_group(parse_pattern("1:3"), 0.6667) == 1


def test_counts_of_the_pattern_are_known_ahead() -> None:
    net = linear_net()
    counts = prunecheck.counts(net, 0.5, pattern="2:4")
    assert counts == [("0.weight", 6144, 3072), ("2.weight", 3072, 1536), ("4.weight", 384, 192)]
    rows = prunecheck.counts(net, 0.5, allocate="uniform", pattern="rows")
    assert rows == [("0.weight", 6144, 46 * 64), ("2.weight", 3072, 15 * 96), ("4.weight", 384, 384)]
    assert {n: k for n, _, k in rows} == counts_of(
        prunecheck.mask("magnitude_init", net, None, 0.5, allocate="uniform", pattern="rows")
    )


@pytest.mark.parametrize("text", ["2:4", *WHOLE_GROUPS])
def test_random_ticket_is_random_in_the_pattern_with_its_counts(text: str) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(4, 16, 3), nn.Conv2d(16, 32, 3), nn.Flatten(), nn.Linear(32, 24), nn.Linear(24, 10))
    one, again, other = (prunecheck.mask("random_ticket", net, None, 0.5, seed=s, pattern=text) for s in (0, 0, 1))
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)
    assert counts_of(one) == counts_of(other) == {n: k for n, _, k in prunecheck.counts(net, 0.5, pattern=text)}
    found = patterns_of(one, parse_pattern(text))
    inside = {layer.name for layer in layers_under(parse_pattern(text), layers_of(net))}
    for name, mask in one.items():
        assert found[name] == (text if name in inside and not bool(mask.all()) else None)


@pytest.mark.parametrize(
    ("text", "sparsity", "message"),
    [
        ("filters", 0.99, "the fixed share of hidden, head alone is 1008"),
        ("rows", 0.97, "the fixed share of head alone is 240"),
        ("5:7", 0.28571, "pattern '5:7' fits no layer of this network"),
        ("7x7", 0.5, "pattern '7x7' fits no layer"),
    ],
)
def test_what_cannot_be_is_refused(text: str, sparsity: float, message: str) -> None:
    with pytest.raises(InfeasibleError, match=message):
        chosen(text, sparsity)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"sparsity": 0.9, "pattern": "2:4"}, "2:4 removes that share itself: the sparsity must be 0.5, not 0.9"),
        ({"pattern": "2:4", "allocate": "erk"}, "2:4 says itself how many weights each layer keeps: leave allocate"),
        ({"pattern": "rows", "preset": "official"}, "preset 'official' selects single weights: leave the preset or"),
        ({"pattern": "two of four"}, "'two of four' is no pattern. There are: N:M"),
        ({"pattern": "rows", "method": "dense"}, "'dense' chooses masks itself and does not ask for 'pattern'"),
    ],
)
def test_choices_that_contradict_a_pattern_are_refused(how: dict[str, Any], message: str) -> None:
    given = {"method": "magnitude_init", "sparsity": 0.5} | how
    with pytest.raises(StudyError, match=message):
        prunecheck.mask(given.pop("method"), linear_net(), None, given.pop("sparsity"), **given)


def test_a_mask_giving_plug_in_is_held_to_the_pattern_it_asks_for() -> None:
    seen = []

    @prunecheck.method(gives="masks", allocate="uniform", name="no_pattern_at_all")
    def careless(counts: dict[str, int], pattern: str | None, layers: tuple[Layer, ...]) -> dict[str, Tensor]:
        seen.append(pattern)
        return {la.name: (torch.arange(la.size) < counts[la.name]).reshape(la.shape) for la in layers}

    try:
        with pytest.raises(PluginError, match=r"the mask of 0\.weight has not the pattern '2:4'"):
            prunecheck.mask("no_pattern_at_all", linear_net(), None, 0.5, pattern="2:4")
        assert seen == ["2:4"]
        prunecheck.mask("no_pattern_at_all", linear_net(), None, 0.5)
        assert seen == ["2:4", None]
    finally:
        from prunecheck.pruning import METHODS

        METHODS.remove("no_pattern_at_all")


def test_counts_of_another_method_are_those_of_the_layers_in_the_pattern() -> None:
    given = {"stem": 200, "conv": 1440, "hidden": 10, "head": 10}
    counts = counts_under(
        parse_pattern("filters"), ALLOCATIONS.get("counts_of"), LAYERS, 0.5, family="resnet", options={}, given=given
    )
    assert counts == {"stem": 189, "conv": 1440, "hidden": 768, "head": 240}
