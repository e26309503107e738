"""Kept counts of the published codes' selection rules. The numbers come from running those codes, or the line of
theirs that counts, on the scores 1..n and on ties; ``torch`` is what torch.nn.utils.prune keeps."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from prunecheck.errors import StudyError
from prunecheck.pruning import ALLOCATIONS
from prunecheck.pruning.counts import kept_total
from prunecheck.pruning.layers import Layer
from prunecheck.pruning.masks import global_counts, keep_top, threshold
from prunecheck.pruning.presets import (
    PRESETS,
    Scoring,
    choices_in_brief,
    difference,
    facts,
    preset_named,
    rule_for,
    scoring_for,
    whole_for,
)
from prunecheck.pruning.select import left_whole, select


def one_to(n: int) -> list[float]:
    return [float(i) for i in range(1, n + 1)]


CASES = [
    (one_to(10), 0.75),
    (one_to(1000), 0.9),
    (one_to(1000), 0.98),
    ([5.0] * 10, 0.5),
    ([1.0] * 8 + [2.0] * 4, 0.5),
    (one_to(25), 0.8),
]
KEPT = {
    ("official", "snip"): [2, 99, 20, 10, 12, 4],
    ("official", "grasp"): [4, 101, 21, 10, 12, 6],
    ("official", "lottery_ticket"): [2, 99, 19, 0, 4, 4],
    ("official", "lr_rewinding"): [2, 99, 19, 0, 4, 4],
    ("snip", "snip"): [2, 99, 20, 10, 12, 4],
    ("grasp", "grasp"): [4, 101, 21, 10, 12, 6],
    ("synflow", "anything"): [3, 100, 20, 0, 4, 5],
    ("open_lth", "anything"): [1, 99, 19, 0, 4, 4],
    ("torch", "anything"): [2, 100, 20, 5, 6, 5],
    ("shrinkbench", "anything"): [3, 100, 20, 10, 12, 5],
    ("rewinding", "anything"): [3, 100, 20, 10, 12, 5],
    (None, "anything"): [2, 100, 20, 5, 6, 5],
}


def kept_under(preset: str | None, method: str, scores: list[float], sparsity: float) -> int:
    tree = {"w": torch.tensor(scores)}
    rule = rule_for(preset, method)
    if rule is None:
        counts = global_counts(tree, kept_total(len(scores), sparsity))
        return int(keep_top(tree, counts).masks["w"].sum())
    if rule.exact:
        return len(scores) - rule.rank(len(scores), sparsity)
    cut = sorted(scores)[rule.rank(len(scores), sparsity)]
    return int(threshold(tree, cut, strict=rule.strict)["w"].sum())


@pytest.mark.parametrize(("preset", "method"), KEPT)
def test_kept_counts_of_the_published_codes(preset: str | None, method: str) -> None:
    assert [kept_under(preset, method, scores, sparsity) for scores, sparsity in CASES] == KEPT[preset, method]


def test_torch_prune_keeps_what_the_table_says() -> None:
    from torch.nn.utils.prune import L1Unstructured

    for (scores, sparsity), kept in zip(CASES, KEPT["torch", "anything"], strict=True):
        mask = L1Unstructured(sparsity).compute_mask(torch.tensor(scores), torch.ones(len(scores)))
        assert int(mask.sum()) == kept


def test_the_iterative_chain_of_open_lth_on_its_resnet20() -> None:
    """20 % of the survivors a level, the survivors' scores distinct."""
    rule = rule_for("open_lth", "magnitude")
    assert rule is not None
    left, chain = 270_896, []
    for _ in range(6):
        left -= rule.rank(left, 0.2) + 1  # strict: the cut itself goes too
        chain.append(left)
    assert chain == [216715, 173371, 138695, 110955, 88763, 71009]


def test_every_preset_has_a_source_and_its_own_name() -> None:
    assert all(preset.name == name and preset.source for name, preset in PRESETS.items())
    with pytest.raises(StudyError, match=r"'oficial' is not a preset\. Did you mean 'official'"):
        preset_named("oficial")


@pytest.mark.parametrize("name", [*PRESETS, "none"])
def test_facts_have_the_same_fields_for_every_preset_and_brief_ones_lose_nothing(name: str) -> None:
    table, brief = facts(name), choices_in_brief(name)
    assert list(table) == list(facts("none"))
    assert all(table[field] == said for field, said in brief.items())
    for field, said in table.items():
        assert said == brief.get(field, brief.get("other methods: " + field.split(": ")[-1]))


def test_every_field_of_a_preset_shows_in_the_difference_to_none() -> None:
    changed = {name: {field for field, _, _ in difference(name, "none")} for name in PRESETS}
    assert {"smart ratio", "random labels", "grasp: draws anew", "grasp: scores on"} <= changed["official"]
    assert {"snip: draws anew", "snip: keeps"} <= changed["snip"]
    assert {"snip: normalises by", "other methods: normalises by"} <= changed["synflow"]
    assert {"other methods: leaves whole", "sparsity is of"} <= changed["shrinkbench"]
    assert {"other methods: leaves whole"} <= changed["open_lth"]
    assert {"lr_rewinding: leaves whole", "imp: leaves whole"} <= changed["official"]
    assert "sparsity is of" not in changed["open_lth"]
    assert all(
        f"{other}" not in changed["torch"] for other in ("other methods: leaves whole", "smart ratio", "random labels")
    )


def test_the_difference_is_antisymmetric_and_empty_to_itself() -> None:
    assert difference("grasp", "grasp") == []
    forth, back = difference("grasp", "snip"), difference("snip", "grasp")
    assert [(f, b, a) for f, a, b in forth] == back
    with pytest.raises(StudyError, match="Did you mean 'grasp'"):
        difference("graps", "snip")


def test_scoring_follows_method_then_any_then_none() -> None:
    assert scoring_for(None, "grasp") == scoring_for("official", "snip") == Scoring()
    assert scoring_for("official", "grasp") == Scoring(redraw=("linear",), halves=True)
    assert scoring_for("synflow", "anything") == Scoring(normalisation="running")
    assert scoring_for("snip", "grasp") == Scoring()


def test_torch_counts_what_it_prunes() -> None:
    """round(n s) are pruned, so an odd number at half sparsity keeps one more than round(n (1 - s))."""
    rule = rule_for("torch", "anything")
    assert rule is not None
    assert 5 - rule.rank(5, 0.5) == 3
    assert kept_total(5, 0.5) == 2


def test_which_layers_a_code_leaves_whole() -> None:
    layers = [
        Layer("a", "conv", (2, 2, 1, 1)),
        Layer("b", "linear", (4, 4)),
        Layer("c", "linear", (4, 4)),
    ]
    spared = {(n, f): left_whole(whole_for(n, "snip"), layers, f) for n in PRESETS for f in ("vgg", "resnet")}
    assert {key: whole for key, whole in spared.items() if whole} == {
        ("open_lth", "vgg"): {"c"},
        ("shrinkbench", "vgg"): {"c"},
        ("shrinkbench", "resnet"): {"c"},
        ("rewinding", "vgg"): {"b", "c"},
        ("rewinding", "resnet"): {"b", "c"},
    }


@pytest.mark.parametrize("method", ["lr_rewinding", "weight_rewinding", "imp"])
def test_official_magnitude_pruning_of_trained_networks_keeps_the_classifier_whole(method: str) -> None:
    """LT_prune.py of the official code: the sparsity counts all layers, only convolutions are ranked."""
    layers = (Layer("a", "conv", (8, 4, 3, 3)), Layer("b", "conv", (8, 8, 3, 3)), Layer("c", "linear", (10, 8)))
    scores = {layer.name: torch.rand(layer.shape, generator=torch.manual_seed(0)) for layer in layers}
    allocation = ALLOCATIONS.get("global")
    how: dict[str, Any] = {"family": "resnet", "options": {}, "preset": "official"}
    found = select(allocation, layers, scores, 0.8, method=method, **how).masks
    n, every = sum(layer.size for layer in layers), torch.cat([scores["a"].flatten(), scores["b"].flatten()])
    cut = every.sort().values[int(n * 0.8)]  # LT_prune.py: thre = y[int(total * percent)], keep weight > thre
    assert bool(found["c"].all())
    assert all(torch.equal(found[name], scores[name] > cut) for name in ("a", "b"))
    assert not bool(select(allocation, layers, scores, 0.8, method="snip", **how).masks["c"].all())
