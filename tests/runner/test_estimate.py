from __future__ import annotations

from pathlib import Path

import pytest

from prunecheck.runner.estimate import Estimate
from prunecheck.store import Store, Timings
from prunecheck.study import Step, make_plan

from . import tiny


def test_before_anything_was_timed_every_kind_of_step_has_a_rough_time(tmp_path: Path) -> None:
    plan = make_plan(tiny.study(methods=["snip", "lr_rewinding"], checks=["random_labels", "layerwise_rearrange"]))
    estimate = Estimate(Store.open(tmp_path))
    assert {step.kind for step in plan.steps.values()} == {"pretrain", "score", "mask", "corrupt", "train", "compare"}
    assert all(0 < estimate.seconds(step) < 60 for step in plan.steps.values())
    assert estimate.total(plan.steps.values()) == pytest.approx(sum(map(estimate.seconds, plan.steps.values())))
    assert not estimate.is_measured(plan.steps.values())


def train(units: float, where: str = "train/resnet32@32/cpu") -> Step:
    return Step("train", {"n": units}, cost_class=where, cost_units=units)


def test_a_training_takes_longer_for_more_images_larger_ones_and_larger_networks(tmp_path: Path) -> None:
    estimate = Estimate(Store.open(tmp_path))
    base = estimate.seconds(train(1e4))
    assert estimate.seconds(train(3e4)) == pytest.approx(3 * base)
    assert estimate.seconds(train(1e4, "train/resnet32@64/cpu")) == pytest.approx(4 * base, rel=0.01)
    assert estimate.seconds(train(1e4, "train/resnet20@32/cpu")) < base
    assert estimate.seconds(train(1e4, "train/./some/net.py:make@32/cpu")) > 0


def test_rough_time_of_a_cpu_is_that_of_its_arithmetic_and_a_fixed_time_for_each_image(tmp_path: Path) -> None:
    estimate = Estimate(Store.open(tmp_path))
    large, small = estimate.seconds(train(1e4)), estimate.seconds(train(1e4, "train/convnet@14/cpu"))
    assert large == pytest.approx(1e4 * 551.2e6 / 75e9, rel=0.01)
    assert small == pytest.approx(1e4 * (0.96e6 / 75e9 + 25e-6))


@pytest.mark.parametrize(
    ("instructions", "params", "faster"),
    [
        (["avx512_bf16"], {"precision": "bfloat16"}, 1.5),
        ([], {"precision": "bfloat16"}, 1 / 8),
        ([], {"backend": "sparse/1"}, 2),
        (["avx512_bf16"], {"backend": "sparse/1", "precision": "bfloat16"}, 3),
        ([], {"backend": "sparse/2", "precision": "bfloat16"}, 3),
        (["avx512_bf16"], {}, 1),
    ],
)
def test_backend_and_precision_change_the_rough_time_of_a_cpu(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    instructions: list[str],
    params: dict[str, str],
    faster: float,
) -> None:
    monkeypatch.setattr("prunecheck.runner.estimate.bfloat16_instructions", lambda: instructions)
    estimate = Estimate(Store.open(tmp_path))
    other = Step("train", params, cost_class="train/resnet32@32/cpu/auto 95%", cost_units=1e4)
    assert estimate.seconds(train(1e4)) == pytest.approx(faster * estimate.seconds(other))


def test_time_in_one_precision_is_not_the_estimate_of_another() -> None:
    def classes(precision: str) -> set[str]:
        steps = make_plan(tiny.study(precision=precision)).steps.values()
        return {step.cost_class for step in steps if step.kind in ("pretrain", "train")}

    assert classes("bfloat16").isdisjoint(classes("float32"))


def test_known_networks_of_libraries_are_estimated_by_their_size(tmp_path: Path) -> None:
    estimate = Estimate(Store.open(tmp_path))
    large, small = (estimate.seconds(train(1e4, f"train/torchvision:resnet50@{side}/cpu")) for side in (224, 56))
    assert large == pytest.approx(16 * small, rel=0.05)
    assert estimate.seconds(train(1e4, "train/timm:resnet50@224/cpu")) == large
    unknown = estimate.seconds(train(1e4, "train/timm:unheard_of@224/cpu"))
    assert unknown == estimate.seconds(train(1e4, "train/module:resnet50@224/cpu")) < large


def test_what_was_timed_is_believed(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    for seconds in (0.02, 0.01, 0.03):
        Timings(store).record("train/resnet32@32/cpu", seconds, "0" * 64)
    estimate = Estimate(store)
    assert estimate.seconds(train(500)) == pytest.approx(10)
    assert estimate.is_measured([train(1), Step("mask", {})])
    assert not estimate.is_measured([train(1), train(1, "train/vgg19_bn@32/cpu")])


def test_learning_a_mask_takes_as_long_as_a_training_of_as_many_images(tmp_path: Path) -> None:
    def learned(where: str = "learn/resnet32@32/cpu/mine") -> Step:
        return Step("mask", {"train_loader": {}}, cost_class=where, cost_units=1e4)

    store = Store.open(tmp_path)
    assert Estimate(store).seconds(learned()) == pytest.approx(Estimate(store).seconds(train(1e4)))
    assert not Estimate(store).is_measured([learned()])
    Timings(store).record("learn/resnet32@32/cpu/mine", 0.01, "0" * 64)
    assert Estimate(store).seconds(learned()) == pytest.approx(100)
    assert Estimate(store).is_measured([learned()])


def test_a_run_times_its_steps(tmp_path: Path) -> None:
    results = tiny.run(tmp_path)
    estimate = Estimate(Store.open(tmp_path / "store"))
    assert estimate.is_measured(results.plan.steps.values())
    assert estimate.total(results.plan.steps.values()) < 60


@pytest.mark.parametrize(("precision", "times"), [("bfloat16", 1.0), ("tf32", 1.9), ("float32", 1.9)])
def test_training_on_a_gpu_is_estimated_from_the_table_of_a_card(tmp_path: Path, precision: str, times: float) -> None:
    params = {"device": "cuda", "gpu": "NVIDIA H200", "precision": precision}
    images = 3 * 44_900.0  # a training image counts as three forward passes
    step = Step("train", params, {}, "t", f"train/resnet32@32/cuda NVIDIA H200 {precision}", images)
    assert Estimate(Store.open(tmp_path)).seconds(step) == pytest.approx(times)


def test_training_timed_on_a_card_is_not_the_estimate_of_another_card_or_precision(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    Timings(store).record("train/resnet32@32/cuda A bfloat16", 5.0, "k")
    seconds = {
        name: Estimate(store).seconds(Step("train", {"gpu": name[0]}, {}, "t", f"train/resnet32@32/cuda {name}", 1.0))
        for name in ("A bfloat16", "B bfloat16", "A tf32")
    }
    assert seconds["A bfloat16"] == 5.0
    assert seconds["B bfloat16"] < 1
    assert seconds["A tf32"] < 1
