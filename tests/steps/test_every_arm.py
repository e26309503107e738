"""Every registered method under every registered check, from pretraining to the trained ticket."""

from __future__ import annotations

import pytest
import torch

from prunecheck.pruning import CHECKS, METHODS
from prunecheck.pruning.counts import kept_total
from prunecheck.study import Arm

from .lab import Lab, lab

SPARSITY = 0.8
METHOD_NAMES = [name for name in METHODS.names() if name != "dense"]
CHECK_NAMES = CHECKS.names()
FEW = {"name": "digits", "train_size": 80, "test_size": 20}


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return lab(
        tmp_path_factory.mktemp("everything"),
        methods=[{"name": n, "options": {"mask_epochs": 2}} if METHODS.get(n).learns else n for n in METHOD_NAMES],
        checks=CHECK_NAMES,
        sparsities=[SPARSITY],
        data=FEW,
        training={"epochs": 2, "rewind_epoch": 1, "batch_size": 40},
    ).perform()


def has(room: Lab, method: str, check: str) -> bool:
    return any((arm.method, arm.check) == (method, check) for arm in room.plan.arms)


def arm_of(room: Lab, method: str, check: str) -> Arm:
    if not has(room, method, check):
        pytest.skip(f"{check} has nothing to touch in {method}")
    return room.arm(method, check)


@pytest.mark.parametrize("check", ["clean", *CHECK_NAMES])
@pytest.mark.parametrize("method", METHOD_NAMES)
def test_an_arm_keeps_its_counts_and_its_zeros(method: str, check: str, everything: Lab) -> None:
    arm = arm_of(everything, method, check)
    assert arm.mask is not None
    facts, masks = everything.facts(arm.mask), everything.tree(arm.mask, "masks")
    kept = sum(int(mask.sum()) for mask in masks.values())
    assert (facts["weights"], facts["kept"]) == (23824, kept)
    at_masks = check != "clean" and CHECKS.get(check).at == "masks"
    if not at_masks or CHECKS.get(check).preserves == "counts":
        assert kept == kept_total(23824, SPARSITY)
    if at_masks and CHECKS.get(check).preserves == "counts":
        clean = everything.tree(everything.arm(method).mask or "", "masks")
        assert all(int(clean[name].sum()) == int(mask.sum()) for name, mask in masks.items())
    final = everything.tree(arm.train)
    for name, mask in masks.items():
        assert mask.dtype == torch.bool
        assert bool((final[name][~mask] == 0).all()), name
    assert any(bool((final[name][mask] != 0).any()) for name, mask in masks.items())
    trained = everything.facts(arm.train)
    assert 0 <= trained["accuracy"] <= 1
    assert not trained["diverged"]


@pytest.mark.parametrize("method", METHOD_NAMES)
def test_identity_arm_is_bit_identical(method: str, everything: Lab) -> None:
    """It is trained again under a key of its own: equal bytes are a result, not a copy."""
    clean, twin = everything.arm(method), everything.arm(method, "identity")
    assert clean.train != twin.train
    assert everything.bytes(clean.train) == everything.bytes(twin.train)
    assert everything.facts(clean.train) == everything.facts(twin.train)
    assert everything.facts(twin.compare or "")["iou"] == 1


@pytest.mark.parametrize("check", CHECK_NAMES)
@pytest.mark.parametrize("method", METHOD_NAMES)
def test_the_ticket_itself_always_trains_on_clean_data(method: str, check: str, everything: Lab) -> None:
    """With the same mask and start, the training of a corrupted arm would be the very step of the clean arm."""
    clean = everything.step(everything.arm(method).train)
    step = everything.step(arm_of(everything, method, check).train)
    changed = {name for name in {**clean.params, **step.params} if clean.params.get(name) != step.params.get(name)}
    # a check of the weights hands its start weights on under another name, one of updates is part of the training
    assert changed <= ({"check"} if CHECKS.get(check).at == "updates" else {"file"})
    assert "corruption" not in step.params
    assert set(step.inputs) <= {"masks", "start"}


@pytest.mark.parametrize("check", [name for name in CHECK_NAMES if CHECKS.get(name).at == "batches"])
@pytest.mark.parametrize("method", [name for name in METHOD_NAMES if METHODS.get(name).when == "trained"])
def test_pretraining_sees_the_corrupted_data(method: str, check: str, everything: Lab) -> None:
    def pretraining(key: str) -> str:
        step = everything.step(key)
        if step.kind == "pretrain":
            return key
        sources = [everything.step(k) for role, k in step.inputs.items() if role != "counts"]
        return next(found for source in sources if (found := pretraining(source.key)))

    clean, corrupted = (pretraining(everything.arm(method, name).mask or "") for name in ("clean", check))
    assert everything.step(corrupted).params["corruption"]["name"] == check
    assert everything.bytes(clean) != everything.bytes(corrupted)


def test_arms_share_steps(everything: Lab) -> None:
    """One clean pretraining for all methods, one score for all that rank by magnitude at the same time."""
    assert len([step for step in everything.kinds("pretrain") if "corruption" not in step.params]) == 1
    assert everything.plan.trainings < everything.plan.trainings_requested
