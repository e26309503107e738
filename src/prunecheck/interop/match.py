"""Which tensors of a checkpoint are the masks of which layer: by name, whatever is nested or wrapped around it.

A checkpoint may hold weights, masks beside them, averaged weights and the state of an optimiser, each under names of
its own. All entries of one *place* (``state_dict.module.``) belong together. Masks that are given as such come before
zeros in weights; where two places contradict each other, the source is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from prunecheck.errors import StudyError
from prunecheck.interop.files import Nested
from prunecheck.pruning.layers import Kind, Layer
from prunecheck.pruning.pruned import Found, mask_in_state, weight_of
from prunecheck.text import listing, nearest, printable, unknown

WRAPPERS = frozenset({"_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"})
"""What ``torch.compile`` and FSDP put into names, anywhere; ``module`` of data parallelism stands at the front."""
_OPEN_LTH = re.compile(r"((?:.*\.)?)mask_(\w*___\w+)")
_ORIGINAL = re.compile(r"(.*?)parametrizations\.(\w+)\.original")


@dataclass
class Place:
    """The entries of one place, by the names they have there."""

    name: str
    tensors: dict[str, Tensor] = field(default_factory=dict)
    keys: set[str] = field(default_factory=set)
    """the same entries by the names they have in the source"""

    def masks(self, weights: Iterable[str]) -> dict[str, Found]:
        found = {weight: mask_in_state(self.tensors, weight) for weight in weights}
        return {weight: one for weight, one in found.items() if one is not None}

    def holds_masks(self, found: Mapping[str, Found]) -> bool:
        """Whether masks are given as such: mask buffers, bools, or numbers that are all 0 or 1, and both, or are called
        masks. Buffers count if there is one; a tensor of zeros alone may be anything."""
        if any(not one.is_plain for one in found.values()):
            return True
        values = [self.tensors[weight] for weight in found]
        if not values or not all(bool(((value == 0) | (value == 1)).all()) for value in values):
            return False
        mixed = any(bool((value == 0).any()) for value in values) and any(bool((value == 1).any()) for value in values)
        return mixed or "mask" in self.name.lower()


def plain_name(name: str) -> str:
    """A parameter name without what wrappers add to it."""
    parts = [part for part in name.split(".") if part not in WRAPPERS]
    while len(parts) > 2 and parts[0] == "module":
        parts.pop(0)
    return ".".join(parts)


def masks_of_layers(where: str, nested: Nested, layers: tuple[Layer, ...]) -> dict[str, Found]:
    """The mask of every layer, in the order of the layers. Raises StudyError where one is missing, fits no weight, or
    where the source holds several that differ."""
    by_name, tensors = {plain_name(layer.name): layer for layer in layers}, _joined(nested)
    places, rest = _places(tensors, by_name)
    _refuse_unknown(where, tensors, rest, places, layers)
    place, found = _choose(where, places, by_name)
    hints = [key.removeprefix(place) for key in rest if tensors[key].dim() > 1]
    return {layer.name: _fitting(where, name, layer, found.get(name), hints) for name, layer in by_name.items()}


def kinds_with_masks(nested: Nested, layers: tuple[Layer, ...]) -> set[Kind]:
    """The kinds of those *layers* that the tensors hold a mask of, or more zeros than can be there by chance."""
    by_name = {plain_name(layer.name): layer for layer in layers}
    places, _ = _places(_joined(nested), by_name)
    return {
        by_name[name].kind
        for place in places.values()
        for name, one in place.masks(by_name).items()
        if one.is_pruned or place.holds_masks({name: one}) or bool((place.tensors[name] == 1).all())
    }


def masks_by_layer(where: str, found: Mapping[str, Found], layers: tuple[Layer, ...]) -> dict[str, Found]:
    """The same for masks that were found by plain name. Raises StudyError."""
    names = {plain_name(layer.name): layer for layer in layers}
    for name in found:
        if name not in names:
            raise StudyError(f"{where}: {unknown('prunable layer of the model', name, names)}")
    return {layer.name: _fitting(where, name, layer, found.get(name), ()) for name, layer in names.items()}


def masks_by_name(where: str, nested: Nested) -> dict[str, Found]:
    """The masks in tensors whose model is not known: of its weights of two or more dimensions. Raises StudyError."""
    places: dict[str, Place] = {}
    for names, tensor in nested.items():
        by_layer = len(names) > 1 and "." not in names[-1]  # {"conv1": {"weight": mask, "bias": mask}}
        depth = len(names) - (2 if by_layer else 1)
        name = "".join(f"{part}." for part in names[:depth])
        places.setdefault(name, Place(name)).tensors[_usual(".".join(names[depth:]))] = tensor
    kept = {}
    for place in places.values():
        every_one_a_mask = all(tensor.dtype == torch.bool for tensor in place.tensors.values())
        found = place.masks(dict.fromkeys(weight_of(key) for key in place.tensors))
        kept[place.name] = {
            name: one
            for name, one in found.items()
            if every_one_a_mask or (name.rpartition(".")[2] == "weight" and one.mask.dim() > 1)
        }
    chosen = {name: place for name, place in places.items() if kept[name]}
    if not chosen:
        raise StudyError(f"{where}: there is no weight of two or more dimensions, and no mask of one.")
    explicit = [name for name, place in chosen.items() if place.holds_masks(kept[name])]
    return kept[_only(where, {name: kept[name] for name in explicit or chosen})]


def state_of(where: str, nested: Nested, layers: tuple[Layer, ...]) -> dict[str, Tensor]:
    """The state dict that holds the weights of all layers, by the names of the model. Raises StudyError."""
    by_name, tensors = {plain_name(layer.name): layer for layer in layers}, _joined(nested)
    places, _ = _places(tensors, by_name)
    weights = [place for place in places.values() if not place.holds_masks(place.masks(by_name))]
    weights = weights or list(places.values()) or [Place("")]
    weights.sort(key=lambda place: -len(place.masks(by_name)))
    if len(weights) > 1 and len(weights[1].masks(by_name)) == len(by_name):
        names = listing([repr(printable(place.name.rstrip("."))) for place in weights[:2]])
        raise StudyError(f"{where}: {names} both hold weights for every layer. Give one state dict.")
    prefix = weights[0].name
    state = {plain_name(key): tensor for key, tensor in tensors.items()}
    state = {key.removeprefix(prefix): tensor for key, tensor in state.items() if key.startswith(prefix)}
    for name, layer in by_name.items():
        if name not in state or tuple(state[name].shape) != layer.shape:
            raise StudyError(f"{where} hold no {printable(layer.name)} of shape {layer.shape}.")
    return {by_name[key].name if key in by_name else key: tensor for key, tensor in state.items()}


def _joined(nested: Nested) -> dict[str, Tensor]:
    return {".".join(names): tensor for names, tensor in nested.items()}


def _places(tensors: Mapping[str, Tensor], layers: Mapping[str, Layer]) -> tuple[dict[str, Place], list[str]]:
    """The entries that speak of a layer's weight, by place, and the names of the other entries."""
    places: dict[str, Place] = {}
    rest = []
    for key, tensor in tensors.items():
        usual = _usual(plain_name(key))
        match = _match(_weight(usual), layers)
        if match is None:
            usual, match = _by_module(usual, tensor, layers)
        if match is None:
            rest.append(key)
            continue
        prefix = _weight(usual)[: -len(match)]
        place = places.setdefault(prefix, Place(prefix))
        place.tensors[usual[len(prefix) :]] = tensor
        place.keys.add(key)
    return places, rest


def _usual(key: str) -> str:
    """``mask_fc___weight``, as open_lth writes it, is ``fc.weight_mask``."""
    match = _OPEN_LTH.fullmatch(key)
    return f"{match[1]}{match[2].replace('___', '.')}_mask" if match else key


def _weight(key: str) -> str:
    """The weight that an entry speaks of; ``weight_orig`` and what parametrisations keep are the weight itself."""
    match = _ORIGINAL.fullmatch(key)
    return match[1] + match[2] if match else weight_of(key).removesuffix("_orig")


def _match(name: str, layers: Mapping[str, Layer]) -> str | None:
    """The longest layer name that *name* is or ends with."""
    parts = name.split(".")
    return next((tail for i in range(len(parts)) if (tail := ".".join(parts[i:])) in layers), None)


def _by_module(key: str, tensor: Tensor, layers: Mapping[str, Layer]) -> tuple[str, str | None]:
    """Masks are also called by their module (``conv1``, ``conv1.mask``); then their shape has to be the weight's."""
    name = key.removesuffix(".mask")
    for weight in (f"{name}.weight", name):
        match = _match(weight, layers)
        if match is not None and tuple(tensor.shape) == layers[match].shape:
            return f"{weight}_mask" if name != key else weight, match
    return key, None


def _choose(where: str, places: Mapping[str, Place], layers: Mapping[str, Layer]) -> tuple[str, dict[str, Found]]:
    """The place to read and its masks: masks given as such, else the weights of all layers, else the most of them."""
    found = {name: place.masks(layers) for name, place in places.items()}
    explicit = [name for name, place in places.items() if place.holds_masks(found[name])]
    full = [name for name in places if len(found[name]) == len(layers)]
    if explicit or full:
        chosen = _only(where, {name: found[name] for name in explicit or full})
        return chosen, found[chosen]
    best = max(places, key=lambda name: len(found[name]), default=None)
    return ("", {}) if best is None else (best, found[best])


def _only(where: str, found: Mapping[str, Mapping[str, Found]]) -> str:
    """The first of several places if all of them say the same. Raises StudyError otherwise."""
    first, *others = found
    for other in others:
        one, two = found[first], found[other]
        if one.keys() != two.keys() or any(not torch.equal(one[name].mask, two[name].mask) for name in one):
            names = listing([repr(printable(name.rstrip(".") or "the top level")) for name in (first, other)])
            raise StudyError(f"{where}: {names} hold different masks. Save the one you mean alone.")
    return first


def _refuse_unknown(
    where: str,
    tensors: Mapping[str, Tensor],
    rest: Iterable[str],
    places: Mapping[str, Place],
    layers: tuple[Layer, ...],
) -> None:
    """Raises StudyError for masks that belong to no layer: the model or a name is another than was meant."""
    shapes, every_one_a_mask = {layer.shape for layer in layers}, all(t.dtype == torch.bool for t in tensors.values())
    given = [name for name in places if name]
    for key in rest:
        tensor = tensors[key]
        is_buffer = weight_of(key) != key and f"{weight_of(key)}_orig" in tensors and tensor.dim() > 1
        is_called_mask = "mask" in key.lower() and tuple(tensor.shape) in shapes
        is_beside = tensor.dtype == torch.bool and tensor.dim() > 1 and key.startswith(tuple(given) or ("\0",))
        if every_one_a_mask or is_buffer or is_called_mask or is_beside:
            names = [layer.name for layer in layers]
            raise StudyError(f"{where}: {unknown('prunable layer of the model', weight_of(key), names)}")


def _fitting(where: str, name: str, layer: Layer, found: Found | None, hints: Iterable[str]) -> Found:
    """The mask, if there is one and it fits; else the nearest of the names that fit no layer is offered."""
    if found is None:
        guess = nearest(name, hints)
        hint = f" Is it {printable(guess)!r}?" if guess else " Give one of all True where a layer is not pruned."
        raise StudyError(f"{where}: there is no mask for {printable(layer.name)}.{hint}")
    if tuple(found.mask.shape) != layer.shape:
        raise StudyError(
            f"{where}: the mask of {printable(layer.name)} has shape {tuple(found.mask.shape)}; "
            f"the weight has {layer.shape}."
        )
    return found
