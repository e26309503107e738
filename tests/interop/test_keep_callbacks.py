"""The adapters against stand-ins that call the documented hooks in the documented order; the frameworks themselves are
not installed here. Lightning 2: https://lightning.ai/docs/pytorch/stable/common/hooks.html, Hugging Face:
https://huggingface.co/docs/transformers/trainer_callbacks."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim.optimizer import _global_optimizer_post_hooks

from prunecheck.errors import StudyError
from prunecheck.interop import hugging_face_callback, lightning_callback
from tests.interop.nets import Net, masks, net
from tests.interop.test_keep import pruned_are_zero, step


class Quiet:
    """A callback base: every hook may be called and does nothing."""

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("on_"):
            raise AttributeError(name)
        return lambda *_args, **_kwargs: None


def offer(monkeypatch: pytest.MonkeyPatch, package: str, name: str) -> None:
    module = ModuleType(package)
    setattr(module, name, Quiet)
    monkeypatch.setitem(sys.modules, package, module)


class Module(nn.Module):
    """As a LightningModule holds the network it trains."""

    def __init__(self) -> None:
        super().__init__()
        self.net = net()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x)


def fit(callback: Any, module: nn.Module, steps: int = 3, fails: bool = False) -> list[bool]:
    """The order of Lightning's fit loop. What it returns: were pruned weights 0 after each step?"""
    seen: list[bool] = []
    callback.on_fit_start(None, module)
    optimiser = torch.optim.AdamW(module.parameters(), lr=0.01, weight_decay=0.1)
    step(module, optimiser)  # what came before training, from a checkpoint
    callback.on_train_start(None, module)
    try:
        for index in range(steps):
            callback.on_train_batch_start(None, module, None, index)
            step(module, optimiser)
            seen.append(pruned_are_zero(network(module)))
            callback.on_train_batch_end(None, module, None, None, index)
            if fails:
                raise RuntimeError
    except RuntimeError as error:
        callback.on_exception(None, module, error)
        return seen
    callback.on_train_end(None, module)
    callback.on_fit_end(None, module)
    return seen


def network(module: nn.Module) -> Net:
    return module.net if isinstance(module, Module) else module  # type: ignore[return-value]


@pytest.mark.parametrize("package", ["lightning.pytorch", "pytorch_lightning"])
@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize("fails", [True, False])
def test_lightning(package: str, inside: bool, fails: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, package, "Callback")
    hooks = len(_global_optimizer_post_hooks)
    module = Module() if inside else net()
    callback = lightning_callback(masks(), "net" if inside else "")
    assert isinstance(callback, Quiet)
    assert fit(callback, module, fails=fails) == [True] * (1 if fails else 3)
    assert len(_global_optimizer_post_hooks) == hooks
    assert pruned_are_zero(network(module))


def test_lightning_strategies_with_an_optimiser_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, "lightning.pytorch", "Callback")
    module, callback = net(), lightning_callback(masks())
    callback.on_train_batch_end(None, module, None, None, 0)  # out of order: nothing is held yet
    callback.on_train_start(None, module)
    with torch.no_grad():
        module.fc.weight += 1  # no torch.optim optimiser took this step
    callback.on_train_batch_end(None, module, None, None, 0)
    assert pruned_are_zero(module)
    callback.on_train_end(None, module)


def test_hugging_face(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, "transformers", "TrainerCallback")
    model, seen, hooks = net(), [], len(_global_optimizer_post_hooks)
    events = {"model": model, "optimizer": None, "lr_scheduler": None, "train_dataloader": None}
    callback = hugging_face_callback(masks())
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.1)
    callback.on_train_begin(None, None, None, **events)
    callback.on_epoch_begin(None, None, None, **events)
    for _ in range(3):
        callback.on_step_begin(None, None, None, **events)
        callback.on_pre_optimizer_step(None, None, None, **events)
        step(model, optimiser)
        seen.append(pruned_are_zero(model))
        callback.on_optimizer_step(None, None, None, **events)
        callback.on_step_end(None, None, None, **events)
    with torch.no_grad():
        model.fc.weight += 1
    callback.on_step_end(None, None, None, **events)
    assert pruned_are_zero(model)
    callback.on_epoch_end(None, None, None, **events)
    callback.on_train_end(None, None, None, **events)
    assert seen == [True] * 3
    assert len(_global_optimizer_post_hooks) == hooks


@pytest.mark.parametrize(
    ("make", "package"), [(lightning_callback, "lightning"), (hugging_face_callback, "transformers")]
)
def test_without_the_framework(make: Any, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("lightning", "lightning.pytorch", "pytorch_lightning", "transformers"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(StudyError, match=f"{package} is not installed"):
        make(masks())
