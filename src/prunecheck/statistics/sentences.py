"""The sentences of checks, methods and studies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from prunecheck.statistics.analysis import Analysis
from prunecheck.statistics.controls import Controls
from prunecheck.statistics.describe import figures, lean, seeds_needed_at, strata
from prunecheck.statistics.inference import bounds
from prunecheck.statistics.margin import note_on_test_set
from prunecheck.statistics.outcome import Answer, Cell, CheckVerdict, MethodAnswer
from prunecheck.statistics.procedure import ONE_SPARSITY, members
from prunecheck.statistics.rows import amount, size, unit
from prunecheck.text import percent

CHANCE_UNKNOWN = (
    "Chance accuracy was not given and counts as 0: a margin by rule is then too large, and only runs near 0% count as "
    "collapsed. Give it by --classes 10 or --chance 0.1 (classes= or chance= in Python)."
)

MANY_SEEDS = 1000
"""larger numbers of seeds are not printed: they would be estimates of a drop that equals the margin"""


def check_sentence(
    analysis: Analysis, j: int, answer: Answer, cells: Sequence[Cell], pooled: Cell | None, *, is_stopped: bool = False
) -> str:
    """One check of one method, with the margins for which the verdict would be the same. *is_stopped*: it gets no more
    seeds because they are unlikely to decide it."""
    method, check = analysis.layout.checks[j]
    words = [f"{method} x {check}: {answer}."]
    if pooled is None:
        return " ".join((*words, *(cell.sentence for cell in cells)))
    over = strata(analysis.layout.sparsities[k] for k in analysis.checks.pools[j])
    text = figures(pooled)
    words.append(f"{text[0].upper()}{text[1:]}, over {over}, margin {size(pooled.margin, pooled.unit)}.")
    several = len(analysis.checks.pools[j]) > 1
    if answer == "DOES NOT DEPEND":
        alpha = analysis.layout.settings.alpha
        limit = float(analysis.checks.excluded_above(alpha)[j])
        if several:
            words.append(f"No single sparsity loses {ONE_SPARSITY:g} margins.")
        words.append(f"Holds for any margin above {size(max(limit, 0.0), pooled.unit)}.")
        if pooled.high < -pooled.margin:
            words.append("The corrupted arm is better by more than the margin.")
        alone = [strata([cell.sparsity]) for cell in cells if cell.verdict == "DEPENDS"]
        if alone:
            words.append(f"At {_and(alone)} alone more than the margin is lost (not corrected for several sparsities).")
    elif answer == "DEPENDS":
        words.append(_found(analysis, j))
    elif answer == "UNINFORMATIVE":
        words.append(
            "The positive control is shown to lose less than the margin by this check, too: "
            "this study cannot tell whether the method depends."
        )
    elif is_stopped:
        words += [_undecided(analysis, j, replace(pooled, seeds_needed=None)), _stopped(analysis, cells, pooled)]
    else:
        words.append(_undecided(analysis, j, pooled))
    return " ".join(words)


def _found(analysis: Analysis, j: int) -> str:
    """Where the drop was found, and up to which margin: the bound that is furthest above it."""
    checks, margin = analysis.checks, analysis.margin.points
    level = analysis.layout.settings.alpha / float(members(checks.cells.above(margin))[j])
    of = unit(analysis.layout.settings.metric)
    low = checks.cells.low(level)[:, j]
    mean = float(bounds(checks.looks, level)[0][j])
    best = max(mean, float(low.max()))
    at = percent(analysis.layout.sparsities[int(low.argmax())])
    if np.isposinf(best):
        return f"At {at} every corrupted run collapsed and no clean one did."
    if best == mean:
        return f"Holds for any margin below {size(best, of)}."
    lost = f"so much is lost at {at} (bound corrected for several sparsities)"
    return f"Holds for any margin below {size(best, of)}: {lost}."


def held_back(analysis: Analysis, j: int, pooled: Cell | None) -> str:
    """Why a check whose mean is below the margin is not called independent; empty where the mean is not."""
    checks, alpha = analysis.checks, analysis.layout.settings.alpha
    if pooled is None or not pooled.p_not <= alpha:
        return ""
    below = checks.cells.below(ONE_SPARSITY * pooled.margin)[:, j]
    if checks.cells.harmed[:, j].any():
        return "more corrupted than clean runs collapsed"
    if (np.nan_to_num(below, nan=0.0) > alpha).any():
        at = percent(analysis.layout.sparsities[int(np.nanargmax(below))])
        return f"at {at} a drop of {ONE_SPARSITY:g} margins is not excluded"
    return checks.blocked[j]


def _undecided(analysis: Analysis, j: int, pooled: Cell) -> str:
    """What stands in the way of a verdict."""
    if reason := held_back(analysis, j, pooled):
        return f"The mean is below the margin, but {reason}."
    if pooled.p_not <= analysis.layout.settings.alpha and analysis.guard(j) == "open":
        return "The drop is below the margin, but the positive control is not shown to be hurt yet (unguarded yet)."
    text = lean(pooled)
    return f"{text[0].upper()}{text[1:]}."


def _stopped(analysis: Analysis, cells: Sequence[Cell], pooled: Cell) -> str:
    """That a check was stopped for futility, and the seeds a study of it would need."""
    last = analysis.layout.analyses[-1]
    level = pooled.low_level if pooled.mean_drop > pooled.margin else pooled.high_level
    needed = max(
        seeds_needed_at(pooled.mean_drop, pooled.borrowed_sd, pooled.margin, level),
        *(cell.seeds_needed or 0 for cell in (pooled, *cells)),
    )
    if needed <= last:
        many = f"more than {last}"
    else:
        many = f"about {needed:,.0f}" if needed <= MANY_SEEDS else f"more than {MANY_SEEDS:,}"
    return (
        f"Stopped early: up to {last} seeds are unlikely to decide it. If the true drop is the one seen, a study would "
        f"need {many} seeds."
    )


def method_sentence(
    method: str, answer: MethodAnswer, needed: Sequence[str], checks: Sequence[CheckVerdict], reasons: Sequence[str]
) -> str:
    """One method over the checks required of it. *reasons*: see ``method_reasons``."""
    words = [f"{method}: {answer}."]
    if needed and answer not in ("FAILS", "PASSES"):
        depends = sum(check.verdict == "DEPENDS" for check in checks)
        rest = _open(needed, checks)
        words.append(f"{depends} of {len(needed)} checks depend{f'; not decided: {_and(rest)}' if rest else ''}.")
    return " ".join((*words, *reasons))


def method_reasons(
    answer: MethodAnswer,
    failed: Sequence[str],
    needed: Sequence[str],
    checks: Sequence[CheckVerdict],
    level: float,
    held: Mapping[str, str],
) -> tuple[str, ...]:
    """Why a method has its answer. *level*: at which one check must not depend for the method to fail. *held*: check ->
    why it is undecided although its mean is below the margin: its interval alone would not tell."""
    if not needed:
        return ("Only controls were run.",)
    if answer == "FAILS":
        return (f"It does not depend on what {_and(failed)} destroy{'s' * (len(failed) == 1)}.",)
    if answer == "PASSES":
        return (f"It depends on what {_and(needed)} destroy{'s' * (len(needed) == 1)}.",)
    words = []
    if alone := [check.check for check in checks if check.verdict == "DOES NOT DEPEND"]:
        each = " each" if len(alone) > 1 else ""
        words.append(
            f"{_and(alone)} alone{each} would not depend, but not after correction for {len(needed)} checks "
            f"(needs {level:.2%} instead of 5%)."
        )
    named: dict[str, list[str]] = {}
    for check in _open(needed, checks):
        if reason := held.get(check):
            named.setdefault(reason, []).append(check)
    words += [f"{_and(names)}: the mean is below the margin, but {reason}." for reason, names in named.items()]
    return (*words, *sorted({_reason(check) for check in checks if check.verdict == "UNINFORMATIVE"} - {""}))


def _open(needed: Sequence[str], checks: Sequence[CheckVerdict]) -> list[str]:
    """The checks required of a method that have no answer."""
    answered = {check.check for check in checks if check.verdict in ("DEPENDS", "DOES NOT DEPEND")}
    return [name for name in needed if name not in answered]


def _reason(check: CheckVerdict) -> str:
    """Why a check is uninformative."""
    if any("collapsed" in note for cell in check.cells for note in cell.notes):
        return "Uninformative: runs collapsed to guessing in both arms, so that no difference could show."
    if any("refused" in note for cell in check.cells for note in cell.notes):
        return "Uninformative: the two arms did not keep the same number of weights."
    if any("control failed" in note for cell in check.cells for note in cell.notes):
        return "Uninformative: a control of the study failed."
    return "Uninformative: the positive control loses less than the margin by the same check."


def lead_below_margin(lead: Cell) -> str:
    """That no check which makes its tickets random can cost a method with a small lead more than the margin."""
    return (
        f"its lead over a random ticket ({amount(lead.mean_drop, lead.unit)}) is below the margin of "
        f"{size(lead.margin, lead.unit)}, so that a check which only makes its tickets random cannot cost more"
    )


def banner(controls: Controls) -> str | None:
    """What replaces every answer at the sparsities where a control failed; None where none did."""
    if not controls.invalid:
        return None
    return "STUDY INVALID. " + " ".join(sentence for _, sentence in sorted(controls.invalid.items()))


def study_notes(analysis: Analysis) -> tuple[str, ...]:
    """What holds for all verdicts of the study."""
    settings = analysis.layout.settings
    notes = [
        f"If the true mean drop were exactly the margin, a study like this one would say DEPENDS in at most "
        f"{settings.alpha:.0%} of repetitions, and DOES NOT DEPEND in at most {settings.alpha:.0%}.",
        _design(analysis),
        f"PASSES and FAILS keep their error rate for each {settings.family}; the verdict of a check is for that check.",
    ]
    notes += [f"(unguarded) {record.sentence}" for record in analysis.controls.records if record.status == "missing"]
    small_test_set = note_on_test_set(analysis.margin, analysis.layout.n_test, by_hand=settings.margin_by_hand)
    if settings.metric == "nll":
        return (*notes, *_on_documents(analysis))
    if small_test_set:
        notes.append(small_test_set)
    if settings.chance == 0:
        notes.append(CHANCE_UNKNOWN)
    return (*notes, *_on_documents(analysis))


def _on_documents(analysis: Analysis) -> tuple[str, ...]:
    count = analysis.layout.documents
    if not count:
        return ()
    return (
        f"Paired by document and seed: the {count} documents and the seeds both count as samples, so that verdicts "
        "hold for other documents and other seeds (two-way crossed random effects).",
    )


def _design(analysis: Analysis) -> str:
    """The design of the study in words."""
    analyses = analysis.layout.analyses
    if analysis.layout.settings.design == "fixed":
        return f"Analysed once; the number of seeds (at most {analyses[-1]}) is taken as chosen beforehand."
    first, last = analyses[0], analyses[-1]
    every = analyses == tuple(range(first, last + 1)) and len(analyses) > 2
    at = f"every number of seeds from {first} to {last}" if every else f"{_and([str(n) for n in analyses])} seeds"
    return (
        f"Analysed at {at}; error rates and intervals hold over all analyses together. Where a study stops early, its "
        "mean is on average further from the margin than the true drop."
    )


def _and(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))
