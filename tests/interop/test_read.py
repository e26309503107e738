from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import prunecheck
from prunecheck.errors import StudyError
from prunecheck.interop import read_masks
from tests.interop.nets import FORMS, masks, net, same, with_prune_buffers, with_zeros


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("with_model", [True, False])
@pytest.mark.parametrize("as_state", [True, False])
def test_every_form_gives_the_masks_back(form: str, with_model: bool, as_state: bool) -> None:
    wanted, pruned = masks(), FORMS[form](masks())
    source = pruned.state_dict() if as_state else pruned
    assert same(read_masks(source, net() if with_model else None), wanted)


def test_bool_tensors_and_arrays_through_the_public_function() -> None:
    wanted = masks()
    assert same(prunecheck.read_masks(wanted), wanted)
    assert same(read_masks({name: mask.numpy() for name, mask in wanted.items()}, net()), wanted)
    assert same(read_masks({name: mask.float() for name, mask in wanted.items()}, net()), wanted)


def test_the_masks_come_in_the_models_order() -> None:
    wanted = masks()
    assert list(read_masks(dict(sorted(wanted.items())), net())) == list(wanted)


@pytest.mark.parametrize(
    "prefix",
    ["module.", "_orig_mod.", "model.", "net.", "_orig_mod.module.", "module._orig_mod.", "module.model.", "backbone."],
)
def test_prefixes_of_wrappers_are_ignored(prefix: str) -> None:
    wrapped = {prefix + name: tensor for name, tensor in with_zeros(masks()).state_dict().items()}
    assert same(read_masks(wrapped, net()), masks())


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    wrong = {name.replace("second", "secnd"): mask for name, mask in masks().items()}
    with pytest.raises(StudyError, match=r"'secnd.weight' is not a prunable layer.*'second.weight'"):
        read_masks(wrong, net())


def test_a_prune_buffer_of_something_that_is_no_layer_is_refused_but_that_of_a_bias_is_not() -> None:
    state = with_prune_buffers(masks()).state_dict()
    state |= {"fc.bias_orig": torch.ones(5), "fc.bias_mask": torch.ones(5)}
    assert same(read_masks(state, net()), masks())
    state |= {"fd.weight_orig": torch.ones(5, 8), "fd.weight_mask": torch.ones(5, 8)}
    with pytest.raises(StudyError, match=r"'fd.weight' is not a prunable layer.*'fc.weight'"):
        read_masks(state, net())


def test_a_missing_layer_and_another_shape_are_refused() -> None:
    some = masks()
    del some["fc.weight"]
    with pytest.raises(StudyError, match=r"no mask for fc.weight\. Give one of all True"):
        read_masks(some, net())
    state = with_zeros(masks()).state_dict()
    state["fcc.weight"] = state.pop("fc.weight")
    with pytest.raises(StudyError, match=r"no mask for fc.weight\. Is it 'fcc.weight'"):
        read_masks(state, net())
    with pytest.raises(StudyError, match=r"fc.weight has shape \(8, 5\); the weight has \(5, 8\)"):
        read_masks({**masks(), "fc.weight": torch.ones(8, 5, dtype=torch.bool)}, net())


def test_a_module_of_another_architecture_is_refused() -> None:
    with pytest.raises(StudyError, match=r"Linear: 'weight' is not a prunable layer of the model"):
        read_masks(with_linear_zero(), net())


def with_linear_zero() -> nn.Linear:
    layer = nn.Linear(4, 4)
    with torch.no_grad():
        layer.weight[0] = 0
    return layer


def test_without_a_model_biases_and_normalisation_are_no_layers() -> None:
    found = read_masks(with_zeros(masks()).state_dict())
    assert list(found) == ["first.weight", "second.weight", "fc.weight"]
    with pytest.raises(StudyError, match="no weight of two or more dimensions"):
        read_masks({"bias": torch.zeros(3)})


def test_a_network_in_which_nothing_is_pruned_is_refused() -> None:
    with pytest.raises(StudyError, match="no weight is exactly 0"):
        read_masks(net())
    everything = {name: torch.ones_like(mask) for name, mask in masks().items()}
    assert same(read_masks(everything), everything)  # a mask may say so on purpose


def test_a_few_zeros_are_taken_with_a_warning() -> None:
    big = {"a.weight": torch.ones(50, 50), "b.weight": torch.zeros(50, 50)}
    big["a.weight"][0, :2] = 0
    with pytest.warns(UserWarning, match="a.weight has 2 zeros among 2500 weights, which may be 0 by chance"):
        found = read_masks(big)
    assert int(found["a.weight"].sum()) == 2498


@pytest.mark.parametrize(("source", "message"), [({}, "there is none"), ({"a": [1, 0]}, "a is list, not a tensor")])
def test_other_values_than_masks_are_refused(source: dict[str, object], message: str) -> None:
    with pytest.raises(StudyError, match=message):
        read_masks(source)  # type: ignore[arg-type]


def test_half_precision_and_integers(tmp_path: Path) -> None:
    for dtype in (torch.bfloat16, torch.float16, torch.float64, torch.int8):
        weights = {name: mask.to(dtype) for name, mask in masks().items()}
        save_file(weights, tmp_path / "w.safetensors")
        assert same(read_masks(tmp_path / "w.safetensors", net()), masks())
