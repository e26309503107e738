"""How published codes count, break ties and score, named after them.

Without a preset prunecheck keeps exactly ``round(n * (1 - sparsity))`` weights, breaks ties by position and scores the
weights as they are, with batch statistics. Published codes pick a threshold score instead, each in its own way, and
keep whatever lies above it (``Rule``); some also score another network than the one they prune (``Scoring``). A
``Preset`` is the set of these choices of one code.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from prunecheck.errors import StudyError
from prunecheck.pruning.counts import kept_total
from prunecheck.text import unknown

NONE = "none"
"""what the command line calls prunecheck without a preset"""
OTHERS = "other methods"


@dataclass(frozen=True)
class Rule:
    """Sort the scores ascending, take the one at ``rank(n, sparsity)`` as the cut, keep what is above it (``strict``)
    or not below it; ``exact`` keeps the ``n - rank`` largest whatever the ties. ``formula`` says the same in words."""

    rank: Callable[[int, float], int]
    strict: bool
    formula: str
    exact: bool = False


@dataclass(frozen=True)
class Scoring:
    """Which network a code scores. ``normalisation``: by the statistics of the batch or by the running ones (a new
    network has mean 0, variance 1); ``redraw``: the kinds of layers drawn anew (Xavier normal) in the copy that is
    scored; ``halves``: each scoring batch is taken in two halves, one loss each."""

    normalisation: Literal["batch", "running"] = "batch"
    redraw: tuple[Literal["conv", "linear"], ...] = ()
    halves: bool = False


Whole = Literal["none", "linear", "classifier", "classifier of VGG"]


@dataclass(frozen=True)
class Preset:
    """One published code. ``rules``, ``scoring`` and ``whole``: by method name, ``*`` for any other. ``whole``: layers
    that a global threshold leaves alone, and ``counts_whole``: whether the sparsity counts them.
    ``official_smart_ratio``: float32 ratios with a floor at every step and the early stop of the overflow walk.
    ``labels_seed``: the numpy seed that every run's random labels share."""

    name: str
    source: str
    rules: Mapping[str, Rule]
    scoring: Mapping[str, Scoring] = field(default_factory=dict)
    whole: Mapping[str, Whole] = field(default_factory=dict)
    counts_whole: bool = True
    official_smart_ratio: bool = False
    labels_seed: int | None = None


def _keep_floor(n: int, sparsity: float) -> int:
    return n - int(n * (1 - sparsity))


def _prune_floor(n: int, sparsity: float) -> int:
    return int(n * sparsity)


def _quantile(n: int, sparsity: float) -> int:
    """The rank above numpy's interpolated quantile; the tolerance is below what float32 interpolation resolves."""
    return math.ceil((n - 1) * (1 - (1 - sparsity)) - 1e-9)


EXACT = Rule(lambda n, s: n - kept_total(n, s), False, "the round(n(1 - s)) best, ties by position", exact=True)
_SNIP = Rule(_keep_floor, False, "score >= the int(n(1 - s))-th largest, ties kept")
_GRASP = Rule(lambda n, s: _prune_floor(n, s) - 1, False, "score >= the int(n s)-th smallest: one too many, ties kept")
_MAGNITUDE = Rule(
    _prune_floor, True, "score > number int(n s) of the ascending ones, from 0: one too few, ties removed"
)
_SYNFLOW = Rule(lambda n, s: int((1 - (1 - s)) * n) - 1, True, "score > the int(n s)-th smallest, ties removed")
_OPEN_LTH = Rule(
    lambda n, s: math.ceil(s * n), True, "score > number ceil(n s) of the ascending ones, from 0: one too few"
)
_QUANTILE = Rule(_quantile, False, "score >= numpy's s-quantile, interpolated")
_TORCH = Rule(lambda n, s: round(s * n), False, "the n - round(n s) best; n s in floating point", exact=True)
_GRASP_COPY = Scoring(redraw=("linear",), halves=True)

PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset(
            "official",
            "github.com/JingtongSu/sanity-checking-pruning (Su et al. 2020)",
            {"snip": _SNIP, "grasp": _GRASP, "lottery_ticket": _MAGNITUDE, "*": _MAGNITUDE},
            scoring={"grasp": _GRASP_COPY},
            # LT_prune.py, the only code there that prunes trained networks, ranks convolutions alone
            whole=dict.fromkeys(("weight_rewinding", "lr_rewinding", "imp"), "linear"),
            official_smart_ratio=True,
            labels_seed=12345,
        ),
        Preset("grasp", "github.com/alecwangcq/GraSP (Wang et al. 2020)", {"*": _GRASP}, {"grasp": _GRASP_COPY}),
        Preset(
            "snip",
            "github.com/mil-ad/snip (after Lee et al. 2019)",
            {"*": _SNIP},
            {"snip": Scoring(redraw=("conv", "linear"))},
        ),
        Preset(
            "synflow",
            "github.com/ganguli-lab/Synaptic-Flow (Tanaka et al. 2020)",
            {"*": _SYNFLOW},
            {"*": Scoring(normalisation="running")},
        ),
        Preset(
            "open_lth",
            "github.com/facebookresearch/open_lth (Frankle)",
            {"*": _OPEN_LTH},
            whole={"*": "classifier of VGG"},
        ),
        Preset(
            "shrinkbench",
            "github.com/JJGO/shrinkbench (Blalock et al. 2020)",
            {"*": _QUANTILE},
            whole={"*": "classifier"},
            counts_whole=False,
        ),
        Preset(
            "rewinding",
            "github.com/lottery-ticket/rewinding-iclr20-public (Renda et al. 2020)",
            {"*": _QUANTILE},
            whole={"*": "linear"},
            counts_whole=False,
        ),
        Preset("torch", "torch.nn.utils.prune (global_unstructured)", {"*": _TORCH}),
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


def scoring_for(preset: str | None, method: str) -> Scoring:
    """Which network *method* scores under *preset*; the network as it is without one."""
    if preset is None:
        return Scoring()
    scoring = preset_named(preset).scoring
    return scoring.get(method, scoring.get("*", Scoring()))


def whole_for(preset: str | None, method: str) -> Whole:
    """Which layers *method* leaves whole under *preset*, beyond those its own allocation does."""
    if preset is None:
        return "none"
    whole = preset_named(preset).whole
    return whole.get(method, whole.get("*", "none"))


def facts(name: str) -> dict[str, str]:
    """Every choice of a preset (``none``: of prunecheck without one) as words, field by field; the same fields for
    every preset. Raises StudyError."""
    preset = Preset(NONE, "prunecheck", {"*": EXACT}) if name == NONE else preset_named(name)
    table: dict[str, str] = {}
    named = {method for other in PRESETS.values() for method in (*other.rules, *other.scoring, *other.whole)}
    for method in [*sorted(named - {"*"}), "*"]:
        rule = preset.rules.get(method, preset.rules.get("*", EXACT))
        scoring = preset.scoring.get(method, preset.scoring.get("*", Scoring()))
        who = OTHERS if method == "*" else method
        table[f"{who}: keeps"] = rule.formula
        table[f"{who}: normalises by"] = f"{scoring.normalisation} statistics"
        table[f"{who}: draws anew"] = " and ".join(scoring.redraw) or "nothing"
        table[f"{who}: leaves whole"] = preset.whole.get(method, preset.whole.get("*", "none"))
        table[f"{who}: scores on"] = "each half of a batch" if scoring.halves else "whole batches"
    table["sparsity is of"] = "all layers" if preset.counts_whole else "the other layers"
    table["smart ratio"] = "the official float32 floors" if preset.official_smart_ratio else "exact"
    table["random labels"] = f"numpy seed {preset.labels_seed} for every run" if preset.labels_seed else "per seed"
    return table


def choices_in_brief(name: str) -> dict[str, str]:
    """The same without what is said of a method although it holds for the other methods too."""
    table = facts(name)
    return {
        field: said
        for field, said in table.items()
        if ": " not in field or field.startswith(OTHERS) or table[f"{OTHERS}: {field.split(': ')[1]}"] != said
    }


def difference(first: str, second: str) -> list[tuple[str, str, str]]:
    """``(field, in the first, in the second)`` for every field in which two presets differ."""
    one, other = facts(first), facts(second)
    return [(key, one[key], other[key]) for key in one if one[key] != other[key]]
