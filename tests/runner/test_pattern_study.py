"""A study of structured masks whose truth is planted, from the plan to the page."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.runner import tiny


@pytest.mark.slow
def test_choice_within_groups_matters_for_trained_weights_and_not_for_random_ones(tmp_path: Path) -> None:
    """The largest two of every four trained weights, with one epoch to retrain: two others cannot replace them. A
    random ticket has two random ones already. The page names the pattern and the checks that keep it."""
    results = tiny.run(
        tmp_path,
        data={"name": "digits", "train_size": 300, "test_size": 500},
        methods=["lr_rewinding", "random_ticket"],
        checks=["layerwise_rearrange"],
        pattern="2:4",
        sparsities=[0.5],
        seeds=3,
        margin=3,
        training={"epochs": 6, "rewind_epoch": 5, "batch_size": 30},
    )
    verdicts = {row["method"]: row["verdict"] for row in results.table()}
    assert verdicts["lr_rewinding"] == "DEPENDS"
    assert verdicts["random_ticket"] != "DEPENDS"
    assert len({row["kept"] for row in results.rows if row["method"] != "dense"}) == 1
    words = results.data.provenance["pattern of lr_rewinding"]
    assert words.startswith("2:4 in 3 of 4 layers, kept by layerwise_rearrange and planted, not by unstructured")
    assert "pattern of lr_rewinding" in results.page.read_text(encoding="utf-8")
