"""Methods whose clean masks keep nothing of a layer, which mostly cuts the network in two before any training."""

from __future__ import annotations

from collections.abc import Iterable

from prunecheck.runner.step_results import StepResults
from prunecheck.statistics.rows import CLEAN
from prunecheck.study.plan import Arm
from prunecheck.text import counted, listing, percent, printable

NAMED_LAYERS = 3
"""of more layers only the first are named"""


def methods_with_empty_layers(arms: Iterable[Arm], results: StepResults) -> list[str]:
    """One sentence for each method and sparsity with a mask that leaves a layer empty."""
    layers: dict[tuple[str, float], dict[str, None]] = {}
    seeds: dict[tuple[str, float], dict[int, bool]] = {}
    for arm in arms:
        if arm.check != CLEAN or not arm.mask or arm.sparsity is None:
            continue
        empty = results.mask(arm.mask)["empty_layers"]
        place = arm.method, arm.sparsity
        seeds.setdefault(place, {})[arm.seed] = bool(empty)
        layers.setdefault(place, {}).update(dict.fromkeys(empty))
    return [_sentence(*place, list(found), seeds[place]) for place, found in layers.items() if found]


def _sentence(method: str, sparsity: float, layers: list[str], seeds: dict[int, bool]) -> str:
    named = [printable(name, 120) for name in layers[:NAMED_LAYERS]]
    if len(layers) > NAMED_LAYERS:
        named.append(counted(len(layers) - NAMED_LAYERS, "more layer"))
    of = counted(len(seeds), "seed")
    return f"{method} at {percent(sparsity)} keeps no weight of {listing(named)} ({sum(seeds.values())} of {of})."
