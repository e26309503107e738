"""The answers of a report, in plain words: one line per method with its numbers, accuracies, leads, remarks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from prunecheck.reporting.check_names import check_name, in_plain_words
from prunecheck.reporting.data import ReportData
from prunecheck.reporting.summary import Arm, arms, is_number, mean
from prunecheck.reporting.text import MEANINGS, check_effect, effect, remarks, share
from prunecheck.statistics.outcome import (
    GENERAL_NOTES,
    UNEQUAL_TRAINING,
    CheckVerdict,
    ComparisonVerdict,
    MethodAnswer,
    MethodVerdict,
    StudyVerdict,
    headline,
)
from prunecheck.statistics.roles import RANDOM_TICKET
from prunecheck.statistics.rows import CLEAN, DENSE, Metric, unit_name
from prunecheck.text import counted, listing

ROLES = {"reference": "reference", "positive": "positive control"}
MOST_SPARSITIES = 4
MOST_NUMBERS = 3
HALF_TRAINED = 0.5
"""a dense network that knows less than this share of what lies between guessing and no error is far from trained"""


@dataclass(frozen=True)
class Answer:
    """One method. ``accuracy``: of its clean arm, in words; ``beside``: the accuracies to compare it with.

    ``verdict`` is None for a reference of which only controls were run, and for a method that was only compared.
    """

    method: str
    verdict: MethodAnswer | None
    role: str
    sentence: str
    notes: str
    accuracy: str
    beside: str


def answers(data: ReportData) -> list[Answer]:
    """Methods under test first, then the positive control and the reference; last the methods only compared."""
    verdict, clean = data.verdict, clean_accuracies(data)
    found = [_answer(method, verdict, clean) for method in sorted(verdict.methods, key=lambda m: m.role is not None)]
    rest = dict.fromkeys(one.first for one in verdict.comparisons)
    for name in [name for name in rest if name not in {answer.method for answer in found}]:
        found.append(Answer(name, None, "", "No check was run.", "", clean.get(name, ""), _beside(name, clean)))
    return found


def clean_accuracies(data: ReportData) -> dict[str, str]:
    """Method -> mean accuracy of its clean arm (``93.0%``; one number per sparsity), and of the dense network."""
    found: dict[str, list[Arm]] = {}
    for arm in arms(data):
        if arm.check == CLEAN:
            found.setdefault(arm.method, []).append(arm)
    texts = {method: _by_sparsity(mine) for method, mine in found.items()}
    dense = data.verdict.dense_accuracy
    return texts if dense is None else texts | {DENSE: share(dense)}


def _by_sparsity(mine: Sequence[Arm]) -> str:
    """Of many sparsities only the lowest and the highest."""
    numbers = [share(arm.mean) for arm in mine]
    return listing(numbers) if len(numbers) <= MOST_SPARSITIES else f"{numbers[0]} to {numbers[-1]}"


def _answer(method: MethodVerdict, verdict: StudyVerdict, clean: Mapping[str, str]) -> Answer:
    mine = [c for c in verdict.checks if c.method == method.method and c.control in (None, "positive")]
    notes = [note for note in method.notes if not note.startswith(("reference:", "positive control:"))]
    if method.verdict in ("INCONCLUSIVE", "UNINFORMATIVE") and mine:
        notes.insert(0, " ".join(method.reasons))
    is_judged = bool(mine) or method.role is None
    return Answer(
        method.method,
        method.verdict if is_judged else None,
        ROLES.get(method.role or "", ""),
        losses_sentence(method, mine),
        remarks(in_plain_words(note, (check.check for check in verdict.checks)) for note in notes),
        clean.get(method.method, ""),
        _beside(method.method, clean),
    )


def _beside(method: str, clean: Mapping[str, str]) -> str:
    """``random ticket 92.4%, dense 95.6%``; empty where the method's own accuracy is unknown."""
    if method not in clean:
        return ""
    others = (("random ticket", RANDOM_TICKET), ("dense", DENSE))
    return ", ".join(f"{name} {clean[key]}" for name, key in others if key in clean and key != method)


def losses_sentence(method: MethodVerdict, mine: Sequence[CheckVerdict]) -> str:
    """What the checks of one method cost it, with the numbers that decide its verdict."""
    if not mine:
        role = "The other methods are compared with it. " if method.role == "reference" else ""
        return f"{role}Only controls were run."
    groups = [("Loses more than the margin", "DEPENDS"), ("No loss beyond the margin", "DOES NOT DEPEND")]
    if method.verdict == "FAILS":
        groups.reverse()
    parts = [(words, [c for c in mine if c.verdict == answer]) for words, answer in groups]
    parts.append(("Undecided", [c for c in mine if c.verdict == "INCONCLUSIVE"]))
    parts.append(("No answer", [c for c in mine if c.verdict == "UNINFORMATIVE"]))
    return " ".join(f"{words} with {_named(found)}." for words, found in parts if found)


def _named(checks: Iterable[CheckVerdict]) -> str:
    """Checks by name with their numbers; of many checks the names alone, since the table has all numbers."""
    texts = [(check_name(check.check), check_effect(check)) for check in checks]
    if len(texts) > MOST_NUMBERS:
        return listing([name for name, _ in texts])
    return listing([f"{name} ({numbers})" if numbers else name for name, numbers in texts])


def lead_sentence(one: ComparisonVerdict, clean: Mapping[str, str], metric: Metric = "accuracy") -> str:
    """``93.0% against 92.4%, lead +0.58 [-0.17, +1.15] points (5 seeds): the lead is below the margin.``"""
    cell = headline(one)
    both = [clean[name] for name in (one.first, one.second) if name in clean]
    accuracy = f"{both[0]} against {both[1]}, lead" if len(both) == 2 else "Lead"
    seeds = f" ({counted(cell.n, 'seed')})" if cell else ""
    meaning = "equal within the margin" if one.equivalent else MEANINGS[one.verdict]
    return f"{accuracy} {effect(cell) or 'n/a'} {unit_name(metric)}{seeds}: {meaning}."


def opponents(verdict: StudyVerdict) -> list[str]:
    """The methods that others are compared with, in the order of the verdict."""
    return list(dict.fromkeys(one.second for one in verdict.comparisons))


def study_remarks(data: ReportData) -> list[str]:
    """What a reader has to know before the numbers: about the training, the data and the study; each once."""
    special = [note for note in data.verdict.notes if not note.startswith((*GENERAL_NOTES, "(unguarded)"))]
    training = [note for one in data.verdict.comparisons for note in one.notes if note.startswith(UNEQUAL_TRAINING)]
    return list(dict.fromkeys([*filter(None, [far_from_trained(data)]), *training, *special]))


def general_notes(verdict: StudyVerdict) -> list[str]:
    """The design and the error rates: what every study of this kind says."""
    return [note for note in verdict.notes if note.startswith(GENERAL_NOTES)]


def far_from_trained(data: ReportData) -> str:
    """A remark where the dense network learned little, also of its training images; empty where it did or the accuracy
    of guessing is unknown."""
    settings = (data.verdict.origin or {}).get("settings")
    chance = settings.get("chance") if isinstance(settings, Mapping) else None
    reached = data.verdict.dense_accuracy
    if not is_number(chance) or not 0 < chance < 1 or reached is None:
        return ""
    fitted = [float(row["train_accuracy"]) for row in data.rows if _is_fitted_dense(row)]
    best = max([reached, *([mean(fitted)] if fitted else [])])
    if (best - chance) / (1 - chance) >= HALF_TRAINED:
        return ""
    return (
        f"The dense network is far from trained: it has {share(reached)} of the test images right, guessing has "
        f"{share(chance)}. Longer training may change every verdict."
    )


def _is_fitted_dense(row: Mapping[str, object]) -> bool:
    return row["sparsity"] is None and row["method"] == DENSE and is_number(row.get("train_accuracy"))
