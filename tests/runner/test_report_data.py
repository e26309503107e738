from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from prunecheck.cli.plan import forecast
from prunecheck.pruning.counts import kept_total
from prunecheck.runner import classification
from prunecheck.runner.report_data import (
    StepResults,
    backends_of,
    cost_of,
    curves,
    layer_tables,
    overlaps,
    present,
    provenance_of,
    repeatability_of,
    rows,
    too_few_updates,
    trained_in_words,
)
from prunecheck.runner.results import Results
from prunecheck.store import Store
from prunecheck.study import Arm
from prunecheck.training import sparse

from . import tiny


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Results, Store]:
    folder = tmp_path_factory.mktemp("ran")
    changes: dict[str, Any] = {
        "methods": ["snip", "lr_rewinding"],
        "checks": ["layerwise_rearrange", "layerwise_weight_shuffle"],
        "training": {"epochs": 2, "rewind_epoch": 1, "batch_size": 30},
    }
    return tiny.run(folder, **changes), Store.open(folder / "store")


def test_a_row_for_every_trained_arm(ran: tuple[Results, Store]) -> None:
    results, store = ran
    found = rows(present(results.plan, store), StepResults(store))
    assert found == results.rows
    assert [(row["method"], row["check"]) for row in found] == [
        ("dense", "clean"),
        ("snip", "clean"),
        ("lr_rewinding", "clean"),
        *((m, c) for m in ("snip", "lr_rewinding") for c in ("layerwise_rearrange", "layerwise_weight_shuffle")),
    ]
    for row in found:
        assert 0 <= row["accuracy"] <= row["best_accuracy"] <= 1
        assert (row["n_test"], row["epochs"]) == (50, 1 if row["method"] == "lr_rewinding" else 2)
        assert len(row["weights_sha256"]) == len(row["key"]) == 16
    dense, *others = found
    assert dense["sparsity"] is None
    assert "kept" not in dense
    for row in others:
        assert (row["kept"], row["weights"]) == (kept_total(23824, 0.8), 23824)
        assert 0.79 < row["effective_sparsity"] <= 1
        assert ("overlap" in row) is (row["check"] == "layerwise_rearrange")


def test_the_learning_curves(ran: tuple[Results, Store]) -> None:
    results, store = ran
    found = {(c.method, c.check): c for c in curves(results.plan.arms, StepResults(store))}
    assert len(found) == 7
    last = {(row["method"], row["check"]): row["accuracy"] for row in results.rows}
    assert all(curve.accuracy[-1] == last[cell] for cell, curve in found.items())


def test_layer_tables_stand_beside_the_reference_allocations(ran: tuple[Results, Store]) -> None:
    results, store = ran
    tables = {table.method: table for table in layer_tables(results.study, results.plan.arms, StepResults(store))}
    assert set(tables) == {"snip", "lr_rewinding", "smart_ratio", "erk"}
    assert all(sum(table.kept) == kept_total(23824, 0.8) for table in tables.values())
    assert all(sum(table.weights) == 23824 for table in tables.values())


class Given:
    """StepResults by key, as a store would hold them."""

    def __init__(self, **facts: dict[str, Any]) -> None:
        self.overlap = facts.__getitem__


def compared(check: str, key: str, seed: int = 0) -> Arm:
    return Arm("snip", check, 0.8, seed, "t", "m", key)


def overlap(iou: float, chance: float, correlation: float | None = 0.5) -> dict[str, Any]:
    return {"iou": iou, "chance_iou": chance, "counts_correlation": correlation}


def test_overlaps_are_averaged_over_the_seeds_and_say_where_they_mean_little() -> None:
    facts = Given(
        a=overlap(0.2, 0.1, 0.4), b=overlap(0.4, 0.3, None), c=overlap(0.95, 0.2), d=overlap(0.6, 0.5), e=overlap(0, 0)
    )
    arms = [compared("x", "a"), compared("x", "b", 1), compared("y", "c"), compared("z", "d"), compared("w", "e")]
    arms += [Arm("snip", "clean", 0.8, 0, "t", "m"), compared("identity", "c")]
    x, y, z, w, identity = overlaps(arms, facts)  # type: ignore[arg-type]
    assert (x.check, x.sparsity, x.note) == ("x", 0.8, "")
    assert (x.iou, x.chance_iou, x.counts_correlation) == pytest.approx((0.3, 0.2, 0.4))
    assert y.note == "nearly a no-op: 95% of the mask is the same"
    assert z.note == "layers this full let a rearrangement change little: 50% overlap by chance alone"
    assert (w.iou, w.note) == (0, "")
    assert (identity.iou, identity.note) == (0.95, "")


def test_cost_and_provenance_depend_on_the_plan_alone(ran: tuple[Results, Store], tmp_path: Path) -> None:
    results, _ = ran
    cost = cost_of(results.plan, results.plan)
    assert cost["trainings"] == 7
    assert cost["trainings without sharing"] == results.plan.trainings_requested > 7
    assert cost["trainings shared"] == results.shared == results.plan.trainings_requested - 7
    again = provenance_of(results.study, results.plan)
    assert again == provenance_of(results.study, results.plan)
    assert len(again["data fingerprint"]) == 16
    other = tiny.run(tmp_path, seeds=[4])
    assert provenance_of(other.study, other.plan)["plan"] != again["plan"]


def test_the_backend_is_told_where_one_was_asked_for(ran: tuple[Results, Store], tmp_path: Path) -> None:
    assert "backend" not in ran[0].data.provenance
    if sparse.unavailable() is None:
        mixed = tiny.run(tmp_path, backend="sparse", sparsities=[0.05, 0.9])
        told = mixed.data.provenance["backend"]
        assert told.startswith("2 of 4 tickets trained sparsely; 2 densely (")


def test_facts_keep_in_memory_what_rows_and_curves_need_and_no_more(ran: tuple[Results, Store]) -> None:
    results, store = ran
    facts = StepResults(store)
    arm = next(arm for arm in results.plan.arms if arm.mask)
    assert len(facts.training(arm.train)["accuracies"]) == len(facts.whole("train", arm.train)["history"])
    assert len(facts.whole("mask", arm.mask or "")["layers"]) > 3
    assert not {"history", "layers"} & (facts.training(arm.train).keys() | facts.mask(arm.mask or "").keys())


def test_plan_and_report_say_how_often_masks_change_and_warn_where_they_change_before_training_alone(
    tmp_path: Path,
) -> None:
    # 60 images in batches of 30: 8 steps, of which 0, 2 and 4 are before three quarters of the training.
    often = {"name": "rigl", "label": "often", "options": {"every": 2}}
    study = tiny.study(
        methods=["set", often],
        checks=["random_growth"],
        training={"epochs": 4, "rewind_epoch": 0, "batch_size": 30},
    )
    (warning,) = too_few_updates(study)
    assert warning.startswith("set changes its mask only before the first of 8 steps: every = 100")
    assert trained_in_words(study).endswith(
        "masks changed while training: set at 1 of 8 steps and often at 3 of 8 steps"
    )
    lines = forecast(study, tmp_path / "store").lines
    assert dict(lines)["masks change"] == "set at 1 of 8 steps and often at 3 of 8 steps"
    assert ("warning", warning) in lines
    assert warning in classification.remarks(study)
    assert warning in classification.notes(study, [])
    usual = tiny.study()
    assert not too_few_updates(usual)
    assert "masks change" not in trained_in_words(usual)
    assert "masks change" not in dict(forecast(usual, tmp_path / "store").lines)


class TrainedOnGpu:
    """Results of trainings of which a GPU could not record some."""

    def __init__(self, reasons: dict[str, str]) -> None:
        self._reasons = reasons

    def training(self, key: str) -> dict[str, str]:
        return {"eager_reason": self._reasons[key]} if key in self._reasons else {}


def test_page_says_why_a_gpu_trained_tickets_step_by_step(ran: tuple[Results, Store]) -> None:
    arms = [arm for arm in present(ran[0].plan, ran[1]) if arm.mask]
    trained = list(dict.fromkeys(arm.train for arm in arms))
    why = "it draws random numbers in its forward pass, such as dropout does"
    found: Any = TrainedOnGpu(dict.fromkeys(trained[:2], why))
    said = f"2 of {len(trained)} tickets trained step by step ({why})"
    assert backends_of(arms, found) == {"backend": said}
    every: Any = TrainedOnGpu({})
    assert backends_of(arms, every) == {}


def test_page_names_methods_that_are_not_repeatable_on_a_gpu() -> None:
    on_gpu = tiny.study(methods=["grasp", "snip"], device="cuda")
    assert repeatability_of(on_gpu) == {"not repeatable": "grasp on a GPU: two calls may give different masks"}
    assert repeatability_of(tiny.study(methods=["grasp"])) == {}
