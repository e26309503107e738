"""What the verdicts say, in plain words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from prunecheck.statistics.case import Case
from prunecheck.statistics.controls import Controls
from prunecheck.statistics.describe import figures, lean, strata
from prunecheck.statistics.inference import bounds
from prunecheck.statistics.outcome import Answer, Cell, CheckVerdict, MethodAnswer
from prunecheck.statistics.procedure import members
from prunecheck.statistics.roles import role
from prunecheck.text import percent


def check_sentence(case: Case, j: int, answer: Answer, cells: Sequence[Cell], pooled: Cell | None) -> str:
    """One check of one method. The break-even margin lets readers hold their own margin against the result."""
    method, check = case.layout.checks[j]
    part = role(method, check, case.layout.settings)
    meaning = {"DEPENDS": " (passes)", "DOES NOT DEPEND": " (fails)"}.get(answer, "") if part is None else ""
    words = [f"{method} x {check}: {answer}{meaning}."]
    if pooled is None:
        return " ".join((*words, *(cell.sentence for cell in cells)))
    over = strata(case.layout.sparsities[k] for k in case.checks.pools[j])
    shown = figures(pooled)
    words.append(f"{shown[0].upper()}{shown[1:]}, over {over}, margin {pooled.margin:.2f}.")
    if answer == "DOES NOT DEPEND":
        words.append(f"Holds for any margin above {pooled.high:.2f}.")
        if pooled.high < -pooled.margin:
            words.append("Corruption even helps.")
    elif answer == "DEPENDS":
        words.append(_found(case, j))
    elif answer == "UNINFORMATIVE":
        words.append("The positive control is not hurt either, so nobody can tell.")
    else:
        words.append(_undecided(case, j, pooled))
    return " ".join(words)


def _found(case: Case, j: int) -> str:
    """Where the drop was found, and up to which margin: the bound of whatever cell or mean is furthest above it."""
    share = 1 / float(members(case.cells.above)[j])
    low = np.where(np.isfinite(case.cells.above[:, j]), bounds(case.cells.looks, share)[0][:, j], -np.inf)
    mean = float(bounds(case.checks.looks, share)[0][j])
    best = max(mean, float(low.max()))
    if not best > case.margin.points:
        at = percent(case.layout.sparsities[int(np.nanargmin(case.cells.above[:, j]))])
        return f"At {at} every corrupted run collapsed and no clean one did."
    where = "" if best == mean else f" (at {percent(case.layout.sparsities[int(low.argmax())])})"
    return f"Holds for any margin below {best:.2f}{where}."


def _undecided(case: Case, j: int, pooled: Cell) -> str:
    if pooled.p_not <= case.layout.settings.alpha:
        at = percent(case.layout.sparsities[int(np.nanargmin(case.cells.hints[:, j]))])
        return f"On average below the margin, but {at} hints at harm."
    text = lean(pooled)
    most = case.layout.looks[-1].n
    beyond = f", more than the {most} allowed" if pooled.seeds_needed and pooled.seeds_needed > most else ""
    return f"{text[0].upper()}{text[1:]}{beyond}."


def method_sentence(
    method: str, answer: MethodAnswer, failed: Sequence[str], needed: Sequence[str], checks: Sequence[CheckVerdict]
) -> str:
    """One method over the checks required of it."""
    depends = [check.check for check in checks if check.verdict == "DEPENDS"]
    if not needed:
        return f"{method}: {answer}. Nothing but controls was run."
    if answer == "FAILS":
        return f"{method}: FAILS. It does not depend on what {_and(failed)} destroy{'s' * (len(failed) == 1)}."
    if answer == "PASSES":
        return f"{method}: PASSES. It depends on what {_and(needed)} destroy{'s' * (len(needed) == 1)}."
    rest = [name for name in needed if name not in depends]
    return f"{method}: {answer}. {len(depends)} of {len(needed)} checks depend; not settled: {_and(rest)}."


def banner(controls: Controls) -> str | None:
    """What replaces every answer in the strata where a control failed; None where none did."""
    if not controls.invalid:
        return None
    return "STUDY INVALID. " + " ".join(sentence for _, sentence in sorted(controls.invalid.items()))


def study_notes(case: Case) -> tuple[str, ...]:
    """What holds for all verdicts of the study."""
    settings, looks = case.layout.settings, case.layout.looks
    seeds = "/".join(str(look.n) for look in looks)
    notes = [
        f"If the true drop were exactly the margin, at most {settings.alpha:.0%} of such verdicts would be wrong "
        f"in either direction.",
        f"Looked at {seeds} seeds; error rates hold per {settings.family}.",
    ]
    notes += [f"(unguarded) {record.sentence}" for record in case.controls.records if record.status == "missing"]
    if settings.chance == 0:
        notes.append("Chance accuracy was not given: only runs near 0% count as collapsed.")
    return tuple(notes)


def _and(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))
