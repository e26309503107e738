"""Masks of two checkpoints compared without loading the models."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from prunecheck.errors import StudyError
from prunecheck.interop import compare_masks

Weights = dict[str, Tensor]


def weights(seed: int, share: float = 0.5) -> Weights:
    """Two pruned matrices, a convolution, and what is never pruned."""
    draw = torch.Generator().manual_seed(seed)
    shapes = {"up.weight": (64, 48), "down.weight": (48, 64), "conv.weight": (8, 4, 3, 3)}
    found = {
        name: (torch.rand(shape, generator=draw) + 0.1) * (torch.rand(shape, generator=draw) < share)
        for name, shape in shapes.items()
    }
    return {**found, "embed.weight": torch.ones(20, 8), "norm.weight": torch.zeros(8)}


def saved(path: Path, tensors: Weights) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
    return path


def sharded(folder: Path, tensors: Weights, **entries: str) -> Path:
    names = sorted(tensors)
    files = {"model-00001-of-00002.safetensors": names[:2], "model-00002-of-00002.safetensors": names[2:]}
    for file, some in files.items():
        saved(folder / file, {name: tensors[name] for name in some})
    index = {name: file for file, some in files.items() for name in some} | entries
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    return folder


def test_independent_masks_overlap_as_by_chance(tmp_path: Path) -> None:
    a, b = weights(0), weights(1)
    found = compare_masks(saved(tmp_path / "a.safetensors", a), saved(tmp_path / "b.safetensors", b))
    assert found.dense == ("embed.weight",)
    assert [layer.name for layer in found.layers] == ["conv.weight", "down.weight", "up.weight"]
    for layer in found.layers:
        first, second = a[layer.name] != 0, b[layer.name] != 0
        assert layer.kept == (int(first.sum()), int(second.sum()))
        assert layer.iou == int((first & second).sum()) / int((first | second).sum())
        assert abs(layer.z) < 4
        assert layer.iou == pytest.approx(layer.chance_iou, abs=0.1)
    assert found.iou == pytest.approx(found.chance_iou, abs=0.03)
    assert not any("dentical" in alarm for alarm in found.alarms)


def test_identical_masks_raise_an_alarm_and_equal_weights_are_named(tmp_path: Path) -> None:
    a = weights(0)
    updated = {name: tensor * 2 for name, tensor in a.items()}
    path = saved(tmp_path / "a.safetensors", a)
    same = compare_masks(path, sharded(tmp_path / "b", a))
    assert same.alarms == ("The two masks are identical, and so are all weights: these are the same networks.",)
    assert all(layer.z > 5 for layer in same.layers)
    other = compare_masks(path, saved(tmp_path / "c.safetensors", updated))
    assert other.alarms == ("The two masks are identical.",)
    assert {layer.same_values for layer in other.layers} == {0.0}


def test_dead_rows_columns_empty_layers_and_unequal_sparsity_are_found(tmp_path: Path) -> None:
    a, b = weights(0), weights(1)
    a["up.weight"][:3] = 0
    a["up.weight"][:, 5] = 0
    a["conv.weight"][:, 1] = 0
    b["down.weight"][:] = 0
    b["up.weight"][0, 0] = float("nan")
    found = compare_masks(saved(tmp_path / "a.safetensors", a), saved(tmp_path / "b.safetensors", b))
    layers = {layer.name: layer for layer in found.layers}
    assert (layers["up.weight"].dead_rows[0], layers["up.weight"].dead_columns[0]) == (3, 1)
    assert layers["conv.weight"].dead_columns[0] == 1
    text = " ".join(found.alarms)
    assert "Nothing is kept in down.weight." in text
    assert "Unequal sparsity" in text
    assert "Values that are not finite in up.weight." in text
    json.dumps(found.to_dict(), allow_nan=False)


def test_patterns_are_recognised_and_random_masks_have_none(tmp_path: Path) -> None:
    a, b = weights(0), weights(1)
    position = torch.arange(48)
    a["up.weight"] = torch.ones(64, 48) * (position % 4 < 2)
    a["up.weight"][::2] = (torch.ones(32, 48) * (position % 4 > 0.5) * (position % 4 != 2)).clone()
    a["down.weight"] = torch.ones(48, 64)
    a["down.weight"][::3] = 0
    b["up.weight"] = torch.ones(64, 48)
    b["up.weight"][:, ::3] = 0
    found = compare_masks(saved(tmp_path / "a.safetensors", a), saved(tmp_path / "b.safetensors", b))
    patterns = {layer.name: layer.pattern for layer in found.layers}
    assert patterns == {"up.weight": ("2:4", "columns"), "down.weight": ("rows", None), "conv.weight": (None, None)}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float8_e4m3fn, torch.uint8, torch.bool])
def test_every_type_of_number_and_files_of_masks_are_read(tmp_path: Path, dtype: torch.dtype) -> None:
    a = {name: (tensor != 0).to(dtype) for name, tensor in weights(0).items()}
    found = compare_masks(saved(tmp_path / "a.safetensors", a), saved(tmp_path / "b.safetensors", weights(0)))
    assert "The two masks are identical." in found.alarms
    assert found.sparsity[0] == found.sparsity[1]


def test_names_and_shapes_that_differ_are_errors(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.safetensors", weights(0))
    renamed = {name.replace("up", "ups"): tensor for name, tensor in weights(1).items()}
    with pytest.raises(StudyError, match=r"has no up.weight, which is in .*Did you mean 'ups.weight'"):
        compare_masks(path, saved(tmp_path / "b.safetensors", renamed))
    turned = {**weights(1), "up.weight": weights(1)["up.weight"].T}
    with pytest.raises(StudyError, match=r"up.weight is 64 x 48 in .* and 48 x 64 in"):
        compare_masks(path, saved(tmp_path / "c.safetensors", turned))
    dense = {name: torch.ones_like(tensor) for name, tensor in weights(0).items()}
    with pytest.raises(StudyError, match="nothing was pruned"):
        compare_masks(saved(tmp_path / "d.safetensors", dense), saved(tmp_path / "e.safetensors", dense))


def test_damaged_and_hostile_checkpoints_are_errors(tmp_path: Path) -> None:
    good = saved(tmp_path / "a.safetensors", weights(0))
    (tmp_path / "torn.safetensors").write_bytes(good.read_bytes()[:200])
    (tmp_path / "empty").mkdir()
    for path, message in (
        (tmp_path / "torn.safetensors", "is not a safetensors file"),
        (tmp_path / "missing", "does not exist"),
        (tmp_path / "empty", "holds neither"),
        (sharded(tmp_path / "up", weights(0), **{"up.weight": "../a.safetensors"}), "no file beside it"),
        (sharded(tmp_path / "gone", weights(0), **{"up.weight": "b.safetensors"}), "which is not there"),
        (sharded(tmp_path / "more", weights(0), extra="model-00001-of-00002.safetensors"), "lacks extra"),
    ):
        with pytest.raises(StudyError, match=message):
            compare_masks(good, path)
    (tmp_path / "empty" / "model.safetensors.index.json").write_text("[" * 100_000)
    with pytest.raises(StudyError, match="is not JSON"):
        compare_masks(good, tmp_path / "empty")
