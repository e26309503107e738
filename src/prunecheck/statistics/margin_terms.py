"""Margins in terms of clean runs: ``"1 sd"`` between dense runs, ``"30% of lead"`` over the random ticket, or
``"10% of loss of magnitude"``, a share of what a method loses against the dense network.

Only clean arms take part, so that the results of corrupted arms cannot choose their own margin.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from statistics import fmean, stdev
from typing import NamedTuple

from prunecheck.errors import StudyError
from prunecheck.statistics.margin import ENOUGH_DENSE, EXAMPLES, Margin
from prunecheck.statistics.roles import RANDOM_TICKET
from prunecheck.statistics.rows import CLEAN, DENSE, Metric, Row, Unit, amount, size, unit
from prunecheck.statistics.summaries import Summary
from prunecheck.text import as_number, counted, listing, percent, printable, unknown

_NUMBER = r"(\d+(?:\.\d+)?)"
_SEED_SDS = re.compile(rf"{_NUMBER}\s*(?:seed\s+)?sds?", re.IGNORECASE)
_SHARE_OF_LOSS = re.compile(rf"{_NUMBER}\s*%\s*of\s+(?:the\s+)?loss\s+of\s+(\S+)", re.IGNORECASE)
_SHARE_OF_LEAD = re.compile(rf"{_NUMBER}\s*%\s*of\s+(?:the\s+)?lead(?:\s+of\s+(\S+))?", re.IGNORECASE)


class SeedSds(NamedTuple):
    """``times`` the standard deviation of the dense runs between seeds."""

    times: float


class ShareOfLead(NamedTuple):
    """A fraction of the lead over the random ticket: that of *method*, or of the only method under test."""

    fraction: float
    method: str | None


class ShareOfLoss(NamedTuple):
    """A fraction of what *method* loses against the dense network, without any check."""

    fraction: float
    method: str


class Lead(NamedTuple):
    """The mean clean accuracy of a method minus that of the random ticket, in points, and the runs it comes from."""

    points: float
    runs: int


class CleanRuns(NamedTuple):
    """What a margin may be derived from. ``dense_sd``: points, None = unknown; ``dense``: number of dense runs."""

    n_test: int
    dense_sd: float | None
    dense: int
    leads: Mapping[str, Lead]
    """by method, where the random ticket takes part"""
    losses: Mapping[str, Lead]
    """mean of the dense runs minus that of a method's clean arm, where there are dense runs"""
    unit: Unit = "points"


def parse_margin(given: float | str) -> float | SeedSds | ShareOfLead | ShareOfLoss:
    """A margin in points or in terms of clean runs. Raises StudyError for any other text."""
    text = str(given).strip()
    with suppress(ValueError):
        return float(text)
    number = as_number(given)
    if number is not None:
        return number
    if match := _SEED_SDS.fullmatch(text):
        found: SeedSds | ShareOfLead | ShareOfLoss = SeedSds(float(match[1]))
    elif match := _SHARE_OF_LOSS.fullmatch(text):
        found = ShareOfLoss(float(match[1]) / 100, match[2])
    elif match := _SHARE_OF_LEAD.fullmatch(text):
        found = ShareOfLead(float(match[1]) / 100, match[2])
    else:
        raise StudyError(
            f"margin {printable(text, 40)!r}: write points (0.5), standard deviations between seeds "
            '("1 sd"), a share of the lead over the random ticket ("30% of lead", "30% of lead of snip"), or of what a '
            'method loses against the dense network ("10% of loss of magnitude").'
        )
    if not 0 < found[0] <= 100:
        raise StudyError(f"margin {printable(text, 40)!r} must be above 0 and at most 100 times what it refers to.")
    return found


def derive_margin(
    term: SeedSds | ShareOfLead | ShareOfLoss, runs: CleanRuns, positive_control: str | None = None
) -> Margin:
    """The margin in points, never below 5 test examples.

    *positive_control*: its lead is not taken unless it is named. Raises StudyError where the clean runs do not give
    the margin.
    """
    if isinstance(term, SeedSds):
        share, what = _seed_sds(term, runs)
    elif isinstance(term, ShareOfLoss):
        share, what = _share_of_loss(term, runs)
    else:
        share, what = _share(term, runs, positive_control)
    # A mean of nats is not a count of examples: it has no smallest step.
    floor = 100 * EXAMPLES / runs.n_test if runs.unit == "points" else 0.0
    if share >= floor:
        rule = f"The margin of {size(share, runs.unit)} {runs.unit} is {what}."
    else:
        rule = f"The margin of {floor:.2f} points is {EXAMPLES} of the {runs.n_test} test examples: {what} is less."
    return Margin(max(share, floor), f"{rule} The error rates take it as known.")


def clean_runs(rows: Iterable[Row], metric: Metric) -> CleanRuns:
    """The clean arms among *rows*, which are not empty. A lead is over the seeds of both arms."""
    rows = tuple(rows)
    dense = [row.score(metric) for row in rows if row.method == DENSE]
    arms: dict[tuple[str, float | None], dict[int, float]] = defaultdict(dict)
    for row in rows:
        if row.check == CLEAN and row.method != DENSE:
            arms[row.method, row.sparsity][row.seed] = row.score(metric)
    found: dict[str, list[Lead]] = defaultdict(list)
    for (method, sparsity), arm in arms.items():
        other = arms.get((RANDOM_TICKET, sparsity), {})
        common = arm.keys() & other.keys()
        if method != RANDOM_TICKET and common:
            found[method].append(Lead(fmean(arm[seed] - other[seed] for seed in common), len(common)))
    losses: dict[str, list[Lead]] = defaultdict(list)
    for (method, _), arm in arms.items():
        if dense:
            losses[method].append(Lead(fmean(dense) - fmean(arm.values()), len(arm)))
    spread = stdev(dense) if len(dense) > 1 else None
    return CleanRuns(rows[0].n_test, spread, len(dense), _mean_leads(found), _mean_leads(losses), unit(metric))


def clean_summaries(summaries: Iterable[Summary]) -> CleanRuns:
    """The clean arms of a table of means, which is not empty."""
    summaries = tuple(summaries)
    dense = next((one for one in summaries if one.method == DENSE), None)
    clean = {(one.method, one.sparsity): one for one in summaries if one.check == CLEAN and one.method != DENSE}
    found: dict[str, list[Lead]] = defaultdict(list)
    for (method, sparsity), arm in clean.items():
        other = clean.get((RANDOM_TICKET, sparsity))
        if method != RANDOM_TICKET and other is not None:
            found[method].append(Lead(arm.mean - other.mean, min(arm.n, other.n)))
    runs = (dense.sd, dense.n) if dense is not None else (None, 0)
    losses: dict[str, list[Lead]] = defaultdict(list)
    for (method, _), arm in clean.items():
        if dense is not None:
            losses[method].append(Lead(dense.mean - arm.mean, arm.n))
    return CleanRuns(summaries[0].n_test, *runs, _mean_leads(found), _mean_leads(losses))


def _mean_leads(found: Mapping[str, list[Lead]]) -> dict[str, Lead]:
    """Over the sparsities, each counted once."""
    return {
        method: Lead(fmean(one.points for one in leads), sum(one.runs for one in leads))
        for method, leads in found.items()
    }


def _seed_sds(term: SeedSds, runs: CleanRuns) -> tuple[float, str]:
    if runs.dense_sd is None or runs.dense < ENOUGH_DENSE:
        raise StudyError(
            f'margin "{term.times:g} sd" needs at least {ENOUGH_DENSE} dense runs, and their spread; there '
            f"{'is' if runs.dense == 1 else 'are'} {runs.dense}. Add rows with method 'dense', or give points."
        )
    count = "1 standard deviation" if term.times == 1 else f"{term.times:g} standard deviations"
    return term.times * runs.dense_sd, f"{count} between seeds, estimated from {counted(runs.dense, 'dense run')}"


def _share(term: ShareOfLead, runs: CleanRuns, positive_control: str | None) -> tuple[float, str]:
    share = percent(term.fraction)
    if not runs.leads:
        raise StudyError(
            f'margin "{share} of lead" needs clean arms of {RANDOM_TICKET} and of another method at one sparsity, with '
            "seeds in common."
        )
    name = term.method
    if name is None:
        under_test = [method for method in runs.leads if method != positive_control]
        if len(under_test) != 1:
            names = listing([printable(method) for method in sorted(under_test or runs.leads)])
            raise StudyError(
                f'margin "{share} of lead": whose lead? There are {names}: write "{share} of lead of '
                f'{printable(min(under_test or runs.leads))}".'
            )
        name = under_test[0]
    if name not in runs.leads:
        raise StudyError(f"margin: {unknown('method with a lead over random_ticket', name, runs.leads)}")
    lead = runs.leads[name]
    if lead.points <= 0:
        raise StudyError(
            f"margin: {printable(name)} has no lead over the random ticket ({amount(lead.points, runs.unit)}), so that "
            f"no share of it is a margin. Give it in {runs.unit}."
        )
    where = f"the lead of {printable(name)} over the random ticket"
    pairs = f"{amount(lead.points, runs.unit)}, {counted(lead.runs, 'pair')} of clean runs"
    return term.fraction * lead.points, f"{share} of {where} ({pairs})"


def _share_of_loss(term: ShareOfLoss, runs: CleanRuns) -> tuple[float, str]:
    share = percent(term.fraction)
    if not runs.losses:
        raise StudyError(
            f'margin "{share} of loss of {printable(term.method)}" needs dense runs and a clean arm of that method.'
        )
    if term.method not in runs.losses:
        raise StudyError(f"margin: {unknown('method with a clean arm', term.method, runs.losses)}")
    loss = runs.losses[term.method]
    if loss.points <= 0:
        raise StudyError(
            f"margin: {printable(term.method)} loses nothing against the dense network "
            f"({amount(-loss.points, runs.unit)}), so that no share of it is a margin. Give it in {runs.unit}."
        )
    what = f"what {printable(term.method)} loses against the dense network"
    return term.fraction * loss.points, f"{share} of {what} ({size(loss.points, runs.unit)} {runs.unit})"
