"""Two methods with one mask are trained once, and the results are those of training both."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from prunecheck.reporting import ReportData
from prunecheck.reporting.terminal import print_verdict
from prunecheck.runner.equal_masks import equal_methods
from prunecheck.runner.equal_trainings import EqualTrainings
from prunecheck.runner.progress import Progress
from prunecheck.runner.results import Results
from prunecheck.runner.step_results import StepResults
from prunecheck.runner.study_run import mask_tier, run_study
from prunecheck.runner.verify import rerun
from prunecheck.steps.perform import STEPS
from prunecheck.store import Store
from prunecheck.study import Step, load_study, make_plan

from . import tiny

FISHER = """
import torch
from prunecheck import method


@method
def fisher(weights, loss):
    slopes = torch.func.grad(loss)(weights)
    return {name: (weight * slopes[name]) ** 2 for name, weight in weights.items()}


@method
def sensitivity(weights, loss):
    slopes = torch.func.grad(loss)(weights)
    return {name: (weight * slopes[name]).abs() for name, weight in weights.items()}
"""


def fields(folder: Path, methods: list[Any], **changes: Any) -> dict[str, Any]:
    changes.setdefault("plugins", [tiny.plugin(folder, FISHER)])
    return tiny.fields(**{"methods": methods, "seeds": 2, **changes})


def go(folder: Path, methods: list[Any], workers: int = 1, **changes: Any) -> Results:
    return run_study(load_study(fields(folder, methods, **changes)), tiny.place(folder), workers, Progress())


def by_title(folder: Path, results: Results) -> Mapping[str, Mapping[str, Any]]:
    """Step -> hashes of the files of its artefact."""
    store = Store.open(folder / "store")
    return {
        step.title: {name: entry.sha256 for name, entry in store.entries(key).items()}
        for key, step in results.plan.steps.items()
    }


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Titles of the tickets that were trained in this process."""
    titles: list[str] = []
    train = STEPS["train"]

    def noted(step: Step, context: Any) -> dict[str, bytes]:
        titles.append(step.title)
        return train(step, context)

    monkeypatch.setitem(STEPS, "train", noted)
    return titles


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_two_plugins_with_one_mask_are_trained_once_and_named(workers: int, tmp_path: Path) -> None:
    checks = ["corrupted_data", "layerwise_rearrange"]
    results = go(tmp_path, ["fisher", "sensitivity"], workers, checks=checks)
    # clean and corrupted_data of two seeds; rearranged positions are drawn for each method anew
    assert results.copied == 4
    assert results.plan.trainings == results.trained + 4
    (note,) = [note for note in results.verdict.notes if "equal masks" in note]
    assert note == (
        "fisher and sensitivity have equal masks and equal trained networks at every sparsity and seed: in this study "
        "they are one method."
    )
    assert note in results.page.read_text(encoding="utf-8")
    rows = {(row["method"], row["check"], row["seed"]): row for row in results.rows}
    for seed in (0, 1):
        for check in ("clean", "corrupted_data"):
            one, two = rows["fisher", check, seed], rows["sensitivity", check, seed]
            assert one["weights_sha256"] == two["weights_sha256"]
            assert one["key"] != two["key"]
    again = go(tmp_path, ["fisher", "sensitivity"], checks=checks)
    assert (again.trained, again.copied) == (0, 0)
    assert note in again.verdict.notes


def test_results_are_those_of_training_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    how = {"checks": ["corrupted_data"], "plugins": [tiny.plugin(tmp_path, FISHER)]}
    once = go(tmp_path / "once", ["fisher", "sensitivity"], **how)
    assert once.copied == 4
    monkeypatch.setattr(EqualTrainings, "original", lambda *_: None)
    both = go(tmp_path / "both", ["fisher", "sensitivity"], **how)
    assert both.copied == 0
    assert both.trained == once.trained + 4
    assert by_title(tmp_path / "once", once) == by_title(tmp_path / "both", both)
    out = "results.csv", "verdicts.json"
    for name in out:
        one, two = ((tmp_path / folder / "out" / name).read_bytes() for folder in ("once", "both"))
        assert one == two


def test_method_added_later_takes_what_is_in_the_store(tmp_path: Path, trained: list[str]) -> None:
    first = go(tmp_path, ["snip"])
    done = len(trained)
    later = go(tmp_path, ["snip", "fisher"])
    assert (first.copied, later.copied) == (0, 2)
    assert not [title for title in trained[done:] if "fisher · clean" in title]
    assert any("snip and fisher have equal masks" in note for note in later.verdict.notes)


def test_same_mask_with_other_weights_or_recipe_is_trained(tmp_path: Path, trained: list[str]) -> None:
    methods = [
        {"name": "fisher", "label": "long", "epochs": 2},
        "sensitivity",
        {"name": "lr_rewinding", "label": "kept"},
        {"name": "lr_rewinding", "label": "rewound", "rewind": "epoch"},
    ]
    training = {"epochs": 2, "rewind_epoch": 1, "batch_size": 30}
    results = go(tmp_path, methods, seeds=1, training={**training, "epochs": 3})
    assert results.copied == 0
    assert len([title for title in trained if "clean" in title]) == 4
    assert not [note for note in results.verdict.notes if "equal masks" in note]


def test_identity_control_is_trained_although_its_mask_is_equal(tmp_path: Path, trained: list[str]) -> None:
    results = go(tmp_path, ["fisher"], seeds=1, controls=["identity"])
    assert results.copied == 0
    assert [title for title in trained if "identity" in title]
    two = go(tmp_path, ["fisher", "sensitivity"], seeds=1, checks=["identity"], controls=[])
    assert len([title for title in trained if "fisher · identity" in title or "sensitivity · identity" in title]) == 2
    assert two.copied == 1, "the clean arm of the second method"


def test_failed_original_leaves_the_other_to_be_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    train = STEPS["train"]

    def fails_once(step: Step, context: Any) -> dict[str, bytes]:
        if "80%" in step.title and "layerwise_rearrange" not in step.title:  # whichever of the two comes first
            seen.append(step.title)
            if len(seen) == 1:
                raise ValueError("once")
        return train(step, context)

    monkeypatch.setitem(STEPS, "train", fails_once)
    with pytest.raises(Exception, match="once"):
        go(tmp_path, ["fisher", "sensitivity"], seeds=1)
    results = go(tmp_path, ["fisher", "sensitivity"], seeds=1)
    assert results.copied == 1
    assert len({row["weights_sha256"] for row in results.rows if row["check"] == "clean" and row["sparsity"]}) == 1


def test_damaged_original_is_not_copied(tmp_path: Path) -> None:
    go(tmp_path, ["snip"], seeds=1)
    store = Store.open(tmp_path / "store")
    plan = make_plan(load_study(fields(tmp_path, ["snip"], seeds=1)))
    (clean,) = [arm for arm in plan.arms if arm.check == "clean" and arm.sparsity]
    path = store.folder(clean.train) / "final.safetensors"
    path.chmod(0o644)
    path.write_bytes(b"\0" + path.read_bytes()[1:])
    results = go(tmp_path, ["fisher"], seeds=1)
    (row,) = [row for row in results.rows if row["check"] == "clean" and row["sparsity"]]
    assert (results.copied, results.trained > 0) == (0, True)
    assert store.fault_of(next(arm.train for arm in results.plan.arms if arm.train.startswith(row["key"]))) is None


def test_verification_computes_equal_trainings_again(tmp_path: Path, trained: list[str]) -> None:
    go(tmp_path, ["fisher", "sensitivity"], seeds=1)
    before = len(trained)
    study = load_study(fields(tmp_path, ["fisher", "sensitivity"], seeds=1))
    found = rerun(study, tiny.place(tmp_path), 1.0, 0, 1, Progress())
    assert found.ok
    clean = [title for title in trained[before:] if "clean" in title]
    assert len(clean) == 2, "the copy is computed too"


def test_run_prints_once_which_methods_are_equal(tmp_path: Path) -> None:
    console = Console(file=io.StringIO(), width=1000)
    study = load_study(fields(tmp_path, ["fisher", "snip"], seeds=1))
    results = run_study(study, tiny.place(tmp_path), 1, Progress(console))
    assert isinstance(results.data, ReportData)
    print_verdict(results.verdict, console, results.data, given=results.given)
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert text.count("fisher and snip have equal masks and equal trained networks") == 1
    assert [text.count(remark) for remark in results.given] == [1] * len(results.given)


def test_mask_tier_names_methods_with_equal_masks(tmp_path: Path) -> None:
    longer = {"name": "random_ticket", "label": "random_2x", "epochs": 2}
    study = load_study(fields(tmp_path, ["fisher", "snip", "gradient", "random_ticket", longer]))
    _, _, equal = mask_tier(study, Store.open(tmp_path / "store"), 1, Progress())
    assert equal == ["fisher and snip have equal masks at every sparsity and seed."]


def test_masks_that_are_equal_at_some_seeds_only_name_them(tmp_path: Path) -> None:
    text = FISHER.replace("def sensitivity(weights, loss):", "def sensitivity(weights, loss, sparsity):").replace(
        ".abs()", ".abs() * (1 if sparsity > 0.7 else -1)"
    )
    plugins = [tiny.plugin(tmp_path, text, "other.py")]
    results = go(tmp_path, ["fisher", "sensitivity"], sparsities=[0.5, 0.8], plugins=plugins)
    (note,) = [note for note in results.verdict.notes if "equal masks" in note]
    assert note.endswith("equal trained networks at 80% with seeds 0 and 1 (2 of 4 tickets).")
    store = StepResults(Store.open(tmp_path / "store"))
    assert equal_methods([arm for arm in results.plan.arms if arm.sparsity == 0.5], store) == []


def test_every_training_of_one_method_alone_is_its_own(tmp_path: Path) -> None:
    """Nothing is copied in an ordinary study."""
    results = tiny.run(tmp_path, methods=["snip", "gradient", "random_ticket"], checks=["corrupted_data"], seeds=2)
    assert results.copied == 0
    assert results.trained == results.plan.trainings
