"""Audit of a mask before any training: connectivity, and comparison of its layer counts with rules that use no data."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from torch import Tensor, nn

from prunecheck import html
from prunecheck.errors import InfeasibleError, StudyError
from prunecheck.interop.read import Source, read_masks
from prunecheck.pruning.allocations.simple import erk
from prunecheck.pruning.allocations.smart_ratio import smart_ratio
from prunecheck.pruning.connectivity import connected_weights, dead_units
from prunecheck.pruning.layers import ALSO, Layer, family_of, layers_of, total
from prunecheck.pruning.left_dense import left_dense
from prunecheck.pruning.masks import counts_of
from prunecheck.pruning.patterns import pattern_in_words
from prunecheck.pruning.pruned import masks_in_module
from prunecheck.pruning.savings import in_words, savings_of
from prunecheck.pruning.structure import patterns_of
from prunecheck.text import percent, printable

HEADS = ("name", "weights", "kept", "share", "smart ratio", "erk")
UNKNOWN = "cannot be told"

NEARLY_NOTHING = 0.5
"""A rearrangement that moves less than this fraction of the kept weights is almost no corruption."""


@dataclass(frozen=True)
class AuditedLayer:
    """One layer's weights and how many of them stay: here, and by two rules that use no data (None: impossible)."""

    name: str
    weights: int
    kept: int
    smart_ratio: int | None
    erk: int | None
    pattern: str | None = None
    """its structured pattern, such as ``"2:4"`` or ``"filters"``; None where none is recognised"""
    removed: float = 0.0
    """the fraction of its weights in outputs or inputs of which nothing is kept: a smaller dense layer does without"""
    two_of_four: bool = False
    """whether torch's 2:4 kernels take it"""


@dataclass(frozen=True)
class Audit:
    """A mask before training. Shares are fractions in [0, 1]; None: cannot be told.

    ``effective_sparsity``: the fraction of weights that are not on a path of kept weights from input to output
    (Vysogorets & Kempe 2023); ``dead_units``: outputs with no such weight. ``smart_ratio_correlation`` and
    ``erk_correlation``: of the layers' kept shares with those of the rule. ``in_full_layers``: the share of kept
    weights in layers of which nothing is pruned. ``sparsity_of_all``: the fraction removed of all parameters, those
    without a mask included. ``stays``: the share of kept weights that a layerwise rearrangement
    leaves where they are, by chance (hypergeometric mean), and ``stays_sd`` its standard deviation, of single weights.
    ``pattern``: the structured patterns and how many layers have them, empty where there is none; ``saves``: what they
    save without sparse kernels. Both in words; each layer has its own.
    """

    sparsity: float
    weights: int
    kept: int
    layers: tuple[AuditedLayer, ...]
    empty_layers: tuple[str, ...]
    effective_sparsity: float | None
    dead_units: int | None
    smart_ratio_correlation: float | None
    erk_correlation: float | None
    in_full_layers: float
    stays: float
    stays_sd: float
    sparsity_of_all: float
    notes: tuple[str, ...]
    pattern: str = ""
    saves: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    def summary(self) -> list[tuple[str, str]]:
        """The facts on the whole mask as (term, value), the most important first, notes last."""
        return [
            ("sparsity", f"{_percent(self.sparsity)} ({self.kept} of {self.weights} weights kept)"),
            ("effective sparsity", _percent(self.effective_sparsity)),
            ("dead units", UNKNOWN if self.dead_units is None else str(self.dead_units)),
            ("empty layers", ", ".join(self.empty_layers) or "none"),
            ("like the smart ratio", f"{_number(self.smart_ratio_correlation)} (correlation of the layers' shares)"),
            ("like ERK", _number(self.erk_correlation)),
            ("in full layers", f"{_percent(self.in_full_layers)} of the kept weights"),
            ("pattern", self.pattern or "none recognised"),
            ("saves", self.saves),
            ("left in place", f"{_percent(self.stays)} of the kept weights by a layerwise rearrangement, by chance"),
            *(("note", text) for text in self.notes),
        ]

    def layer_table(self) -> list[tuple[object, ...]]:
        """One row per layer under ``HEADS``; the last three are shares of the layer's weights."""
        return [
            (la.name, la.weights, la.kept, *(_share(k, la.weights) for k in (la.kept, la.smart_ratio, la.erk)))
            for la in self.layers
        ]

    def __repr__(self) -> str:
        rows = self.summary()
        width = max(len(term) for term, _ in rows)
        return "\n".join(printable(f"{term.ljust(width)}  {value}", 400) for term, value in rows)

    def _repr_html_(self) -> str:
        return html.table("Audit of a mask", ("", ""), self.summary()) + html.table(
            "Layer by layer", HEADS, self.layer_table()
        )


def _percent(share: float | None) -> str:
    return UNKNOWN if share is None else percent(round(share, 4))


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _share(kept: int | None, weights: int) -> str:
    return "-" if kept is None else f"{kept / weights:.4f}"


def audit(source: Source, model: nn.Module | None = None, *, inputs: tuple[int, ...] | None = None) -> Audit:
    """Audit the masks in *source* (any form that ``read_masks`` takes).

    ``model``: the unpruned network the masks belong to; it can be left out where *source* is itself a module.
    ``inputs``: the shape of one input, e.g. ``(3, 32, 32)``; without it (or where the network's operations do not
    allow to tell) effective sparsity and dead units are None. Raises StudyError as ``read_masks``, and for masks that
    prune nothing or everything.
    """
    network = model if model is not None else source
    if not isinstance(network, nn.Module):
        raise StudyError("an audit needs the model the masks belong to: it knows the order of the layers.")
    masks = read_masks(source, model)
    every = layers_of(model, ALSO) if model is not None else tuple(masks_in_module(network, ALSO))
    layers = tuple(layer for layer in every if layer.name in masks)
    counts = counts_of(masks)
    weights, kept = total(layers), sum(counts.values())
    if not 0 < kept < weights:
        raise StudyError(f"the masks keep {kept} of {weights} weights: there is nothing to audit.")
    sparsity, family = 1 - kept / weights, family_of(type(network).__name__)
    connected = None if inputs is None else _connected(network, masks, inputs)
    smart = _counts(lambda: smart_ratio(layers, sparsity, family))
    spread = _counts(lambda: erk(layers, sparsity))
    stays, stays_sd = _left_by_chance(layers, counts)
    saved = savings_of(layers, masks)
    found = Audit(
        sparsity=sparsity,
        weights=weights,
        kept=kept,
        layers=tuple(
            AuditedLayer(
                la.name, la.size, counts[la.name], smart.get(la.name), spread.get(la.name), **asdict(saved[la.name])
            )
            for la in layers
        ),
        empty_layers=tuple(name for name, count in counts.items() if count == 0),
        effective_sparsity=None if connected is None else 1 - sum(counts_of(connected).values()) / weights,
        dead_units=None if connected is None else dead_units(connected),
        smart_ratio_correlation=_correlation(layers, counts, smart),
        erk_correlation=_correlation(layers, counts, spread),
        in_full_layers=sum(la.size for la in layers if counts[la.name] == la.size) / kept,
        stays=stays / kept,
        stays_sd=stays_sd / kept,
        sparsity_of_all=(weights - kept) / sum(parameter.numel() for parameter in network.parameters()),
        notes=(),
        pattern=pattern_in_words({name: of.pattern for name, of in saved.items()}),
        saves=in_words(layers, saved),
    )
    dense = left_dense(network, layers)
    return _with_notes(found, dense.sentence([round(sparsity, 4)]) if dense is not None else "")


def patterns(source: Source, model: nn.Module | None = None) -> dict[str, str | None]:
    """The structured pattern of every layer's mask, recognised from the mask alone.

    ``"2:4"`` (N:M), ``"filters"``, ``"rows"``, ``"columns"``, ``"kernels"``, ``"8 rows"`` or ``"4x4"``; None where
    there is none, also for whole and empty layers.

    A pattern that a random mask with as many weights would show with a probability above 1e-9 is not recognised (1e-3
    beside another layer with the same pattern). Raises StudyError as ``read_masks``.
    """
    return patterns_of(read_masks(source, model))


def _connected(model: nn.Module, masks: Mapping[str, Tensor], inputs: tuple[int, ...]) -> dict[str, Tensor] | None:
    """The connected weights on the CPU; None for a module that cannot be copied (torch.nn.utils.prune's cannot)."""
    try:
        on_cpu = copy.deepcopy(model).cpu()
        return connected_weights(on_cpu, {name: mask.cpu() for name, mask in masks.items()}, inputs)
    except (RuntimeError, AttributeError):
        return None


def _counts(rule: Callable[[], Mapping[str, int]]) -> Mapping[str, int]:
    """The counts of a rule; none if it is impossible."""
    try:
        return rule()
    except InfeasibleError:
        return {}


def _correlation(layers: tuple[Layer, ...], counts: Mapping[str, int], others: Mapping[str, int]) -> float | None:
    """Pearson's, of the kept shares of the layers; None where one of them does not vary."""
    if not others:
        return None
    shares = [[c[layer.name] / layer.size for layer in layers] for c in (counts, others)]
    if any(float(np.ptp(share)) < 1e-12 for share in shares):
        return None
    return float(np.corrcoef(np.array(shares))[0, 1])


def _left_by_chance(layers: tuple[Layer, ...], counts: Mapping[str, int]) -> tuple[float, float]:
    """Mean and standard deviation of the number of kept weights that stay in place when each layer is rearranged."""
    mean = variance = 0.0
    for layer in layers:
        n, k = layer.size, counts[layer.name]
        mean += k * k / n
        if n > 1:
            variance += k * (k / n) * (1 - k / n) * (n - k) / (n - 1)
    return mean, variance**0.5


def _with_notes(found: Audit, dense: str) -> Audit:
    notes = [dense] if dense else []
    if found.empty_layers:
        notes.append(f"Collapse: {', '.join(found.empty_layers)} keep(s) nothing.")
    if found.effective_sparsity is not None and found.effective_sparsity >= 1:
        notes.append("No kept weight is on a path from input to output: the network computes a constant.")
    if found.stays > NEARLY_NOTHING:
        notes.append(
            f"A layerwise rearrangement leaves {percent(round(found.stays, 3))} of the kept weights in place: "
            "that check changes little of this mask."
        )
    if found.layers[0].smart_ratio is None:
        notes.append("The smart ratio is impossible at this sparsity.")
    return replace(found, notes=tuple(notes))
