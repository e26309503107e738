"""What the run will do to a network from outside the package is tried before the first training."""

from __future__ import annotations

from pathlib import Path

import pytest

from prunecheck.errors import PluginError
from prunecheck.runner.preflight import preflight

from . import tiny

NETS = """
    import torch
    from torch import nn

    def plain(num_classes):
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, num_classes))

    def parallel(num_classes):
        return nn.DataParallel(plain(num_classes))

    def compiled(num_classes):
        return torch.compile(plain(num_classes))

    class Once(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        @torch.autograd.function.once_differentiable
        def backward(ctx, gradient):
            return gradient * 2

    class Single(nn.Module):
        def __init__(self, num_classes):
            super().__init__()
            self.net = plain(num_classes)

        def forward(self, x):
            return Once.apply(self.net(x))

    def single(num_classes):
        return Single(num_classes)

    class Narrow(nn.Module):
        def __init__(self, num_classes):
            super().__init__()
            self.net = plain(num_classes)

        def forward(self, x):
            return self.net(x.float())

    def narrow(num_classes):
        return Narrow(num_classes)
"""


def trial(folder: Path, factory: str, method: str) -> int:
    nets = tiny.plugin(folder, NETS, f"nets_of_{factory}.py")
    return preflight(tiny.study(model=f"{nets}:{factory}", methods=[method]))


@pytest.mark.parametrize("factory", ["plain", "parallel", "compiled"])
@pytest.mark.parametrize("method", ["snip", "grasp", "synflow"])
def test_scoring_works_on_networks_with_and_without_wrappers(factory: str, method: str, tmp_path: Path) -> None:
    assert trial(tmp_path, factory, method) > 0


def test_network_without_second_derivatives_is_refused_for_grasp_alone(tmp_path: Path) -> None:
    assert trial(tmp_path, "single", "snip") > 0
    with pytest.raises(
        PluginError,
        match=r"methods\[0\] = 'grasp': grasp: the network computes something that cannot be differentiated",
    ):
        trial(tmp_path, "single", "grasp")


def test_network_that_takes_no_double_precision_is_refused_for_synflow_alone(tmp_path: Path) -> None:
    assert trial(tmp_path, "narrow", "snip") > 0
    with pytest.raises(PluginError, match=r"methods\[0\] = 'synflow' failed when it was tried"):
        trial(tmp_path, "narrow", "synflow")


BACKWARD = """
    import torch

    from prunecheck import method

    @method
    def slip(weights, loss):
        slopes = torch.autograd.grad(loss(weights), list(weights.values()))
        return {name: (weight * slope).abs() for (name, weight), slope in zip(weights.items(), slopes)}
"""


def test_method_that_differentiates_in_the_wrong_way_is_told_the_right_one(tmp_path: Path) -> None:
    plugins = [tiny.plugin(tmp_path, BACKWARD)]
    with pytest.raises(
        PluginError, match=r"line \d+\): RuntimeError.*record no gradients: use torch.func.grad\(loss\)"
    ):
        preflight(tiny.study(methods=["slip"], plugins=plugins))


LEARNING = """
    from prunecheck import method

    @method
    def learner(weights, train_loader, mask_epochs=50):
        print("epochs", mask_epochs, "batches", len(train_loader))
        for _ in range({epochs}):
            for inputs, targets in train_loader:
                pass
        return {{name: weight.abs() for name, weight in weights.items()}}
"""


def learner(folder: Path, epochs: str) -> int:
    plugins = [tiny.plugin(folder, LEARNING.format(epochs=epochs))]
    return preflight(tiny.study(methods=["learner"], plugins=plugins))


def test_method_that_learns_is_tried_with_two_epochs_of_two_batches(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert learner(tmp_path, "mask_epochs") > 0
    printed = capfd.readouterr()
    assert "epochs 2 batches 2" in printed.out + printed.err


def test_method_that_exceeds_its_budget_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    says = r"methods\[0\] = 'learner': method 'learner' asks for more than 2 epochs of the training set"
    with pytest.raises(PluginError, match=says):
        learner(tmp_path, "50")
