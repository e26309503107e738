"""What the framework proves of every plug-in, built-in or not, so that no author has to.

Same names and shapes in and out, finite scores, counts within range, the model and the data untouched, a corruption
that changed something and kept what it promised.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from prunecheck.core.errors import PluginError
from prunecheck.core.layers import Layer
from prunecheck.core.masks import check_finite
from prunecheck.core.seeds import torch_stream
from prunecheck.plugins.contract import Allocation, Check, Method


def ask(plugin: Method | Allocation | Check, offer: Mapping[str, Any], options: Mapping[str, Any]) -> Any:
    """Call a plug-in with exactly what it asks for, the global generators held still, and verify that it left what it
    was given as it was. Only a pruner that hands back the very model it was given may have changed that: its answer
    is the change."""
    given = {name: offer[name] for name in plugin.asks}
    before = {name: _snapshot(value) for name, value in given.items()}
    with torch_stream(0, "plugin", plugin.name):
        answer = plugin.function(**given, **options)
    for name, value in given.items():
        if isinstance(value, nn.Module) and answer is value:
            continue
        if not _same(before[name], _snapshot(value, copy=False)):
            raise PluginError(f"{plugin.name} changed the {name} it was given; work on a copy.")
    return answer


def _snapshot(value: Any, copy: bool = True) -> list[Tensor]:
    """The tensors a plug-in could have changed."""
    if isinstance(value, nn.Module):
        tensors = list(value.state_dict().values())
    elif isinstance(value, Mapping):
        tensors = [v for v in value.values() if isinstance(v, Tensor)]
    elif isinstance(value, Tensor):
        tensors = [value]
    elif isinstance(value, (tuple, list)):
        return [t for item in value for t in _snapshot(item, copy)]
    else:
        return []
    return [t.detach().clone() if copy else t.detach() for t in tensors]


def _same(a: list[Tensor], b: list[Tensor]) -> bool:
    return len(a) == len(b) and all(
        x.shape == y.shape and torch.equal(_bits(x), _bits(y)) for x, y in zip(a, b, strict=True)
    )


def _bits(tensor: Tensor) -> Tensor:
    """Values compared as bits, so that NaN equals itself."""
    return tensor.contiguous().reshape(-1).view(torch.uint8) if tensor.numel() else tensor.reshape(-1)


def same_layout(who: str, what: str, answer: Any, layers: tuple[Layer, ...]) -> dict[str, Tensor]:
    """*answer* as ``{layer: tensor}`` in layer order. Raises PluginError for missing, extra or misshapen entries."""
    if not isinstance(answer, Mapping):
        raise PluginError(f"{who} returned {type(answer).__name__}; it must return {{layer name: {what}}}.")
    names = [layer.name for layer in layers]
    missing = [name for name in names if name not in answer]
    extra = [name for name in answer if name not in names]
    if missing or extra:
        word, which = ("nothing for", missing) if missing else ("unknown layers", extra)
        raise PluginError(f"{who} returned {word} {', '.join(map(str, which[:3]))}.")
    for layer in layers:
        value = answer[layer.name]
        if not isinstance(value, Tensor) or tuple(value.shape) != layer.shape:
            shape = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise PluginError(f"{who}: {what} of {layer.name} has shape {shape}; it must be {layer.shape}.")
    return {name: answer[name] for name in names}


def sound_scores(who: str, answer: Any, layers: tuple[Layer, ...]) -> dict[str, Tensor]:
    """Scores of every layer, detached, floating point and finite."""
    scores = same_layout(who, "scores", answer, layers)
    wide = {n: s.detach() if s.is_floating_point() else s.detach().float() for n, s in scores.items()}
    check_finite(wide, who)
    return wide


def sound_masks(
    who: str, answer: Any, layers: tuple[Layer, ...], counts: Mapping[str, int] | None
) -> dict[str, Tensor]:
    """Masks of every layer, boolean, with the counts they were asked for."""
    masks = same_layout(who, "masks", answer, layers)
    for name, mask in masks.items():
        if mask.dtype != torch.bool:
            raise PluginError(f"{who}: the mask of {name} is {mask.dtype}; a mask is bool, True where kept.")
        if counts is not None and int(mask.sum()) != counts[name]:
            raise PluginError(f"{who}: the mask of {name} keeps {int(mask.sum())} weights, not {counts[name]}.")
    return masks


def proved(check: Check, before: Any, after: Any, masks: Mapping[str, Tensor] | None = None) -> None:
    """The corruption changed something (unless it is a control) and kept what it promised.

    ``before``/``after``: the joint's value, ``{layer: tensor}`` or ``(inputs, targets)``. ``masks``: the ticket's mask
    for ``preserves="values"``. Raises PluginError.
    """
    who = f"check {check.name!r}"
    parts = list(before) if isinstance(before, Mapping) else range(len(before))
    changed = any(before[i].shape != after[i].shape or not torch.equal(before[i], after[i]) for i in parts)
    if check.changes and not changed:
        raise PluginError(f"{who} left every tensor at {check.at!r} unchanged: it tests nothing here.")
    if not check.changes and changed:
        raise PluginError(f"{who} is declared to change nothing, and changed something.")
    if check.preserves == "counts":
        for name in before:
            if int(before[name].sum()) != int(after[name].sum()):
                raise PluginError(f"{who} promised to keep the counts and changed that of {name}.")
    if check.preserves == "magnitudes":
        for name in before:
            if not torch.equal(before[name].abs(), after[name].abs()):
                raise PluginError(f"{who} promised to keep the magnitudes and changed one of {name}.")
    if check.preserves == "values" and masks is not None:
        for name, mask in masks.items():
            kept = [torch.sort(tree[name][mask]).values for tree in (before, after)]
            if not torch.equal(kept[0], kept[1]) or bool(after[name][~mask].any()):
                raise PluginError(f"{who} promised to keep the kept values of {name} and did not.")
