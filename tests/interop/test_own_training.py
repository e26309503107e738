"""A trial with a training loop of one's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import prunecheck
from prunecheck.errors import StudyError
from prunecheck.interop import Arm, Arms, read_masks, save_masks, write_arms
from prunecheck.pruning.masks import counts_of
from tests.interop.nets import Net, batch, masks, net, same

CHECKS = ("layerwise_rearrange", "layerwise_weight_shuffle")


def trial(folder: Path, source: Any = None, build: Callable[[], nn.Module] = Net, **more: Any) -> Arms:
    how: dict[str, Any] = {"seeds": 2, "checks": CHECKS, "n_test": 1000, "folder": folder / "arms"} | more
    return prunecheck.arms(masks() if source is None else source, build, **how)


def place(arm: Arm) -> tuple[str, str, int]:
    return arm.method, arm.check, arm.seed


def test_every_seed_has_dense_clean_corrupted_and_control_arms(tmp_path: Path) -> None:
    arms = list(trial(tmp_path))
    assert [place(arm) for arm in arms] == [
        (method, check, seed)
        for seed in (0, 1)
        for method, check in [
            ("dense", "clean"),
            ("mine", "clean"),
            *(("mine", check) for check in CHECKS),
            ("random_ticket", "clean"),
            ("random_ticket", "layerwise_rearrange"),
        ]
    ]
    assert arms[0].masks() is None
    assert len(trial(tmp_path)) == len(arms)


def test_arms_of_a_seed_start_alike_except_for_what_their_check_changes(tmp_path: Path) -> None:
    arms = {place(arm)[:2]: arm for arm in trial(tmp_path, seeds=[3])}
    dense = arms["dense", "clean"].network().state_dict()
    for (method, check), arm in arms.items():
        state, kept = arm.network().state_dict(), arm.masks()
        assert torch.equal(state["norm.weight"], dense["norm.weight"])
        if method == "dense":
            continue
        assert kept is not None
        assert counts_of(kept) == counts_of(masks())
        assert same(kept, masks()) is (method == "mine" and check in ("clean", "layerwise_weight_shuffle"))
        for name, mask in kept.items():
            assert not bool(state[name][~mask].any())
            assert torch.equal(state[name][mask], dense[name][mask]) is (check != "layerwise_weight_shuffle")
            assert torch.equal(state[name][mask].sort().values, dense[name][mask].sort().values)


def test_masks_are_those_of_the_files_that_write_arms_writes(tmp_path: Path) -> None:
    write_arms(masks(), Net, tmp_path / "files", checks=["layerwise_rearrange"], seeds=[0])
    arms = {place(arm)[:2]: arm.masks() for arm in trial(tmp_path, seeds=1, checks=["layerwise_rearrange"])}
    for (method, check), found in arms.items():
        prefix = "random_ticket-" if method == "random_ticket" else ""
        if found is not None:
            assert same(found, read_masks(tmp_path / "files" / f"{prefix}{check}-seed0.safetensors", net()))


def test_pruned_weights_stay_zero_in_training_without_a_handle(tmp_path: Path) -> None:
    arm = next(arm for arm in trial(tmp_path) if arm.method == "mine")
    model, (inputs, targets) = arm.network(), batch()
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01)
    before = model.get_parameter("fc.weight").clone()
    for _ in range(3):
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(model(inputs), targets).backward()
        optimiser.step()
    after, kept = model.get_parameter("fc.weight"), masks()["fc.weight"]
    assert not bool(after[~kept].any())
    assert not torch.equal(after[kept], before[kept])


def test_interrupted_loop_goes_on_with_the_arms_that_are_missing(tmp_path: Path) -> None:
    first = []
    for arm in trial(tmp_path):
        if len(first) == 5:
            break  # this network was trained and its accuracy lost
        arm.record(0.5)
        first.append(place(arm))
    rest = []
    for arm in trial(tmp_path):
        arm.record(0.5)
        rest.append(place(arm))
    assert len(first) == 5
    assert [*first, *rest] == [place(arm) for arm in trial(tmp_path / "other")]
    assert list(trial(tmp_path)) == []
    assert "12 arms" in repr(trial(tmp_path))
    assert "12 recorded" in repr(trial(tmp_path))


def test_verdict_of_recorded_accuracies(tmp_path: Path) -> None:
    arms = trial(tmp_path, seeds=5)
    with pytest.raises(StudyError, match=r"records.csv holds no accuracy yet"):
        arms.verdict()
    for arm in arms:
        arm.record(0.9 + 0.001 * arm.seed - 0.1 * (arm.method == "mine" and arm.check == "layerwise_rearrange"))
    found = arms.verdict(classes=5)
    assert {(c.method, c.check): c.verdict for c in found.checks if c.method == "mine"} == {
        ("mine", "layerwise_rearrange"): "DEPENDS",
        ("mine", "layerwise_weight_shuffle"): "DOES NOT DEPEND",
    }
    assert [(c.role, c.status) for c in found.controls if c.role == "aa"] == [("aa", "ok")]
    assert [(c.first, c.second) for c in found.comparisons] == [("mine", "random_ticket")]
    assert arms.verdict(margin=0.5).margin == 0.5
    assert prunecheck.verdict(arms.table, classes=5).margin == found.margin == pytest.approx(0.702)


def test_function_prunes_the_network_of_every_seed_and_runs_once(tmp_path: Path) -> None:
    calls = []

    def prune(model: nn.Module) -> dict[str, torch.Tensor]:
        calls.append(model)
        weight = model.get_parameter("fc.weight")
        noisy = weight.abs() + torch.rand(())  # another mask at every call would not be found again
        kept = torch.zeros(weight.numel(), dtype=torch.bool)
        kept[noisy.flatten().topk(10).indices] = True
        return masks() | {"fc.weight": kept.view_as(weight)}

    first = [arm.masks() for arm in trial(tmp_path, prune) if arm.method == "mine" and arm.check == "clean"]
    assert first[0] is not None
    assert first[1] is not None
    assert not same(first[0], first[1])
    again = [arm.masks() for arm in trial(tmp_path, prune) if arm.method == "mine" and arm.check == "clean"]
    assert len(calls) == 2
    assert all(
        one is not None and other is not None and same(one, other) for one, other in zip(first, again, strict=True)
    )


def test_starting_weights_may_be_given_for_every_seed(tmp_path: Path) -> None:
    for seed in (0, 1):
        save_masks(masks(seed, 0.5), tmp_path / f"m{seed}.safetensors")
        torch.save(net(seed + 5).state_dict(), tmp_path / f"w{seed}.pt")
    kept = {name: masks(0, 0.5)[name] for name in masks()}
    arms = list(trial(tmp_path, kept, start=tmp_path / "w{seed}.pt"))
    for arm in arms:
        if arm.method == "dense":
            assert torch.equal(arm.network().state_dict()["fc.weight"], net(arm.seed + 5).fc.weight)
    with pytest.raises(StudyError, match=r"the starting weights do not fit the network"):
        trial(tmp_path / "b", start={n: v for n, v in net().state_dict().items() if "norm" not in n})


def test_folder_of_another_trial_is_refused(tmp_path: Path) -> None:
    arms = trial(tmp_path)
    next(iter(arms)).record(0.5)
    with pytest.raises(StudyError, match=r"clean-seed0.safetensors holds another mask"):
        trial(tmp_path, masks(1))
    with pytest.raises(StudyError, match=r"records.csv, line 2: this network started from other weights"):
        trial(tmp_path, start=net(9).state_dict())
    with pytest.raises(StudyError, match=r"line 2: dense x clean, seed 0 is no arm of this trial"):
        trial(tmp_path, seeds=[1])
    (tmp_path / "arms" / "records.csv").write_text("a,b\n1,2\n")
    with pytest.raises(StudyError, match=r"records.csv was not written by prunecheck.arms"):
        trial(tmp_path)


def test_build_that_gives_another_network_each_time_is_refused(tmp_path: Path) -> None:
    count = iter(range(10))
    arms = trial(tmp_path, build=lambda: net(next(count)), seeds=1)
    with pytest.raises(StudyError, match=r"seed 0: build\(\) gave two different networks"):
        next(iter(arms)).network()


@pytest.mark.parametrize(
    ("accuracy", "message"),
    [
        (91.2, r"accuracy 91.2 is no fraction in \[0, 1\]; divide percent by 100"),
        (-0.1, "accuracy -0.1 is no fraction"),
        (float("nan"), "accuracy nan is no fraction"),
    ],
)
def test_accuracies_that_are_no_fractions_are_refused(accuracy: float, message: str, tmp_path: Path) -> None:
    arm = next(iter(trial(tmp_path)))
    with pytest.raises(StudyError, match=message):
        arm.record(accuracy)


def test_records_are_refused_twice_and_without_the_size_of_the_test_set(tmp_path: Path) -> None:
    arm = next(iter(trial(tmp_path, n_test=None)))
    with pytest.raises(StudyError, match="give n_test to arms"):
        arm.record(0.5)
    arm.record(0.5, n_test=100)
    with pytest.raises(StudyError, match=r"dense.*is recorded already in .*records.csv"):
        arm.record(0.5, n_test=100)


def test_invalid_trials_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    for more, message in [
        ({"checks": ["random_labels"]}, "corrupts the batches"),
        ({"name": "dense"}, "is the unpruned network"),
        ({"name": "random_ticket"}, "is the control"),
        ({"seeds": 0}, "they have none"),
    ]:
        with pytest.raises(StudyError, match=message):
            trial(tmp_path, **more)
    assert not (tmp_path / "arms").exists()
