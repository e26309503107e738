"""Rare bad runs: a corruption that ruins every fifth run must not be called harmless because few runs were made.

The mean of three runs says little about a distribution that mixes many good runs with a few ruined ones: four runs out
of ten samples of five miss a rate of one in five altogether. So "does not depend" waits until the pooled corrupted
runs of a method exclude a higher rate.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import bdtr

from prunecheck.statistics.layout import GUARD, Layout
from prunecheck.statistics.roles import role
from prunecheck.statistics.rows import Row
from prunecheck.statistics.variance import Array

RATE = 0.20
CONFIDENCE = 0.90
"""A higher rate of ruined runs than ``RATE`` must be excluded with this confidence: 11 runs without a ruined one."""
FAR = 4.0
"""Robust standard deviations below the median of its arm at which a run counts as ruined."""
FEW_RUNS = 5
"""Where no more seeds can come, this many runs of a check without a ruined one are enough; the note says what they
leave open."""
_QN = 2.2219
_MANY_RUNS = 100
"""of an arm; with more, all their distances would take too much time and memory"""


def ruined(runs: Array, smallest_sd: Array | float = 0.0) -> Array:
    """Which runs are ruined, (..., arms, seeds) bool: far below the median of their arm. NaN = no run.

    The scale is the estimator Qn of Rousseeuw and Croux 1993 (the first quartile of all distances between two runs of
    an arm), of the arm or of all arms together, whichever is larger: up to half of the runs may be ruined.
    """
    if runs.ndim == 2 and runs.shape[-1] > _MANY_RUNS:
        own, pooled = _quarter_of_many(runs)
    else:
        first, second = np.triu_indices(runs.shape[-1], 1)
        gaps = np.abs(runs[..., first] - runs[..., second])
        own = _quantile(gaps, 0.25)
        pooled = _quantile(gaps.reshape(*gaps.shape[:-2], -1), 0.25)[..., None]
    scale = np.fmax(_QN * np.fmax(own, pooled), smallest_sd)
    median = _quantile(runs, 0.5)
    # A missing run (NaN) is not ruined, and comparing it is no reason for a warning.
    with np.errstate(invalid="ignore"):
        return np.asarray(runs - median[..., None] < -FAR * scale[..., None])


def is_excluded(runs: Array, bad: Array) -> Array:
    """Whether *bad* ruined ones among so many *runs* exclude a rate above ``RATE``."""
    return np.asarray(bdtr(bad, runs, RATE) <= 1 - CONFIDENCE)


def highest_rate(runs: int) -> float:
    """The highest rate of ruined runs that *runs* runs without any do not exclude."""
    return 1.0 if runs == 0 else 1 - (1 - CONFIDENCE) ** (1 / runs)


def ruined_runs_not_excluded(layout: Layout) -> tuple[str, ...]:
    """For each check why ruined runs stand in the way of "does not depend"; empty where they do not."""
    counts = _counts(layout)
    reasons = []
    for j, (method, _) in enumerate(layout.checks):
        runs, bad = counts.get(method, (0, 0))
        own = sum(len(slot.judged) for (_, at), slot in layout.slots.items() if at == j)
        reasons.append(_reason(runs, bad, own, more_can_come=not _is_last(layout, j)))
    return tuple(reasons)


def _reason(runs: int, bad: int, own: int, *, more_can_come: bool) -> str:
    if bool(is_excluded(np.array(runs), np.array(bad))):
        return ""
    if bad:
        return f"{bad} of {runs} corrupted runs of this method are ruined: a rate above {RATE:.0%} is not excluded"
    if own >= FEW_RUNS and not more_can_come:
        return ""
    return f"{runs} corrupted runs without a ruined one do not exclude that up to {highest_rate(runs):.0%} are ruined"


def _is_last(layout: Layout, j: int) -> bool:
    if layout.settings.design == "fixed":
        return True
    slots = [slot for (_, at), slot in layout.slots.items() if at == j]
    return any(len(slot.judged) >= layout.analyses[-1] for slot in slots)


def _counts(layout: Layout) -> dict[str, tuple[int, int]]:
    """For each method its corrupted runs, and how many more of them are ruined than the clean arms would suggest."""
    runs: dict[str, list[int]] = {}
    for k, sparsity in enumerate(layout.sparsities):
        slots = [slot for (at, _), slot in sorted(layout.slots.items()) if at == k and slot.gate.state == "fine"]
        slots = [slot for slot in slots if role(slot.method, slot.check, layout.settings) in (None, "positive")]
        methods = sorted({slot.method for slot in slots})
        arms = [layout.clean.get((method, sparsity), {}) for method in methods]  # a corrupted arm may come without
        values = [[_score(run, layout) for run in arm.values()] for arm in arms]
        values += [[_score(slot.pairs[seed][1], layout) for seed in slot.judged] for slot in slots]
        if not values:
            continue
        table = np.full((len(values), max(map(len, values)) or 1), np.nan)
        for number, arm in enumerate(values):
            table[number, : len(arm)] = arm
        floor = max((slot.floor for slot in slots), default=0.0)
        # The floor is that of a difference of two runs, whose variance is twice that of a single one.
        bad = ruined(table, math.sqrt(GUARD * floor / 2)).sum(axis=-1)
        for number, owner in enumerate([*methods, *(slot.method for slot in slots)]):
            totals = runs.setdefault(owner, [0, 0, 0, 0])
            part = 0 if number < len(methods) else 2
            totals[part] += len(values[number])
            totals[part + 1] += int(bad[number])
    return {
        # What also happens to clean runs is not the fault of the corruption.
        method: (corrupted, max(0, bad - math.floor(corrupted * clean_bad / max(clean, 1))))
        for method, (clean, clean_bad, corrupted, bad) in runs.items()
    }


def _score(run: Row, layout: Layout) -> float:
    """In nats a network without a use need not have a low accuracy: there the judged metric itself counts."""
    return run.score("nll") if layout.settings.metric == "nll" else 100 * run.accuracy


def _quarter_of_many(runs: Array) -> tuple[Array, Array]:
    """The first quartile of the distances in each arm, (arms,), and in all arms, (1,): to the bit those of
    ``_quantile``, without a list of the distances."""
    arms = [np.sort(arm[np.isfinite(arm)]) for arm in runs]
    return np.array([_quarter([arm]) for arm in arms]), np.array([_quarter(arms)])


def _quarter(arms: list[Array]) -> float:
    """The first quartile of the distances within the *arms*, each in ascending order; NaN where there is none."""
    count = sum(len(arm) * (len(arm) - 1) // 2 for arm in arms)
    if count == 0:
        return math.nan
    rank = math.ceil(0.25 * count)
    # The bits of positive floats are in the order of their values: halving their range ends at one float.
    low, high = 0, int(np.float64(max(arm[-1] - arm[0] for arm in arms if len(arm))).view(np.int64))
    while low < high:
        middle = (low + high) // 2
        if sum(_pairs_within(arm, float(np.int64(middle).view(np.float64))) for arm in arms) >= rank:
            high = middle
        else:
            low = middle + 1
    return float(np.int64(low).view(np.float64))


def _pairs_within(arm: Array, distance: float) -> int:
    """How many pairs of the ascending values *arm* are at most *distance* apart."""
    here = np.arange(len(arm))
    last, limit = here, np.full(len(arm), len(arm) - 1)
    while np.any(last < limit):
        middle = (last + limit + 1) // 2
        near = arm[middle] - arm <= distance
        last, limit = np.where(near, middle, last), np.where(near, limit, middle - 1)
    return int((last - here).sum())


def _quantile(values: Array, share: float) -> Array:
    """The value with *share* of the finite ones below it, along the last axis; NaN where there is none."""
    if values.shape[-1] == 0:
        return np.full(values.shape[:-1], np.nan)
    ordered = np.sort(values, axis=-1)  # NaN comes last
    count = np.isfinite(values).sum(axis=-1)
    position = np.clip(np.ceil(share * count).astype(int) - 1, 0, None)
    lower = np.take_along_axis(ordered, position[..., None], axis=-1)[..., 0]
    if share != 0.5:
        return np.asarray(lower)
    upper = np.take_along_axis(ordered, np.clip(count // 2, 0, values.shape[-1] - 1)[..., None], axis=-1)[..., 0]
    return np.asarray((lower + upper) / 2)
