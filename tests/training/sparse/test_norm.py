"""Statistics of channels that torch computes too, far from zero and with values that are not finite."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

pytest.importorskip("numba")

from prunecheck.training.sparse import norm
from prunecheck.training.sparse.conv import NONE
from prunecheck.training.sparse.maps import Map, Pool


def normalised(image: Tensor, relu: bool = False) -> tuple[Map, np.ndarray, np.ndarray]:
    pool = Pool()
    z = pool.pack(image, 1)
    s = z.shape
    y, mean, variance = pool.take(s), np.empty(s.channels), np.empty(s.channels)
    gain, offset = np.ones(s.channels), np.zeros(s.channels)
    norm.normalise(
        z.array, y.array, NONE, s.at, s.plane, s.row, s.height, s.length, gain, offset, 1e-5, mean, variance, True, relu
    )
    return y, mean, variance


@pytest.mark.parametrize("shift", [0.0, 1000.0])
def test_moments(shift: float) -> None:
    image = torch.randn(6, 3, 5, 4, generator=torch.Generator().manual_seed(0)) + shift
    y, mean, variance = normalised(image)
    exact = image.double()
    np.testing.assert_allclose(mean, exact.mean((0, 2, 3)), rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(variance, exact.var((0, 2, 3), unbiased=False), rtol=1e-5)
    torch.testing.assert_close(y.nchw(), nn.BatchNorm2d(3)(image).detach(), rtol=1e-3, atol=1e-3)


def test_a_constant_channel_has_no_variance() -> None:
    _, mean, variance = normalised(torch.full((4, 2, 3, 3), 7.25))
    assert mean.tolist() == [7.25, 7.25]
    assert variance.tolist() == [0, 0]


def test_relu_lets_nan_through() -> None:
    image = torch.randn(4, 2, 3, 3, generator=torch.Generator().manual_seed(0))
    image[1, 0, 2, 2] = torch.nan
    y, _, _ = normalised(image, relu=True)
    assert y.nchw()[:, 0].isnan().all()
    assert (y.nchw()[:, 1] >= 0).all()


@pytest.mark.parametrize("added", [False, True])
@pytest.mark.parametrize("count", [3, 40])
def test_gradient_in_bfloat16_is_that_of_the_same_numbers_in_float32(added: bool, count: int) -> None:
    draw = torch.Generator().manual_seed(0)
    g, z, y = (torch.randn(2, 3, 2, count, generator=draw).bfloat16() for _ in range(3))
    z[0, 0, 0, 0] = torch.nan
    found = {}
    for dtype in (torch.float32, torch.bfloat16):
        pool = Pool(dtype)
        slope, source, output = (pool.pack(tensor.to(dtype), 0) for tensor in (g, z, y))
        s, none = source.shape, source.array[:0]
        gain, shift, mean, inverse = (np.full(s.channels, value) for value in (0.7, 0.1, 0.02, 1.1))
        sums = np.empty(s.channels), np.empty(s.channels)
        norm.normalise_back(
            slope.array, source.array, output.array if added else none, none, s.at, s.plane, s.row, s.height, s.length,
            gain, shift, mean, inverse, *sums, True, True,
        )  # fmt: skip
        found[dtype] = *(torch.from_numpy(part) for part in sums), slope.nchw().bfloat16()
    # float32 sums in an order of their own; gradients rounded to bfloat16 on both sides
    for ours, wide in zip(found[torch.bfloat16], found[torch.float32], strict=True):
        torch.testing.assert_close(ours, wide, rtol=1e-2, atol=1e-2, equal_nan=True)
    assert found[torch.float32][0][1:].isfinite().all()
    assert found[torch.float32][0][1:].abs().max() > 0.1
