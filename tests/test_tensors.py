from __future__ import annotations

import pytest
import torch

from prunecheck.tensors import clone, fingerprint, from_bytes, to_bytes

DTYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.uint8, torch.bool]


def sample() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    tree = {f"{str(d)[6:]}.weight": torch.randint(0, 2, (3, 4), generator=generator).to(d) for d in DTYPES}
    return {
        **tree,
        "scalar": torch.tensor(2.5),
        "empty": torch.zeros(0, 3),
        "nan": torch.tensor([float("nan"), -0.0]),
    }


def test_tensor_bytes_round_trip() -> None:
    back = from_bytes(to_bytes(sample()))
    assert fingerprint(back) == fingerprint(sample())
    assert {n: (t.dtype, t.shape) for n, t in back.items()} == {n: (t.dtype, t.shape) for n, t in sample().items()}


def test_equal_tensors_give_equal_bytes_in_any_order_and_layout() -> None:
    tree = sample()
    turned = {name: tree[name] for name in reversed(tree)}
    strided = {
        n: t.t().contiguous().t() if t.dim() == 2 else t.clone().requires_grad_(t.dtype == torch.float32)
        for n, t in tree.items()
    }
    for other in (turned, strided):
        assert to_bytes(other) == to_bytes(tree)
        assert fingerprint(other) == fingerprint(tree)


def test_tensors_that_share_memory_are_written_out_each() -> None:
    weight = torch.arange(6.0).reshape(2, 3)
    shared = {"encoder": weight, "decoder": weight, "row": weight[1]}
    apart = {name: tensor.clone() for name, tensor in shared.items()}
    assert to_bytes(shared) == to_bytes(apart)


@pytest.mark.parametrize(
    "other",
    [
        {"b": torch.tensor([1.0, 0.0])},
        {"a": torch.tensor([1.0, 0.0], dtype=torch.float64)},
        {"a": torch.tensor([1, 0], dtype=torch.int32)},
        {"a": torch.tensor([[1.0, 0.0]])},
        {"a": torch.tensor([1.0, -0.0])},
        {"a": torch.tensor([1.0, 1e-45])},
        {"a": torch.tensor([0.0, 1.0])},
        {"a": torch.tensor([1.0, 0.0]), "b": torch.zeros(0)},
        {},
    ],
)
def test_fingerprint_reacts_to_name_dtype_shape_and_value(other: dict[str, torch.Tensor]) -> None:
    assert fingerprint(other) != fingerprint({"a": torch.tensor([1.0, 0.0])})


def test_fingerprint_is_pinned() -> None:
    """Stored results are compared by it."""
    assert fingerprint({"a": torch.tensor([1.0, 0.0])}).startswith("146a8a2749024665")


def test_clone_shares_nothing() -> None:
    tree = {"a": torch.ones(2, requires_grad=True)}
    copy = clone(tree)
    copy["a"].zero_()
    assert tree["a"].tolist() == [1, 1]
    assert not copy["a"].requires_grad
