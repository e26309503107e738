"""What structured masks save, against layers that are written down, and torch's own table of shapes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from prunecheck.pruning.layers import Layer
from prunecheck.pruning.savings import SEMI_STRUCTURED, LayerSavings, in_words, savings_of

CONV = Layer("conv", "conv", (8, 4, 3, 3))


def linear(out: int = 32, inputs: int = 64) -> Layer:
    return Layer("fc", "linear", (out, inputs))


def two_of_four(layer: Layer) -> Tensor:
    """Of every group the two that follow a diagonal, so that no input is removed from all rows."""
    rows, inputs = torch.arange(layer.shape[0])[:, None], torch.arange(layer.shape[1])
    return ((inputs + rows) % 4 < 2).reshape(layer.shape)


def test_outputs_and_inputs_of_which_nothing_is_kept_make_a_layer_smaller() -> None:
    mask = torch.ones(CONV.shape, dtype=torch.bool)
    mask[:2] = False
    assert savings_of((CONV,), {"conv": mask})["conv"].removed == 1 - 6 / 8
    mask[:, 3] = False
    assert savings_of((CONV,), {"conv": mask})["conv"].removed == 1 - (6 * 3) / (8 * 4)
    mask[2:, :3, 0] = False
    assert savings_of((CONV,), {"conv": mask})["conv"].removed == 1 - (6 * 3) / (8 * 4)


def test_a_layer_that_keeps_nothing_or_all_saves_all_or_nothing() -> None:
    for kept in (True, False):
        found = savings_of((CONV,), {"conv": torch.full(CONV.shape, kept)})["conv"]
        assert found == LayerSavings(None, 0.0 if kept else 1.0, two_of_four=False)


@pytest.mark.parametrize(("shape", "taken"), [((32, 64), True), ((16, 16), True), ((24, 64), False), ((32, 40), False)])
def test_kernels_take_two_of_four_in_shapes_they_know(shape: tuple[int, int], taken: bool) -> None:
    layer = linear(*shape)
    assert savings_of((layer,), {"fc": two_of_four(layer)})["fc"].two_of_four is taken


def test_kernels_take_fewer_than_two_but_not_more_and_no_convolution() -> None:
    layer, conv = linear(), Layer("conv", "conv", (32, 64, 1, 1))
    fewer, more = two_of_four(layer), two_of_four(layer)
    fewer[0, :4] = False
    more[0, :4] = True
    assert savings_of((layer,), {"fc": fewer})["fc"].two_of_four
    assert not savings_of((layer,), {"fc": more})["fc"].two_of_four
    assert not savings_of((conv,), {"conv": two_of_four(conv)})["conv"].two_of_four


def test_shapes_are_those_of_torch() -> None:
    from torch.sparse.semi_structured import SparseSemiStructuredTensorCUSPARSELT as Torch

    for dtype in (torch.float16, torch.bfloat16):
        limits = Torch._DTYPE_SHAPE_CONSTRAINTS[dtype]
        assert (limits.sparse_min_rows, limits.sparse_min_cols) == SEMI_STRUCTURED


def test_words_give_shares_of_all_weights() -> None:
    layers = (CONV, linear())
    half = torch.ones(CONV.shape, dtype=torch.bool)
    half[::2] = False
    dense = {"conv": torch.ones(CONV.shape, dtype=torch.bool), "fc": torch.ones(32, 64, dtype=torch.bool)}
    assert in_words(layers, savings_of(layers, dense)).startswith("nothing without sparse kernels")
    words = in_words(layers, savings_of(layers, {"conv": half, "fc": two_of_four(layers[1])}))
    assert "6.2% of the weights go with whole outputs or inputs" in words
    assert "take 1 of 2 layers, 87.7% of the weights" in words
