"""Every shipped study can be loaded, planned, written and, if it is small, run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from prunecheck.errors import StudyError
from prunecheck.pruning.layers import Layer, layers_of
from prunecheck.resources import study_names, study_text
from prunecheck.runner.preflight import preflight
from prunecheck.runner.progress import Progress
from prunecheck.runner.study_run import run_study
from prunecheck.runner.workspace import Workspace
from prunecheck.statistics.rows import CLEAN, DENSE
from prunecheck.store import Store
from prunecheck.study import load_study, make_plan
from prunecheck.study.arms import resolved_methods
from prunecheck.study.toml import to_toml
from tests.real_data import REAL_DATA, needs_real_data
from tests.resources.offered import PUBLISHED, SHAPES, TWINS, on_trust, shipped

PARTS = r"-(vgg[0-9]+|resnet[0-9]+)(-(cifar10|cifar100|tiny))?$|-cpu$"


@pytest.fixture(autouse=True)
def _on_trust(monkeypatch: pytest.MonkeyPatch) -> None:
    on_trust(monkeypatch)


@pytest.mark.parametrize("name", study_names())
def test_shipped_study_loads_plans_and_round_trips(name: str, tmp_path: Path) -> None:
    study = shipped(name, tmp_path)
    plan = make_plan(study)
    assert study.name == ("study" if name == "template" else name)
    assert study.question.endswith("?")
    assert study.device == "cpu", "a GPU is asked for with --set device=cuda"
    again = tmp_path / "again.toml"
    again.write_text(to_toml(study), encoding="utf-8")
    assert list(make_plan(load_study(again)).steps) == list(plan.steps)
    on_gpu = make_plan(shipped(name, tmp_path, "device=cuda"))
    assert len(on_gpu.arms) == len(plan.arms)


@pytest.mark.parametrize("name", study_names())
def test_shipped_study_has_an_arm_per_method_and_sparsity(name: str, tmp_path: Path) -> None:
    study = shipped(name, tmp_path)
    clean = {(arm.method, arm.sparsity) for arm in make_plan(study).arms if arm.check == CLEAN}
    for method in resolved_methods(study):
        for sparsity in (None,) if method.plugin.name == DENSE else study.sparsities:
            assert (method.label, sparsity) in clean


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_scale_has_a_cpu_version_with_the_same_checks(name: str, tmp_path: Path) -> None:
    twin = re.sub(PARTS, "", name) + "-cpu"
    assert twin in TWINS
    big, small = shipped(name, tmp_path), shipped(twin, tmp_path)
    assert big.checks == small.checks
    assert [m.name for m in small.methods if m.label[:6] != "rewind"] == [
        m.name for m in big.methods if m.label[:6] != "rewind"
    ]


def test_one_question_is_equal_for_every_model_and_data_set(tmp_path: Path) -> None:
    asked: dict[str, object] = {}
    for name in PUBLISHED:
        study = shipped(name, tmp_path)
        labels = [method.label or method.name for method in study.methods]
        this = (labels, study.checks, study.sparsities, study.seeds, study.controls)
        assert asked.setdefault(re.sub(PARTS, "", name), this) == this


@pytest.mark.parametrize("name", PUBLISHED)
def test_smart_ratio_counts_exist_at_the_published_scale(name: str, tmp_path: Path) -> None:
    """Preflight checks this only on a machine with the data."""
    from prunecheck.models import build
    from prunecheck.runner.preflight import _feasible, _methods_and_controls

    study = shipped(name, tmp_path)
    if study.model.startswith("torchvision:"):
        pytest.importorskip("torchvision")
    shape = SHAPES[study.data.name]
    layers: tuple[Layer, ...] = layers_of(build(study.model, num_classes=shape.num_classes))
    for method in _methods_and_controls(study):
        for sparsity in study.sparsities:
            for target in method.targets(sparsity) if method.plugin.name != DENSE else ():
                _feasible(method, layers, target, study)


@pytest.mark.parametrize("name", [*(name for name in TWINS if name != "fast-cpu"), "demo", "template"])
def test_small_study_passes_preflight(name: str, tmp_path: Path) -> None:
    preflight(shipped(name, tmp_path))


@needs_real_data("cifar10/*.parquet")
def test_small_study_of_cifar_passes_preflight(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # the data are here
    preflight(shipped("fast-cpu", tmp_path, f"data.root={(REAL_DATA / 'cifar10').resolve()}"))


@pytest.mark.parametrize("name", ["fast-cpu", "fast-resnet32-cifar10"])
def test_study_of_recipes_differs_in_its_trainings_alone_under_the_other_recipe(name: str, tmp_path: Path) -> None:
    """The initial weights, scores and masks of SNIP and random tickets are shared by both runs."""
    fast, long = (make_plan(shipped(name, tmp_path, *changes)) for changes in ((), ("training.recipe=cifar",)))
    assert [(arm.method, arm.check, arm.sparsity, arm.seed) for arm in fast.arms] == [
        (arm.method, arm.check, arm.sparsity, arm.seed) for arm in long.arms
    ]
    shared = set(fast.steps) & set(long.steps)
    assert not any(fast.steps[key].kind in ("pretrain", "train") for key in shared)
    masks = [{arm.mask for arm in plan.arms if arm.method in ("snip", "random_ticket")} for plan in (fast, long)]
    assert masks[0] == masks[1]
    costs = [sum(step.cost_units for step in plan.steps.values() if step.kind == "train") for plan in (fast, long)]
    assert 5 * costs[0] == pytest.approx(costs[1])


@pytest.mark.parametrize("name", ["hybrid-vgg19-cifar10", "sanity-trained-resnet32-cifar10", "imp-resnet32-cifar10"])
def test_rewinding_is_compared_at_equal_epochs_and_at_equal_compute(name: str, tmp_path: Path) -> None:
    """The longer random ticket and dense network train at least as long as pretraining and retraining together."""
    study = shipped(name, tmp_path)
    by_label = {method.label: method for method in resolved_methods(study)}
    (random,) = [e for label, e in by_label.items() if re.fullmatch(r"random_\d+x", label)]
    (dense,) = [e for label, e in by_label.items() if re.fullmatch(r"dense_\d+x", label)]
    rewound = by_label.get("lottery_imp") or by_label["lr_rewinding"]
    rounds = len(rewound.targets(0.9))
    assert random.recipe.epochs == dense.recipe.epochs >= study.recipe.epochs * (1 + rounds)
    assert "random_ticket" in by_label


def test_misspelt_study_name_suggests_the_nearest() -> None:
    with pytest.raises(StudyError, match="'imp-cpu'"):
        study_text("imp-cup")


@pytest.mark.slow
def test_smallest_cpu_version_runs(tmp_path: Path) -> None:
    studied = {name: shipped(name, tmp_path) for name in TWINS}
    smallest = min(TWINS, key=lambda name: sum(s.cost_units for s in make_plan(studied[name]).steps.values()))
    study = shipped(smallest, tmp_path, "seeds=1")
    results = run_study(study, Workspace(Store.open(tmp_path / "store"), tmp_path / "out"), 1, Progress())
    assert len(results.rows) == len(results.plan.arms)
    assert {method.label or method.name for method in study.methods} <= {row["method"] for row in results.rows}
    assert results.page.is_file()
