from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch.nn.utils import prune

from prunecheck.errors import StudyError
from prunecheck.interop import read_masks, save_masks, to_torch_prune
from tests.interop.nets import batch, masks, net, same, with_zeros


def test_saved_masks_are_bool_and_equal_masks_give_equal_bytes(tmp_path: Path) -> None:
    path = save_masks(masks(), tmp_path / "t.safetensors")
    assert same({name: load_file(path)[name] for name in masks()}, masks())
    again = save_masks(dict(reversed(masks().items())), str(tmp_path / "again.safetensors"))
    assert path.read_bytes() == again.read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["again.safetensors", "t.safetensors"]


def test_invalid_masks_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"t.pt: masks are written to \.safetensors files"):
        save_masks(masks(), tmp_path / "t.pt")
    with pytest.raises(StudyError, match=r"first.weight is torch.float32; a mask is bool"):
        save_masks({"first.weight": torch.ones(2)}, tmp_path / "t.safetensors")
    assert not list(tmp_path.iterdir())


def test_the_form_of_torch_prune_computes_the_same_and_comes_back() -> None:
    pruned = to_torch_prune(net(), masks())
    inputs, _ = batch()
    assert torch.equal(pruned(inputs), with_zeros(masks())(inputs))
    assert prune.is_pruned(pruned)
    assert same(read_masks(pruned, net()), masks())
    for name in masks():
        prune.remove(pruned.get_submodule(name.removesuffix(".weight")), "weight")
    assert pruned.state_dict().keys() == net().state_dict().keys()
    assert same(read_masks(pruned, net()), masks())


def test_masks_of_another_network_are_refused() -> None:
    model = net()
    with pytest.raises(StudyError, match=r"no mask for second.weight"):
        to_torch_prune(model, {"first.weight": masks()["first.weight"]})
    assert not prune.is_pruned(model)
