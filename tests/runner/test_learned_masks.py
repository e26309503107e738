"""Studies of methods that learn their masks, with verdicts whose truth is known, and how their epochs are reported."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prunecheck.cli.plan import forecast
from prunecheck.runner.results import Results
from tests.data.makers import write_parquet

from . import tiny

CLASSES, TELLING = 4, 16
"""classes, and pixels of 64 that differ between them: all others are noise"""

PLANTED = """
    import numpy as np
    import torch
    from prunecheck import method
    from prunecheck.pruning.masks import keep_top, random_masks

    @method(gives="masks", allocate="uniform")
    def informative(layers, counts, train_loader, rng, mask_epochs=2):
        # The first layer keeps the pixels whose means differ most between the labels, the other layers random weights.
        sums, members = torch.zeros(4, layers[0].shape[1]), torch.zeros(4)
        for _ in range(mask_epochs):
            for inputs, targets in train_loader:
                sums.index_add_(0, targets, inputs.flatten(1))
                members += torch.bincount(targets, minlength=4)
        first, masks = layers[0], random_masks(layers, counts, rng)
        pixels = (sums / members[:, None]).var(0).expand(first.shape).contiguous()
        return masks | keep_top({first.name: pixels}, {first.name: counts[first.name]}).masks

    @method(gives="masks", allocate="uniform")
    def indifferent(layers, counts, train_loader, mask_epochs=2):
        # Another mask for every change of a label, and none better than another.
        seen = 0
        for _ in range(mask_epochs):
            for _, targets in train_loader:
                seen = (31 * seen + int((targets * torch.arange(1, len(targets) + 1)).sum())) % 2**31
        return random_masks(layers, counts, np.random.default_rng(seen))
"""


def write_data(folder: Path) -> None:
    """Noise images of 8 x 8 in which a class shifts 16 pixels, each class in directions of its own."""
    rng = np.random.default_rng(0)
    where = rng.choice(64, TELLING, replace=False)
    shifts = np.zeros((CLASSES, 64))
    shifts[:, where] = rng.choice([-35, 35], (CLASSES, TELLING))
    for name, n in (("train", 400), ("test", 1000)):
        targets = np.arange(n) % CLASSES
        pixels = np.clip(rng.normal(128, 40, (n, 64)) + shifts[targets], 0, 255)
        write_parquet(folder / f"{name}.parquet", pixels.astype(np.uint8).reshape(n, 1, 8, 8), targets)


def study(folder: Path) -> dict[str, Any]:
    return {
        "model": "lenet_300_100",
        "data": {"name": "parquet", "root": str(folder / "data")},
        "methods": ["informative", "indifferent", "random_ticket"],
        "checks": ["random_labels"],
        "sparsities": [0.8],
        "seeds": 5,
        "margin": 5.0,
        "training": {"epochs": 15, "rewind_epoch": 1, "batch_size": 50, "lr": 0.1},
        "plugins": [tiny.plugin(folder, PLANTED)],
    }


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Results:
    folder = tmp_path_factory.mktemp("planted")
    write_data(folder / "data")
    return tiny.run(folder, **study(folder))


def test_learned_mask_that_needs_its_labels_depends_on_them_and_one_that_does_not_does_not(planted: Results) -> None:
    verdicts = {check.method: check.verdict for check in planted.verdict.checks}
    assert verdicts == {"informative": "DEPENDS", "indifferent": "DOES NOT DEPEND"}


def test_mask_of_the_indifferent_method_does_change_with_the_labels(planted: Results) -> None:
    changed = [row["overlap"] for row in planted.rows if row["method"] == "indifferent" and "overlap" in row]
    assert len(changed) == 5
    assert max(changed) < 0.2


def test_epochs_of_learning_are_in_rows_comparisons_cost_and_the_first_line(planted: Results) -> None:
    used = {row["method"]: row.get("mask_epochs") for row in planted.rows}
    assert used == {"informative": 2, "indifferent": 2, "random_ticket": None, "dense": None}
    (said,) = [c.sentence for c in planted.verdict.comparisons if c.first == "informative"]
    assert "informative has 17 epochs (2 to learn masks), random_ticket 15 epochs, pretraining not counted" in said
    budgets = "informative in up to 2 epochs and indifferent in up to 2 epochs of the training set"
    assert planted.data.trained.endswith(f"15 epochs; masks learned before: {budgets}")
    # two methods, clean and corrupted, five seeds, two epochs
    assert planted.data.cost["epochs to learn masks, at most"] == 40
    page, report = (planted.page.with_name(name).read_text("utf-8") for name in ("index.html", "report.md"))
    assert budgets in page
    assert "Not at equal training" in page
    assert "Not at equal training" in report
    with planted.page.with_name("results.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["mask_epochs"] for row in rows if row["method"] == "informative"} == {"2.0"}
    assert {row["mask_epochs"] for row in rows if row["method"] == "random_ticket"} == {""}


def test_plan_names_the_budgets_and_all_epochs(planted: Results, tmp_path: Path) -> None:
    found = forecast(planted.study, tmp_path / "store")
    said = dict(found.lines)["masks learned"]
    assert said.startswith("informative in up to 2 epochs and indifferent in up to 2 epochs of the training set;")
    assert said.endswith("at most 40 epochs in all")
    assert found.document["mask_epochs"] == 40
    without = forecast(tiny.study(), tmp_path / "store")
    assert "masks learned" not in dict(without.lines)
    assert "mask_epochs" not in without.document
