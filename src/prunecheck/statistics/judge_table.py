"""Judge a finished table from any program: a fixed design, unless it is said or known to be a sequential one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from prunecheck.errors import StudyError
from prunecheck.statistics.judge_summaries import judge_summaries
from prunecheck.statistics.judging import judge
from prunecheck.statistics.language_table import is_language_table, judge_language_table, read_language_table
from prunecheck.statistics.margin import note_on_change
from prunecheck.statistics.margin_terms import (
    SeedSds,
    ShareOfLead,
    ShareOfLoss,
    clean_runs,
    clean_summaries,
    derive_margin,
    parse_margin,
)
from prunecheck.statistics.origin import origin_of
from prunecheck.statistics.outcome import StudyVerdict
from prunecheck.statistics.roles import RANDOM_TICKET
from prunecheck.statistics.rows import CLEAN, DENSE, Metric
from prunecheck.statistics.settings import Settings
from prunecheck.statistics.tables import Reading, Source, Table, read_table
from prunecheck.text import printable, unknown


def verdict(
    source: Source,
    margin: float | str | None = None,
    *,
    chance: float | None = None,
    classes: int | None = None,
    looks: Sequence[int] = (),
    against: str | Sequence[str] = (),
    metric: Metric | None = None,
    reading: Reading | None = None,
) -> StudyVerdict:
    """Judge results from a file, a DataFrame, or rows as dicts: one row per trained network, or means with spreads.

    *margin*: points of the metric, ``"1 sd"`` between the dense runs or ``"30% of lead"`` over the random ticket (see
    ``margin_terms``); by rule from the dense rows when None. *chance*: accuracy of guessing, a fraction, or
    *classes*: the number of equally large classes; a column ``chance`` or ``classes`` does as well. *looks*: the
    numbers of seeds at which results were looked at, where seeds were added depending on them; otherwise the number of
    seeds counts as fixed beforehand. *against*: compare the clean arm of every other method with these methods.
    *metric*: the column to judge, ``accuracy``, ``p_correct`` or ``brier``. *reading*: what the table does not say of
    itself.

    The ``results.csv`` of a study beside its ``verdicts.json`` is judged as the study was; what is given here comes
    first. That of a study of language models needs its ``documents.csv`` beside it, and knows *margin* and *against*
    only. Raises StudyError where the rows are no results, or where there is neither a margin nor a dense run.
    """
    if is_language_table(source):
        _refuse_options(chance, classes, looks, metric, reading)
        return judge_language_table(read_language_table(Path(source)), margin, against)
    table = read_table(source, reading)
    name, settings, remarks = table.name, Settings(), list(table.remarks)
    if table.rows and isinstance(source, str | Path):
        origin, remark = origin_of(Path(source), table.rows)
        if origin is not None:
            name, settings = origin
        remarks += [remark] if remark else []
    settings = _with_chance(settings, table, chance, classes)
    if looks:
        settings = replace(settings, design="sequential", looks=tuple(looks), max_seeds=max(looks))
    if metric is not None:
        settings = replace(settings, metric=metric)
    if margin is not None:
        settings = _with_margin(settings, table, parse_margin(margin))
    settings = replace(
        settings, compare=_comparisons(table, settings, [against] if isinstance(against, str) else against)
    )
    if table.summaries:
        found = judge_summaries(table.summaries, study=name, settings=settings)
    else:
        found = judge(table.rows, study=name, settings=settings)
    return replace(found, notes=(*remarks, *found.notes))


def _refuse_options(
    chance: float | None, classes: int | None, looks: Sequence[int], metric: Metric | None, reading: Reading | None
) -> None:
    given = {"chance": chance, "classes": classes, "looks": tuple(looks) or None, "metric": metric}
    given |= {} if reading is None else vars(reading)
    if names := [name for name, value in given.items() if value is not None]:
        raise StudyError(
            f"{names[0]}: this is for tables of accuracies. Language models are judged by the nats per token of every "
            "document; only a margin and a method to compare with (against) may be given."
        )


def _with_chance(settings: Settings, table: Table, chance: float | None, classes: int | None) -> Settings:
    if classes is not None and classes < 2:
        raise StudyError(f"classes {classes} must be at least 2.")
    told = {
        "chance": chance,
        "classes": None if classes is None else 1 / classes,
        "the table": table.chance,
    }
    given = {name: value for name, value in told.items() if value is not None}
    if not given:
        return settings
    if max(given.values()) - min(given.values()) > 1e-6:
        (one, first), (other, second), *_ = given.items()
        raise StudyError(f"chance accuracy is {first:g} by {one} and {second:g} by {other}. Which one is it?")
    return replace(settings, chance=next(iter(given.values())))


def _with_margin(settings: Settings, table: Table, given: float | SeedSds | ShareOfLead | ShareOfLoss) -> Settings:
    was = settings.margin
    if isinstance(given, float):
        return replace(settings, margin=given, margin_was=was, margin_rule="")
    runs = clean_summaries(table.summaries) if table.summaries else clean_runs(table.rows, settings.metric)
    margin = derive_margin(given, runs, settings.positive_control)
    rule = margin.rule + note_on_change(margin, was)
    return replace(settings, margin=margin.points, margin_was=was, margin_rule=rule)


def _comparisons(table: Table, settings: Settings, against: Iterable[str]) -> tuple[tuple[str, str], ...] | None:
    """The pairs of methods to compare; None for the default, every method under test against the random ticket."""
    clean = list(dict.fromkeys(method for method, check in _arms(table) if check == CLEAN and method != DENSE))
    pairs = []
    for reference in against:
        if reference not in clean:
            raise StudyError(f"against: {unknown('method with a clean arm', reference, clean)}")
        others = [method for method in clean if method != reference]
        if not others:
            raise StudyError(f"against: there is no method besides {printable(reference)!r} to compare with it.")
        pairs += [(method, reference) for method in others]
    if pairs or settings.compare is not None:
        return tuple(pairs) or settings.compare
    only_clean = all(check == CLEAN for _, check in _arms(table))
    if not only_clean or (RANDOM_TICKET in clean and len(clean) > 1):
        return None
    if len(clean) == 2:
        return ((clean[0], clean[1]),)
    names = ", ".join(printable(name) for name in clean)
    raise StudyError(
        "nothing to judge: every row is of a clean arm. To compare methods with one of them: "
        f"--against METHOD (against= in Python), one of {names}."
        if clean
        else "nothing to judge: there is no row of a pruned network."
    )


def _arms(table: Table) -> list[tuple[str, str]]:
    rows = [(row.method, row.check) for row in table.rows]
    return rows + [(summary.method, summary.check) for summary in table.summaries]
