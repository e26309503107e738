"""How many weights each layer keeps, by an allocation plug-in, or as a published code counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from prunecheck.errors import InfeasibleError
from prunecheck.pruning import Allocation
from prunecheck.pruning.allocations.smart_ratio import official_counts
from prunecheck.pruning.call_plugin import call_plugin
from prunecheck.pruning.counts import Counts, check_counts
from prunecheck.pruning.layers import Layer, total
from prunecheck.pruning.presets import preset_named
from prunecheck.text import percent


def allocate(
    allocation: Allocation,
    layers: tuple[Layer, ...],
    sparsity: float,
    *,
    family: str,
    options: Mapping[str, Any],
    scores: Mapping[str, Tensor] | None = None,
    given: Mapping[str, int] | None = None,
    preset: str | None = None,
) -> Counts:
    """How many weights each layer keeps, verified to be possible. Raises InfeasibleError."""
    # The published code's counts, bit for bit: they are not those of the formula.
    if allocation.name == "smart_ratio" and preset is not None and preset_named(preset).official_smart_ratio:
        return official_counts(layers, sparsity, family, **options)
    offer = {"layers": layers, "sparsity": sparsity, "scores": scores, "given": given, "family": family}
    counts = call_plugin(allocation, offer, options)
    check_counts(counts, {layer.name: layer.size for layer in layers})
    if sum(counts.values()) == 0:
        raise InfeasibleError(f"a sparsity of {percent(sparsity)} leaves none of {total(layers)} weights.")
    return counts if isinstance(counts, Counts) else Counts(counts)
