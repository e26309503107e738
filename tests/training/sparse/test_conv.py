"""The sparse convolution against float64, over kernels, strides, paddings, dilations and groups."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import conv2d

pytest.importorskip("numba")

from prunecheck.training.sparse import conv as conv_module
from prunecheck.training.sparse.conv import NONE, sparse_conv
from prunecheck.training.sparse.fold import Window
from prunecheck.training.sparse.maps import Map, Pool, Shape

CASES = [
    # images, in, out, groups, kernel, stride, padding, dilation, height, width, kept
    (4, 3, 5, 1, (3, 3), (1, 1), (1, 1), (1, 1), 6, 7, 0.5),
    (3, 4, 6, 2, (3, 3), (2, 2), (1, 1), (1, 1), 8, 7, 0.6),
    (2, 4, 4, 4, (5, 3), (1, 2), (2, 1), (1, 1), 9, 8, 1.0),
    (5, 6, 4, 1, (1, 1), (2, 2), (0, 0), (1, 1), 5, 6, 0.4),
    (2, 3, 4, 1, (1, 1), (1, 1), (1, 1), (1, 1), 4, 4, 0.7),
    (3, 2, 9, 1, (3, 3), (1, 1), (2, 2), (2, 2), 7, 7, 0.8),
    (2, 2, 3, 1, (3, 2), (3, 2), (0, 1), (2, 3), 11, 10, 0.9),
    (7, 3, 8, 1, (7, 7), (2, 2), (3, 3), (1, 1), 14, 15, 0.3),
    (2, 2, 3, 1, (2, 2), (3, 3), (0, 0), (1, 1), 8, 9, 0.7),
    (1, 20, 3, 1, (1, 1), (1, 1), (0, 0), (1, 1), 1, 1, 0.5),
    (80, 30, 2, 1, (3, 3), (1, 1), (1, 1), (1, 1), 2, 30, 0.07),
]


def random_case(
    case: tuple, seed: int
) -> tuple[Tensor, Tensor, Tensor, Tensor, Window, int]:  # x, weight, bias, mask, window, groups
    images, inputs, outputs, groups, kernel, stride, padding, dilation, height, width, kept = case
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(images, inputs, height, width, generator=draw)
    weight = torch.randn(outputs, inputs // groups, *kernel, generator=draw)
    mask = torch.rand(weight.shape, generator=draw) < kept
    bias = torch.randn(outputs, generator=draw)
    return x, weight * mask, bias, mask, Window(kernel, stride, padding, dilation), groups


def reference(
    x: Tensor, weight: Tensor, bias: Tensor, window: Window, groups: int, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Output and gradients of input, weight and bias, when the output's gradient is the cosine of its float64 value."""
    inputs = [t.detach().to(dtype).clone().requires_grad_() for t in (x, weight, bias)]
    out = conv2d(*inputs, window.stride, window.padding, window.dilation, groups)
    exact = conv2d(
        *(t.detach().double() for t in (x, weight, bias)), window.stride, window.padding, window.dilation, groups
    )
    return out.detach(), *torch.autograd.grad(out, inputs, exact.cos().to(dtype))


def error(found: Tensor, exact: Tensor) -> float:
    return float((found.double() - exact).norm() / exact.norm().clamp_min(1e-30))


@pytest.mark.parametrize("extra", [0, 1])
@pytest.mark.parametrize("case", CASES)
def test_error_against_float64_is_that_of_torch(case: tuple, extra: int, monkeypatch: pytest.MonkeyPatch) -> None:
    if extra:  # as layers whose input leaves the cache are computed: in several passes
        monkeypatch.setattr(conv_module, "CACHE", 100)
        monkeypatch.setattr(conv_module, "LEAST", 1)
    x, weight, bias, mask, window, groups = random_case(case, 0)
    exact = reference(x, weight, bias, window, groups, torch.float64)
    usual = reference(x, weight, bias, window, groups, torch.float32)
    pool = Pool()
    conv = sparse_conv(mask.numpy(), window, groups)
    value = weight[mask].numpy()
    packed = pool.pack(x, window.border + extra)
    height, width = window.output(*x.shape[2:])
    y = pool.take(Shape(len(weight), height, width, len(x), window.gradient_border + extra))
    read = conv.forward(packed, y, value, bias.numpy(), pool)
    assert y.nchw().shape == exact[0].shape
    g = pool.pack(exact[0].cos().float(), window.gradient_border + extra)
    slope, base = conv.slopes(g, read, True)
    into = pool.take(packed.shape)
    into.nchw().fill_(7)
    conv.backward(g, into, value, False, pool)
    full = torch.zeros(weight.shape, dtype=torch.float64)
    full[mask] = torch.from_numpy(slope)
    ours = (y.nchw(), into.nchw(), full, torch.from_numpy(base))
    wanted = (exact[0], exact[1], exact[2] * mask, exact[3])
    for mine, theirs, right in zip(ours, usual, wanted, strict=True):
        theirs = theirs * mask if theirs.shape == mask.shape and right is wanted[2] else theirs
        assert error(mine, right) <= max(1.5 * error(theirs, right), 3e-7)
    conv.backward(g, into, value, True, pool)
    assert error(into.nchw(), 2 * exact[1]) < 1e-6
    assert _border_is_zero(y)
    assert _border_is_zero(into)


def _border_is_zero(map_: Map) -> bool:
    return int(torch.count_nonzero(map_.flat)) == int(torch.count_nonzero(map_.nchw()))


def test_without_survivors_the_bias_is_left() -> None:
    pool = Pool()
    conv = sparse_conv(np.zeros((2, 3, 3, 3), bool), Window((3, 3), padding=(1, 1)), 1)
    x, y = pool.pack(torch.ones(4, 3, 5, 5), 1), pool.take(Shape(2, 5, 5, 4, 1))
    conv.forward(x, y, NONE, np.array([1.5, -2], np.float32), pool)
    assert y.nchw()[:, 0].eq(1.5).all()
    assert y.nchw()[:, 1].eq(-2).all()
    conv.forward(x, y, NONE, NONE, pool)
    assert y.nchw().eq(0).all()


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_non_finite_values_are_propagated(bad: float) -> None:
    pool = Pool()
    mask = np.ones((1, 1, 3, 3), bool)
    conv = sparse_conv(mask, Window((3, 3), padding=(1, 1)), 1)
    image = torch.zeros(2, 1, 5, 5)
    image[0, 0, 2, 2] = bad
    x, y = pool.pack(image, 1), pool.take(Shape(1, 5, 5, 2, 1))
    read = conv.forward(x, y, np.ones(9, np.float32), NONE, pool)
    assert not torch.isfinite(y.nchw()[0]).any(dim=0)[1:4, 1:4].any()
    assert torch.isfinite(y.nchw()[1]).all()
    slope, _ = conv.slopes(y, read, False)
    assert not np.isfinite(slope).any()
