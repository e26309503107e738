"""Iterative magnitude pruning from end to end, and what its rounds share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from prunecheck.statistics.rows import CLEAN
from prunecheck.training.feed import Feed
from prunecheck.training.recipe import Recipe
from tests.runner import tiny
from tests.study.studies import plan
from tests.study.test_plan import arm, of_kind, upstream

IMP = {"name": "lottery_ticket", "label": "lottery_imp", "per_round": 0.2}
LRR = {"name": "lr_rewinding", "label": "lrr_imp", "per_round": 0.2}


def rounds_behind(found: Any, key: str) -> set[str]:
    return {key for key in upstream(found, key) if found.steps[key].kind in ("train", "pretrain", "mask")}


def test_the_sparser_ticket_is_made_from_all_rounds_of_the_denser_but_its_last() -> None:
    """20 % a round: 0.2, 0.36, 0.488 and 0.5904 lead to 60 %; 50 % leaves after the third."""
    both = plan(methods=[IMP], sparsities=[0.5, 0.6], seeds=1, checks=["layerwise_rearrange"])
    half, more = (arm(both, "lottery_imp", sparsity=s) for s in (0.5, 0.6))
    own_of_half = rounds_behind(both, half.train) - rounds_behind(both, more.train)
    assert sorted(both.steps[key].kind for key in own_of_half) == ["mask", "train"], "the last mask and the ticket"
    alone = plan(methods=[IMP], sparsities=[0.6], seeds=1, checks=["layerwise_rearrange"])
    saved = len(of_kind(alone, "train"))
    assert len(of_kind(both, "train")) == saved + 2, "one more sparsity costs its clean and its rearranged ticket"


def test_equal_rounds_share_nothing_but_the_pretraining() -> None:
    """Rounds of a fixed number are of another size for every sparsity: `per_round` is what makes them shareable."""
    rounds = [{"name": "lottery_ticket", "rounds": 3}]
    both = plan(methods=rounds, sparsities=[0.5, 0.6], seeds=1)
    half, more = (arm(both, "lottery_ticket", sparsity=s) for s in (0.5, 0.6))
    shared = rounds_behind(both, half.train) & rounds_behind(both, more.train)
    assert [both.steps[key].kind for key in shared] == ["pretrain"]


def test_a_tiny_iterative_study_runs_under_a_check_of_data_of_masks_and_of_weights(tmp_path: Path) -> None:
    checks = ["random_labels", "layerwise_rearrange", "layerwise_weight_shuffle"]
    results = tiny.run(
        tmp_path,
        methods=[IMP, LRR],
        checks=checks,
        sparsities=[0.36, 0.5],
        controls=["identity"],
        training={"epochs": 1, "rewind_epoch": 0, "batch_size": 30},
    )
    assert not results.failures
    rows = {(row["method"], row["check"], row["sparsity"]): row for row in results.rows}
    for method in ("lottery_imp", "lrr_imp"):
        for sparsity in (0.36, 0.5):
            arms = [rows[method, check, sparsity] for check in (CLEAN, *checks)]
            assert len({row["kept"] for row in arms}) == 1, "every check keeps the count"
            assert arms[0]["kept"] == round(arms[0]["weights"] * (1 - sparsity))
            assert len({row["weights_sha256"] for row in arms}) == len(arms), "every check changed something"
    kept = {(m, s): rows[m, CLEAN, s]["kept"] for m in ("lottery_imp", "lrr_imp") for s in (0.36, 0.5)}
    assert kept["lottery_imp", 0.5] < kept["lottery_imp", 0.36]


def test_each_round_has_its_own_order_and_augmentation(tmp_path: Path) -> None:
    """A second round that sees the batches of the first is no longer training: Frankle & Carbin train on."""
    found = plan(methods=[IMP], sparsities=[0.5], seeds=1)
    between = [step for step in of_kind(found, "train") if "round" in step.params]
    assert {step.params["round"] for step in between} == {1, 2, 3}
    seen: list[tuple[str, list[int]]] = []
    original = Feed.draws

    def watched(self: Feed, recipe: Recipe, seed: int, phase: str, epoch: int, **order: bool) -> Any:
        draws = original(self, recipe, seed, phase, epoch, **order)
        if self.samples > 30:
            seen.append((phase, self.targets[draws.order].tolist()))
        return draws

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Feed, "draws", watched)
        tiny.run(
            tmp_path,
            methods=[IMP],
            checks=["layerwise_rearrange"],
            sparsities=[0.5],
            seeds=1,
            controls=[],
            training={"epochs": 1, "rewind_epoch": 0, "batch_size": 30},
        )
    orders = {phase: [targets for name, targets in seen if name == phase] for phase, _ in seen}
    assert set(orders) == {"pretrain", "round 1", "round 2", "round 3", "ticket"}
    firsts = [tuple(found[0]) for found in orders.values()]
    assert len(set(firsts)) == len(firsts), "no two rounds see the same batches"
    assert orders["ticket"][0] == orders["ticket"][1], "the clean and the corrupted ticket do"
