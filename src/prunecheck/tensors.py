"""``dict[str, Tensor]``: conversion to bytes and back, fingerprints, copies."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import torch
from safetensors.torch import load, save
from torch import Tensor

Tree = dict[str, Tensor]


def to_bytes(tree: Mapping[str, Tensor]) -> bytes:
    """safetensors bytes. Without metadata, with which equal tensors would give different bytes.

    Tensors that share memory (tied weights) are written out each.
    """
    plain: Tree = {}
    seen: set[int] = set()
    for name, tensor in tree.items():
        flat = tensor.detach().cpu().contiguous()
        storage = flat.untyped_storage().data_ptr()
        plain[name] = flat.clone() if storage in seen else flat  # safetensors refuses shared memory
        seen.add(storage)
    return save(plain)


def from_bytes(data: bytes) -> Tree:
    """The tensors, in name order: their order in safetensors changes from call to call, and code that draws random
    numbers tensor by tensor would draw others every time."""
    return dict(sorted(load(data).items()))


def fingerprint(tree: Mapping[str, Tensor]) -> str:
    """sha256 over names, dtypes, shapes and values, in name order."""
    digest = hashlib.sha256()
    for name in sorted(tree):
        tensor = tree[name].detach().cpu().contiguous()
        digest.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)};".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data if tensor.numel() else b"")
    return digest.hexdigest()


def clone(tree: Mapping[str, Tensor]) -> Tree:
    return {name: tensor.detach().clone() for name, tensor in tree.items()}
