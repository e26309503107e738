"""Checkpoints with weights, masks and more in them, nested and wrapped in any order: read right, or refused."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import prunecheck
from prunecheck.errors import PrunecheckError, StudyError
from prunecheck.interop import read_masks
from tests.interop.nets import FORMS, Masks, masks, net, same

State = dict[str, Any]


def other_zeros() -> State:
    """A state dict with zeros elsewhere than where the masks have them, as after the previous round of pruning."""
    state = dict(net().state_dict())
    for name, mask in masks(seed=7, share=0.5).items():
        state[name] = state[name] * mask
    return state


def own_zeros() -> State:
    return dict(FORMS["zeros"](masks()).state_dict())


def floats() -> Masks:
    return {name: mask.float() for name, mask in masks().items()}


def prefixed(prefix: str, state: State) -> State:
    return {prefix + name: value for name, value in state.items()}


def by_layer(state: State) -> State:
    return {name.removesuffix(".weight"): {"weight": value, "bias": None} for name, value in state.items()}


CHECKPOINTS: dict[str, Callable[[], State]] = {
    "masks beside weights": lambda: {"state_dict": other_zeros(), "masks": masks(), "epoch": 0},
    "masks before weights": lambda: {"masks": masks(), "state_dict": other_zeros()},
    "float masks beside weights": lambda: {"model": other_zeros(), "mask": floats()},
    "masks deep inside": lambda: {"a": {"b": {"masks_dict": floats()}}, "model": {"state_dict": other_zeros()}},
    "masks under a name of their own": lambda: {"model": other_zeros(), "supports": floats()},
    "masks by module": lambda: {
        "masks": {name.removesuffix(".weight"): mask for name, mask in masks().items()},
        "state_dict": other_zeros(),
    },
    "wrapped masks, other weights": lambda: {
        "state_dict": prefixed("module.", other_zeros()),
        "masks": prefixed("module._orig_mod.", masks()),
    },
    "masks by layer": lambda: by_layer(floats()),
    "masks by layer beside weights": lambda: {"state_dict": other_zeros(), "masks": by_layer(floats())},
    "mask buffers beside weights": lambda: other_zeros() | {f"{n}_mask": mask for n, mask in floats().items()},
    "masks as open_lth writes them": lambda: (
        prefixed("model.", other_zeros()) | {f"mask_{n.replace('.', '___')}": mask for n, mask in floats().items()}
    ),
    "weights under any name": lambda: {"net": own_zeros(), "acc": 91.2},
    "weights twice nested": lambda: {"model": {"state_dict": own_zeros()}},
    "averaged weights": lambda: {"state_dict": own_zeros(), "state_dict_ema": own_zeros()},
    "weights beside an optimiser": lambda: {
        "state_dict": prefixed("module.", own_zeros()),
        "best_acc1": torch.tensor(91.2),
        "optimizer": torch.optim.SGD(net().parameters(), 0.1, momentum=0.9).state_dict(),
    },
    "FSDP": lambda: prefixed("_fsdp_wrapped_module.", own_zeros()),
    "sparse weights": lambda: {n: w.to_sparse() if w.dim() > 1 else w for n, w in own_zeros().items()},
    "sparse rows": lambda: {n: w.to_sparse_csr() if w.dim() == 2 else w for n, w in own_zeros().items()},
    "small integers": lambda: {name: mask.to(torch.uint8) for name, mask in masks().items()},
    "a bias without a mask": lambda: {**floats(), "second.bias": None},
}


@pytest.mark.filterwarnings("ignore:Sparse")
@pytest.mark.parametrize("name", CHECKPOINTS)
@pytest.mark.parametrize("suffix", ["pth", "pth.tar", "ckpt"])
def test_masks_of_a_checkpoint_are_found(name: str, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{suffix}"
    torch.save(CHECKPOINTS[name](), path)
    assert same(read_masks(path, net()), masks())


@pytest.mark.filterwarnings("ignore:Sparse")
@pytest.mark.parametrize("name", [name for name in CHECKPOINTS if name != "a bias without a mask"])
def test_masks_of_a_loaded_checkpoint_are_found(name: str) -> None:
    assert same(read_masks(CHECKPOINTS[name](), net()), masks())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda: {"a": masks(), "b": masks(seed=3)}, "'a' and 'b' hold different masks"),
        (lambda: {"model": own_zeros(), "ema": other_zeros()}, "'model' and 'ema' hold different masks"),
        (
            lambda: {"state_dict": other_zeros(), "masks": {"fc.weight": masks()["fc.weight"]}},
            "no mask for first.weight",
        ),
        (
            lambda: {"state_dict": other_zeros(), "masks": list(masks().values())},
            "'masks.0' is not a prunable layer of the model",
        ),
        (
            lambda: {"state_dict": other_zeros(), "masks": masks() | {"fd.weight": masks()["fc.weight"]}},
            "'masks.fd.weight' is not a prunable layer of the model.*'fc.weight'",
        ),
        (lambda: {"epoch": 3, "names": ["a"]}, "holds no tensor; it holds epoch and names"),
        (lambda: {name: torch.zeros_like(mask) for name, mask in masks().items()}, "every weight is pruned"),
        (lambda: {"first.weight": torch.zeros(8, 3, 3, 3, device="meta")}, "has a shape and no values"),
    ],
)
def test_ambiguous_checkpoint_is_refused_with_what_was_found(
    content: Callable[[], State], message: str, tmp_path: Path
) -> None:
    torch.save(content(), tmp_path / "a.pth")
    with pytest.raises(StudyError, match=message):
        read_masks(tmp_path / "a.pth", net())


def test_hint_for_a_missing_layer_is_no_normalisation_weight() -> None:
    state = own_zeros()
    del state["fc.weight"]
    with pytest.raises(StudyError, match=r"no mask for fc\.weight\. Give one of all True"):
        read_masks(state, net())


def test_zero_momentum_is_not_taken_for_masks() -> None:
    zeros = {name: torch.zeros_like(mask, dtype=torch.float32) for name, mask in masks().items()}
    with pytest.raises(StudyError, match="different masks"):
        read_masks({"model": own_zeros(), "momentum": zeros}, net())
    assert same(read_masks({"model": own_zeros(), "masks": floats(), "momentum": zeros}, net()), masks())


def test_masks_fit_a_wrapped_model() -> None:
    for model, prefix in ((nn.DataParallel(net()), "module."), (torch.compile(net()), "_orig_mod.")):
        assert isinstance(model, nn.Module)
        assert same(read_masks(masks(), model), prefixed(prefix, masks()))
        assert same(read_masks(prefixed("module.", masks()), model), prefixed(prefix, masks()))
    pruned = nn.DataParallel(FORMS["zeros"](masks()))
    assert same(read_masks(pruned, net()), masks())


def test_file_that_unpacks_to_far_more_than_its_size_is_refused(tmp_path: Path) -> None:
    torch.save({"a.weight": torch.zeros(1, 1).expand(2**20, 2**16)}, tmp_path / "a.pt")
    with pytest.raises(StudyError, match=r"a\.weight claims to hold 1048576 x 65536 values"):
        read_masks(tmp_path / "a.pt")
    one_value = torch.sparse_coo_tensor(torch.zeros(2, 1), torch.ones(1), (2**20, 2**16), check_invariants=True)
    torch.save({"a.weight": one_value}, tmp_path / "b.pt")
    with pytest.raises(StudyError, match="claims to hold"):
        read_masks(tmp_path / "b.pt")


def test_compression_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", **{"a.weight": np.zeros((1, 2**30 + 8), dtype=np.uint8)})
    with pytest.raises(StudyError, match=r"a\.npz would unpack to 1\.07 GB, over 100 times its size"):
        read_masks(tmp_path / "a.npz")


def test_sparse_tensor_with_indices_beyond_its_end_is_refused(tmp_path: Path) -> None:
    beyond = torch.sparse_coo_tensor(
        torch.tensor([[9**9], [9**9]]), torch.ones(1), (5, 8), check_invariants=False, is_coalesced=True
    )
    torch.save({"fc.weight": beyond}, tmp_path / "a.pt")
    with pytest.raises(StudyError, match=r"a\.pt"):
        read_masks(tmp_path / "a.pt")


@pytest.mark.parametrize("dtype", [">f4", ">f8", ">i4", "<u2", "u1", "bool", "f2"])
def test_arrays_of_every_numeric_type_and_byte_order(dtype: str) -> None:
    arrays = {name: mask.numpy().astype(dtype) for name, mask in masks().items()}
    assert same(read_masks(arrays, net()), masks())


def test_arrays_of_objects_and_lists_are_refused() -> None:
    with pytest.raises(StudyError, match=r"first\.weight is an array of object, not of numbers"):
        read_masks({name: np.array(mask.tolist(), dtype=object) for name, mask in masks().items()}, net())
    with pytest.raises(StudyError, match="a list has no names"):
        read_masks(list(masks().values()), net())  # type: ignore[arg-type]


def test_lazy_module_is_refused() -> None:
    with pytest.raises(PrunecheckError, match="is lazy"):
        prunecheck.read_masks(nn.Sequential(nn.LazyLinear(4)))


def mutated(content: Any, rng: random.Random) -> Any:
    """A checkpoint with one thing changed: wrapped, renamed, dropped, retyped, nested deeper, or a stranger added."""
    content = dict(content) if isinstance(content, dict) else {"x": content}
    keys = list(content)
    key = rng.choice(keys)
    change = rng.randrange(9)
    if change == 0:
        return {rng.choice(["state_dict", "model", "net", "x.y", "", "masks"]): content}
    if change == 1:
        return {f"{rng.choice(['module.', '_orig_mod.', 'net.'])}{name}": value for name, value in content.items()}
    if change == 2:
        del content[key]
    elif change == 3:
        content[rng.choice(["epoch", "note", "masks", "first.weight"])] = rng.choice([3, "text", None, [], {}, 2.5])
    elif change == 4 and isinstance(content[key], Tensor):
        content[key] = content[key].to(rng.choice([torch.float16, torch.int32, torch.complex64, torch.bool]))
    elif change == 5 and isinstance(content[key], Tensor) and not content[key].is_sparse:
        content[key] = content[key].reshape(-1)
    elif change == 6 and isinstance(content[key], Tensor) and content[key].dim() > 0:
        content[key] = content[key].to_sparse()
    elif change == 7 and isinstance(content[key], dict):
        content[key] = mutated(content[key], rng) if content[key] else content[key]
    else:
        content[rng.choice(["ema", "masks", "optimizer", "0"])] = rng.choice([masks(), own_zeros(), [torch.ones(2)]])
    return content


@pytest.mark.filterwarnings("ignore:Sparse")
def test_mutated_checkpoints_are_read_right_or_refused_in_words(tmp_path: Path) -> None:
    """Only a whole mask is read, as it was put there, and never a mixture of two."""
    rng = random.Random(0)
    path, read, sentences = tmp_path / "a.pth", 0, list[str]()
    intended = [masks(), masks(seed=7, share=0.5)]
    for _ in range(300):
        content: Any = CHECKPOINTS[rng.choice([name for name in CHECKPOINTS if name != "sparse rows"])]()
        for _ in range(rng.randrange(1, 4)):
            content = mutated(content, rng)
            if not content:
                break
        torch.save(content, path)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)
                found = read_masks(path, net())
        except PrunecheckError as error:
            sentences.append(str(error))
        else:
            read += 1
            assert any(same(found, wanted) for wanted in intended)
    assert read > 80
    assert all(0 < len(sentence.splitlines()) <= 3 for sentence in sentences)
