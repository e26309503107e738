"""What is trained densely, and what reason is given."""

from __future__ import annotations

import builtins
import subprocess
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from prunecheck.training import sparse
from prunecheck.training.sparse import Dense

pytest.importorskip("numba")


class Plain(nn.Module):
    """One wide convolution and a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 32, 3, padding=1)
        self.norm = nn.BatchNorm2d(32)
        self.fc = nn.Linear(32, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.head(self.norm(self.conv(x))).mean((2, 3)))

    def head(self, x: Tensor) -> Tensor:
        return F.relu(x)


class Branches(Plain):
    def head(self, x: Tensor) -> Tensor:
        return F.relu(x) if x.sum() > 0 else x


class OtherInTraining(Plain):
    def head(self, x: Tensor) -> Tensor:
        return F.dropout(x, 0.5, self.training)


class Overwrites(Plain):
    def head(self, x: Tensor) -> Tensor:
        return F.relu(x, inplace=True) + x


class Splits(Plain):
    def head(self, x: Tensor) -> Tensor:
        first, second = torch.chunk(x, 2, 1)
        return torch.cat([first, second], 1)


class TwoOutputs(Plain):
    def forward(self, x: Tensor) -> Any:
        return super().forward(x), x


def shared(net: Plain) -> None:
    net.again = nn.Linear(32, 5)
    net.again.weight = net.fc.weight


def hooked(net: Plain) -> None:
    net.conv.register_forward_hook(lambda *_: None)


def parametrised(net: Plain) -> None:
    torch.nn.utils.parametrizations.weight_norm(net.fc)


def doubled(net: Plain) -> None:
    net.double()


def untouched(_: Plain) -> None:
    pass


def masks_of(net: Plain, kept: float = 0.05) -> dict[str, Tensor]:
    draw = torch.Generator().manual_seed(0)
    return {"conv.weight": torch.rand(net.conv.weight.shape, generator=draw) < kept}


@pytest.mark.parametrize(
    ("make", "spoil", "reason"),
    [
        (Branches, untouched, "cannot be traced"),
        (OtherInTraining, untouched, "another path in training"),
        (Overwrites, untouched, "overwrites"),
        (Splits, untouched, "several tensors"),
        (TwoOutputs, untouched, "something else than one tensor"),
        (Plain, shared, "again.weight and fc.weight are one parameter"),
        (Plain, hooked, "conv has hooks"),
        (Plain, parametrised, "fc is parametrised"),
        (Plain, doubled, "float64 on cpu"),
    ],
)
def test_reason_for_the_dense_path_is_recorded(make: type[Plain], spoil: Callable[[Plain], None], reason: str) -> None:
    net = make()
    spoil(net)
    dtype = net.conv.weight.dtype
    with pytest.raises(Dense, match=reason) as caught:
        sparse.sparse_network(net, masks_of(net), torch.zeros(2, 3, 6, 6, dtype=dtype))
    assert not caught.value.reason.endswith(".")


def test_a_network_that_mixes_images_is_evaluated_whole() -> None:
    class Centred(Plain):
        def head(self, x: Tensor) -> Tensor:
            return x - x.mean(0, keepdim=True)

    torch.manual_seed(0)
    net = Centred().eval()
    masks = masks_of(net)
    with torch.no_grad():
        net.conv.weight.mul_(masks["conv.weight"])
    images = torch.randn(300, 3, 4, 4)
    with torch.no_grad():
        torch.testing.assert_close(sparse.sparse_network(net, masks, images)(images), net(images), rtol=1e-4, atol=1e-5)


def test_a_layer_without_survivors_trains() -> None:
    net = Plain()
    network = sparse.sparse_network(net, masks_of(net, 0.0), torch.zeros(2, 3, 6, 6)).train()
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1, fused=True)
    for _ in range(2):
        F.cross_entropy(network(torch.randn(4, 3, 6, 6)), torch.arange(4)).backward()
        optimiser.step()
    assert next(p.numel() for p in network.parameters()) == 0
    assert network.state_dict()["conv.weight"].eq(0).all()


def test_frozen_parameters_stay() -> None:
    net = Plain()
    net.norm.weight.requires_grad_(False)
    network = sparse.sparse_network(net, masks_of(net), torch.zeros(2, 3, 6, 6)).train()
    F.cross_entropy(network(torch.randn(4, 3, 6, 6)), torch.arange(4)).backward()
    assert [p.grad is None for p in network.parameters()] == [
        name == "norm.weight" for name, _ in net.named_parameters()
    ]


def test_differentiating_twice_is_refused() -> None:
    net = Plain()
    loss = sparse.sparse_network(net, masks_of(net), torch.zeros(2, 3, 6, 6)).train()(torch.randn(4, 3, 6, 6)).sum()
    loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="differentiated before"):
        loss.backward()


def test_without_numba(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(_name: str) -> ModuleSpec | None:
        return None

    monkeypatch.setattr(sparse, "find_spec", none)
    assert "numba is not installed" in (sparse.unavailable() or "")
    net = Plain()
    with pytest.raises(Dense, match="numba is not installed"):
        sparse.sparse_network(net, masks_of(net), torch.zeros(2, 3, 6, 6))


def test_a_numba_that_does_not_load(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = builtins.__import__

    def refusing(name: str, *rest: Any) -> Any:
        if name == "prunecheck.training.sparse.network":
            raise ImportError("numba needs another numpy")
        return usual(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refusing)
    net = Plain()
    with pytest.raises(Dense, match=r"cannot be loaded .numba needs another numpy"):
        sparse.sparse_network(net, masks_of(net), torch.zeros(2, 3, 6, 6))


def test_sparse_package_imports_neither_torch_nor_numba() -> None:
    program = (
        "import sys, prunecheck.training.sparse as s; s.unavailable(); print(s.version(), 'torch' in sys.modules, "
        "'numba' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert said[0].startswith(f"{sparse.BACKEND_VERSION}/numba-")
    assert said[1:] == ["False", "False"]
