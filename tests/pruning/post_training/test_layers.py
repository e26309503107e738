from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from prunecheck.pruning.post_training.blocks import Blocks, capture_inputs
from prunecheck.pruning.post_training.layers import Layer, layers_of, not_prunable
from prunecheck.pruning.post_training.walk import prune_blocks
from prunecheck.pruning.registry import POST_TRAINING_CHECKS, POST_TRAINING_METHODS
from tests.pruning.post_training.nets import draw, masks_of


class Conv1D(nn.Module):
    """As that of transformers, which stores [inputs, outputs] and is recognised by name and package."""

    def __init__(self, outputs: int, inputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(draw(inputs, outputs, seed=5))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight


Conv1D.__module__ = "transformers.pytorch_utils"


class Experts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.router, self.experts = nn.Linear(4, 3, bias=False), nn.Parameter(torch.ones(3, 4, 4))
        self.norm = nn.LayerNorm(4)


@pytest.mark.parametrize("check", [None, "rearranged_rows", "update_withheld"])
@pytest.mark.parametrize("method", ["magnitude", "wanda", "ria", "sparsegpt", "random"])
def test_a_transposed_layer_is_pruned_as_the_equal_linear_layer(method: str, check: str | None) -> None:
    if check == "update_withheld" and method != "sparsegpt":
        pytest.skip("has no update")
    conv, linear = Conv1D(12, 8), nn.Linear(8, 12, bias=False)
    linear.weight.data = conv.weight.detach().t().clone()
    masks, weights = [], []
    for layer in (conv, linear):
        blocks: Blocks = [("block", nn.Sequential(layer))]
        inputs = capture_inputs(blocks, [lambda i=i, b=blocks: b[0][1](draw(1, 30, 8, seed=i)) for i in range(3)])
        plugin = None if check is None else POST_TRAINING_CHECKS.get(check)
        found = masks_of(list(prune_blocks(blocks, inputs, POST_TRAINING_METHODS.get(method), 0.5, check=plugin)))
        masks.append(found["block.0.weight"])
        weights.append(layer.weight.detach())
    assert masks[0].shape == conv.weight.shape
    assert torch.equal(masks[0].t(), masks[1])
    torch.testing.assert_close(weights[0].t(), weights[1])
    assert not weights[0][~masks[0]].any()


def test_only_the_conv1d_of_transformers_is_taken_for_a_linear_layer() -> None:
    other = type("Conv1D", (nn.Conv1d,), {"__module__": "audio.layers"})(8, 8, 1)
    assert layers_of("block", nn.Sequential(Conv1D(4, 4), nn.Linear(4, 4), other)).keys() == {
        "block.0",
        "block.1",
    }
    assert Layer(Conv1D(12, 8)).shape == (12, 8)


def test_weights_outside_linear_layers_are_counted() -> None:
    rest = not_prunable([("layers.0", Experts()), ("layers.1", Experts())])
    assert (rest.tensors, rest.weights, rest.total) == (2, 96, 120)
    assert rest.largest == "layers.0.experts"
    assert not_prunable([("layers.0", nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4)))]).weights == 0
