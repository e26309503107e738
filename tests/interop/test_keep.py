"""Pruned weights are exactly 0 after every step of every optimiser, and nothing else about the network has changed."""

from __future__ import annotations

import copy
import gc
import io
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim.optimizer import _global_optimizer_post_hooks

import prunecheck
from prunecheck.errors import StudyError
from prunecheck.interop import apply, keep
from tests.interop.nets import Net, batch, masks, net, same, with_zeros

OPTIMISERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.01, nesterov=True),
    "adam": lambda p: torch.optim.Adam(p, lr=0.01, weight_decay=0.1),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.1),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.01, momentum=0.9),
    "fused": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, fused=True),
}


def step(model: nn.Module, optimiser: torch.optim.Optimizer) -> None:
    inputs, targets = batch()
    optimiser.zero_grad()
    nn.functional.cross_entropy(model(inputs), targets).backward()
    optimiser.step()


def pruned_are_zero(model: nn.Module) -> bool:
    return all(not bool(model.get_parameter(name)[~mask].any()) for name, mask in masks().items())


def kept_have_moved(model: nn.Module, start: nn.Module) -> bool:
    return all(bool((model.get_parameter(n) != start.get_parameter(n))[mask].any()) for n, mask in masks().items())


@pytest.mark.parametrize("name", OPTIMISERS)
@pytest.mark.parametrize("warm", [True, False], ids=["after training", "from the start"])
def test_pruned_weights_are_zero_after_every_step(name: str, warm: bool) -> None:
    model = net()
    optimiser = OPTIMISERS[name](model.parameters())
    if warm:  # the momentum of the dense training still pushes every weight
        step(model, optimiser)
    with keep(model, masks()):
        assert pruned_are_zero(model)
        start = copy.deepcopy(model)
        for _ in range(3):
            step(model, optimiser)
            assert pruned_are_zero(model)
    assert kept_have_moved(model, start)


def test_pruned_weights_change_without_keep() -> None:
    model = with_zeros(masks())
    step(model, OPTIMISERS["sgd"](model.parameters()))
    assert not pruned_are_zero(model)


def test_kept_weights_train_as_if_the_pruned_were_not_there() -> None:
    held, plain = net(), with_zeros(masks())
    optimisers = [OPTIMISERS["sgd"](model.parameters()) for model in (held, plain)]
    with prunecheck.keep(held, masks()):
        for _ in range(3):
            step(held, optimisers[0])
            inputs, targets = batch()
            optimisers[1].zero_grad()
            nn.functional.cross_entropy(plain(inputs), targets).backward()
            for name, mask in masks().items():
                weight = plain.get_parameter(name)
                assert weight.grad is not None
                weight.grad[~mask] = 0
            optimisers[1].step()
    for name, value in plain.state_dict().items():
        assert torch.equal(held.state_dict()[name], value), name


def test_gradients_of_pruned_weights_are_zero_even_where_they_overflow() -> None:
    model = net()
    with keep(model, masks()):
        model.fc.weight.register_hook(lambda grad: grad)  # hooks of others stay
        (model.fc.weight * float("inf")).sum().backward()
        gradient = model.fc.weight.grad
        assert gradient is not None
        assert not bool(gradient[~masks()["fc.weight"]].any())
        assert bool(gradient[masks()["fc.weight"]].isinf().all())  # a loss scaler must still see it


def test_several_models_and_optimisers_do_not_mix() -> None:
    held, free = net(), net()
    with keep(held, masks()):
        step(free, OPTIMISERS["sgd"](free.parameters()))
        assert not pruned_are_zero(free)
        step(held, OPTIMISERS["adam"](held.parameters()))
        assert pruned_are_zero(held)


def test_frozen_layers_and_replaced_weights() -> None:
    model = net()
    model.first.weight.requires_grad_(False)
    with keep(model, masks()):
        model.load_state_dict(net(seed=1).state_dict(), assign=True)
        step(model, OPTIMISERS["sgd"](model.parameters()))
        assert pruned_are_zero(model)


def test_remove_deletes_all_hooks() -> None:
    model, hooks = net(), len(_global_optimizer_post_hooks)
    held = keep(model, masks())
    assert len(_global_optimizer_post_hooks) == hooks + 1
    held.remove()
    held.remove()
    assert len(_global_optimizer_post_hooks) == hooks
    assert pruned_are_zero(model)
    step(model, OPTIMISERS["sgd"](model.parameters()))
    assert not pruned_are_zero(model)


def test_handle_does_not_keep_the_model_alive() -> None:
    model, hooks = net(), len(_global_optimizer_post_hooks)
    gone = weakref.ref(model)
    keep(model, masks())  # the handle is not needed for the masks to stay
    assert len(_global_optimizer_post_hooks) == hooks + 1
    del model
    gc.collect()
    assert gone() is None
    assert len(_global_optimizer_post_hooks) == hooks


def test_state_dict_copies_and_pickles_are_those_of_an_ordinary_network() -> None:
    model = net()
    with keep(model, masks()):
        assert model.state_dict().keys() == net().state_dict().keys()
        assert vars(model).keys() == vars(net()).keys()
        twin = copy.deepcopy(model)
        step(twin, OPTIMISERS["sgd"](twin.parameters()))
        assert not pruned_are_zero(twin)  # a copy is free
        assert pruned_are_zero(model)
        torch.save(model, io.BytesIO())


def test_apply_zeroes_once_in_place_also_what_is_not_finite() -> None:
    model = net()
    with torch.no_grad():
        model.first.weight.fill_(float("nan"))
    apply(model, masks())
    assert pruned_are_zero(model)
    assert bool(model.first.weight[masks()["first.weight"]].isnan().all())
    assert same(prunecheck.read_masks(model, Net()), masks())


def test_masks_that_do_not_fit_change_nothing() -> None:
    model, hooks = net(), len(_global_optimizer_post_hooks)
    with pytest.raises(StudyError, match=r"'frist.weight' is not a prunable layer"):
        keep(model, {name.replace("first", "frist"): mask for name, mask in masks().items()})
    assert len(_global_optimizer_post_hooks) == hooks
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), net().parameters(), strict=True))
