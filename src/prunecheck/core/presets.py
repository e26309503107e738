"""How published codes count and break ties, named after them.

Without a preset prunecheck keeps exactly ``round(n * (1 - sparsity))`` weights and breaks ties by position. Published
codes pick a threshold score instead, each in its own way, and keep whatever lies above it. A ``Rule`` is that choice;
a ``Preset`` is the set of rules of one code.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from prunecheck.core.errors import StudyError
from prunecheck.core.words import unknown


@dataclass(frozen=True)
class Rule:
    """Sort the scores ascending, take the one at ``rank(n, sparsity)`` as the cut, keep what is above it (``strict``)
    or not below it."""

    rank: Callable[[int, float], int]
    strict: bool


@dataclass(frozen=True)
class Preset:
    """One published code. ``rules``: method name (``*``: any) -> its selection rule; ``official_smart_ratio``: float32
    ratios with a floor at every step and the early stop of the overflow walk."""

    name: str
    source: str
    rules: dict[str, Rule]
    official_smart_ratio: bool = False


def _keep_floor(n: int, sparsity: float) -> int:
    return n - int(n * (1 - sparsity))


def _prune_floor(n: int, sparsity: float) -> int:
    return int(n * sparsity)


_SNIP = Rule(_keep_floor, strict=False)
_GRASP = Rule(lambda n, s: _prune_floor(n, s) - 1, strict=False)
_MAGNITUDE = Rule(_prune_floor, strict=True)
_SYNFLOW = Rule(lambda n, s: int((1 - (1 - s)) * n) - 1, strict=True)
_OPEN_LTH = Rule(lambda n, s: math.ceil(s * n), strict=True)

PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset(
            "official",
            "github.com/JingtongSu/sanity-checking-pruning (Su et al. 2020)",
            {"snip": _SNIP, "grasp": _GRASP, "lottery_ticket": _MAGNITUDE, "*": _MAGNITUDE},
            official_smart_ratio=True,
        ),
        Preset("grasp", "github.com/alecwangcq/GraSP (Wang et al. 2020)", {"*": _GRASP}),
        Preset("snip", "github.com/mil-ad/snip (after Lee et al. 2019)", {"*": _SNIP}),
        Preset("synflow", "github.com/ganguli-lab/Synaptic-Flow (Tanaka et al. 2020)", {"*": _SYNFLOW}),
        Preset("open_lth", "github.com/facebookresearch/open_lth (Frankle)", {"*": _OPEN_LTH}),
        Preset("torch", "torch.nn.utils.prune: exact counts, as without a preset", {}),
    )
}


def preset_named(name: str) -> Preset:
    """Raises StudyError with the nearest name."""
    if name not in PRESETS:
        raise StudyError(unknown("preset", name, PRESETS))
    return PRESETS[name]


def rule_for(preset: str | None, method: str) -> Rule | None:
    """The selection rule of *method* under *preset*; None means exact counts."""
    if preset is None:
        return None
    rules = preset_named(preset).rules
    return rules.get(method, rules.get("*"))
