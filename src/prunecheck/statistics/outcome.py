"""What a verdict is: values with sentences. The shape of ``verdicts.json``; differences and margins in points."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from prunecheck import html
from prunecheck.statistics.rows import METRIC_NAMES, Metric, Unit, number, unit, unit_name
from prunecheck.text import counted, listing, points, printable

SCHEMA_VERSION = 2

Answer = Literal["DEPENDS", "DOES NOT DEPEND", "INCONCLUSIVE", "UNINFORMATIVE"]
INSTRUMENT_CONTROLS = ("identity", "planted")
"""control roles that test the instrument and no method: tables of methods and checks leave them out"""
CONTROL_NAMES = {
    "positive": "positive control",
    "aa": "A/A control",
    "identity": "identity control",
    "planted": "planted effect",
}

UNEQUAL_TRAINING = "Not at equal training"
"""begins the note of a comparison of methods that had different numbers of epochs, those of learned masks included"""
GENERAL_NOTES = ("If the true mean drop", "Analysed ", "PASSES and FAILS")
"""how the notes begin that tell the design and its error rates; all others are remarks on this one study"""

MethodAnswer = Literal["PASSES", "FAILS", "INCONCLUSIVE", "UNINFORMATIVE"]
ComparisonAnswer = Literal["BETTER", "NOT BETTER", "WORSE", "INCONCLUSIVE"]

SYMBOLS = {
    "DEPENDS": "●",
    "DOES NOT DEPEND": "○",
    "INCONCLUSIVE": "◐",
    "UNINFORMATIVE": "–",
    "PASSES": "✓",
    "FAILS": "✗",
    "BETTER": "▲",
    "NOT BETTER": "○",
    "WORSE": "▼",
}
CONTROL_SYMBOLS = {"ok": "✓", "failed": "✗", "weak": "◐", "missing": "–"}


@dataclass(frozen=True)
class MarginCurve:
    """What the whole rule says at any margin, in points: DEPENDS (or BETTER, PASSES) below ``depends_below``,
    DOES NOT DEPEND (or NOT BETTER, FAILS) above ``not_above``, open in between.

    ``guarded_below``: at larger margins the positive control is not shown to be hurt, so that nothing may be called
    independent; infinite where there is no positive control. Infinite values are None in ``verdicts.json``.
    """

    depends_below: float
    not_above: float
    guarded_below: float = math.inf


@dataclass(frozen=True)
class DocumentSpread:
    """Where the noise of a mean over documents and seeds comes from.

    ``error_seeds``, ``error_documents``: the parts of the standard error, which add up as squares; ``dof``: degrees of
    freedom of the t distribution that gives the same bounds.
    """

    documents: int
    error_seeds: float
    error_documents: float
    dof: float


@dataclass(frozen=True)
class Cell:
    """One method x check x sparsity (or one comparison at one sparsity, where a drop is the lead of the first method).

    ``low``, ``high``: one-sided bounds of the mean drop, in points, that hold over all interim analyses together; each
    is wrong in at most ``low_level`` and ``high_level`` of studies. DEPENDS is ``low > margin``, DOES NOT DEPEND is
    ``high < margin``. Infinite before the first analysis. A mean over several sparsities has NaN for its ``sparsity``.
    ``borrowed_sd``: the moderated standard deviation of a difference, which the bounds use.
    """

    sparsity: float
    verdict: Answer | ComparisonAnswer
    n: int
    mean_drop: float
    low: float
    high: float
    margin: float
    p_depends: float
    p_not: float
    sd: float
    borrowed_sd: float
    d0: float
    floor_sd: float
    break_even: float
    seeds_needed: int | None
    win_share: float
    differences: dict[str, float]
    """seed -> clean minus corrupted, in points"""
    sentence: str
    notes: tuple[str, ...] = ()
    low_level: float = 0.05
    high_level: float = 0.05
    unit: Unit = "points"
    """of drops, bounds and the margin: nats for negative log-likelihoods"""
    documents: DocumentSpread | None = None
    """None where only means over the test set were known"""
    limit: float | None = None
    """``low`` (``high`` where the answer is WORSE) counts larger drops as this, in ``unit``; None where it counts all
    drops as they are"""


@dataclass(frozen=True)
class CheckVerdict:
    """One method x check over all its sparsities; ``pooled`` is the per-seed mean over the informative ones."""

    method: str
    check: str
    verdict: Answer
    sentence: str
    cells: tuple[Cell, ...]
    pooled: Cell | None
    everywhere: bool
    """does not depend at every single sparsity, not only on average"""
    open: bool
    """more seeds could still change this verdict"""
    control: str | None = None
    """None, or the role: 'positive', 'aa', 'identity', 'planted'"""
    notes: tuple[str, ...] = ()
    curve: MarginCurve | None = None


@dataclass(frozen=True)
class ComparisonVerdict:
    """The clean arm of ``first`` against the clean arm of ``second``, paired by seed. Lead: accuracy of the first minus
    that of the second, in points.

    BETTER: the lead exceeds the margin. NOT BETTER: the lead is below the margin (``equivalent``: and above minus the
    margin, too). WORSE: the second leads by more than the margin. INCONCLUSIVE: none of these is shown.
    """

    first: str
    second: str
    verdict: ComparisonAnswer
    sentence: str
    cells: tuple[Cell, ...]
    pooled: Cell | None
    """the per-seed mean over the sparsities"""
    equivalent: bool
    open: bool
    """more seeds of the two clean arms could still change this verdict"""
    curve: MarginCurve
    """BETTER below, NOT BETTER above"""
    reverse: MarginCurve
    """the same with the methods exchanged: WORSE at margins below ``reverse.depends_below``"""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class MethodVerdict:
    """One method over the checks required of it."""

    method: str
    verdict: MethodAnswer
    sentence: str
    failed_checks: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    role: Literal["reference", "positive"] | None = None
    """'reference' for the random ticket, 'positive' for the positive control: not methods under test"""
    curve: MarginCurve | None = None
    reasons: tuple[str, ...] = ()
    """not in ``verdicts.json``: the parts of ``sentence`` after the verdict, without the count of checks"""


@dataclass(frozen=True)
class Control:
    """One control of the study, and whether it shows that the study can be believed."""

    role: Literal["positive", "aa", "identity", "planted"]
    method: str
    check: str
    sparsity: float | None
    status: Literal["ok", "failed", "weak", "missing"]
    sentence: str


@dataclass(frozen=True)
class StudyVerdict:
    """The verdicts of a study. ``looks``: numbers of seeds at which it is analysed; empty for a fixed design."""

    study: str
    margin: float
    margin_rule: str
    alpha: float
    looks: tuple[int, ...]
    dense_accuracy: float | None
    """mean over the dense runs, a fraction"""
    n_test: int
    methods: tuple[MethodVerdict, ...]
    checks: tuple[CheckVerdict, ...]
    controls: tuple[Control, ...]
    banner: str | None
    """None, or the sentence that replaces every answer when the controls failed"""
    notes: tuple[str, ...] = ()
    comparisons: tuple[ComparisonVerdict, ...] = ()
    design: Literal["fixed", "sequential"] = "fixed"
    seed_sd: float | None = None
    """standard deviation of a clean arm between seeds, pooled, in points"""
    metric: Metric = "accuracy"
    """what was compared; drops, leads and the margin are in points of it"""
    basis: Literal["runs", "summaries"] = "runs"
    """'summaries': judged from means and spreads, unpaired"""
    origin: Mapping[str, Any] | None = None
    """the settings, and a hash of the rows they belong to: see ``statistics.origin``"""
    schema_version: int = field(default=SCHEMA_VERSION)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; non-finite numbers become None."""
        found = plain(asdict(self))
        assert isinstance(found, dict)
        for method in found["methods"]:
            del method["reasons"]
        return found

    def __repr__(self) -> str:
        return as_text(self)

    def _repr_html_(self) -> str:
        return as_html(self)


def plain(value: Any) -> Any:
    """*value* as JSON can hold it: text as keys, lists, None for numbers that are not finite."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    return value


def as_text(verdict: StudyVerdict) -> str:
    """A line for the study, the banner if there is one, then a sentence for each method, with a line for each of its
    checks, and for each comparison."""
    lines = [title(verdict)]
    if verdict.banner:
        lines.append(verdict.banner)
    for method in verdict.methods:
        lines.append(_line(method, verdict))
        lines += [
            f"  {_symbol(check, verdict)} {check.check}: {_word(check, verdict)}, {_drop(check)}"
            for check in verdict.checks
            if check.method == method.method and check.control not in INSTRUMENT_CONTROLS
        ]
    lines += [f"{SYMBOLS[one.verdict]} {one.sentence}" for one in verdict.comparisons]
    lines += [legend] if (legend := intervals_sentence(verdict)) else []
    lines.append(controls_sentence(verdict))
    return "\n".join(printable(line, 600) for line in lines)


def as_html(verdict: StudyVerdict) -> str:
    """The same with the table methods x checks, for a notebook: no script, no style, every name escaped."""
    parts = [html.said(title(verdict), "h4")]
    if verdict.banner:
        parts.append(html.said(verdict.banner, "strong"))
    parts += [html.said(_line(method, verdict)) for method in verdict.methods]
    parts += [html.said(f"{SYMBOLS[one.verdict]} {one.sentence}") for one in verdict.comparisons]
    rows = [
        (check.method, check.check, f"{_symbol(check, verdict)} {_word(check, verdict)}", _drop(check))
        for check in verdict.checks
        if check.control not in INSTRUMENT_CONTROLS
    ]
    if rows:
        heads = ("method", "check", "verdict", f"drop in {unit(verdict.metric)} [{interval_name(verdict)}]")
        parts.append(
            html.table(
                f"Mean drop in {METRIC_NAMES[verdict.metric]} when a check destroys what a method could use",
                heads,
                rows,
            )
        )
    return "".join([*parts, html.said(controls_sentence(verdict))])


def headline(one: CheckVerdict | ComparisonVerdict) -> Cell | None:
    """The one cell that represents a check or a comparison: the mean over the sparsities, or the only cell; None where
    several sparsities have no common mean."""
    return one.pooled or (one.cells[0] if len(one.cells) == 1 else None)


def control_status(check: CheckVerdict, controls: Sequence[Control]) -> str | None:
    """``ok``, ``failed``, ``weak`` or ``missing`` for a check that tests the study itself, the worst of its sparsities;
    None for a check of a method."""
    if check.control == "planted":
        return "ok" if check.verdict == "DEPENDS" else "weak"
    if check.control not in ("aa", "identity"):
        return None
    place = check.control, check.method, check.check
    found = {c.status for c in controls if (c.role, c.method, c.check) == place}
    return next((status for status in ("failed", "weak", "missing", "ok") if status in found), None)


def control_word(check: CheckVerdict, controls: Sequence[Control]) -> str:
    """``control ok`` for a check that tests the study itself; empty for a check of a method."""
    status = control_status(check, controls)
    return {"missing": "control not run"}.get(status, f"control {status}") if status else ""


def _line(method: MethodVerdict, verdict: StudyVerdict) -> str:
    """The sentence of a method; a reference of which only controls were run has no verdict."""
    controls = ("aa", *INSTRUMENT_CONTROLS)
    if method.role == "reference" and all(c.control in controls for c in verdict.checks if c.method == method.method):
        return f"{SYMBOLS['UNINFORMATIVE']} {method.method}: the reference."
    return f"{SYMBOLS[method.verdict]} {method.sentence}"


def _symbol(check: CheckVerdict, verdict: StudyVerdict) -> str:
    status = control_status(check, verdict.controls)
    return CONTROL_SYMBOLS[status] if status else SYMBOLS[check.verdict]


def _word(check: CheckVerdict, verdict: StudyVerdict) -> str:
    return control_word(check, verdict.controls) or check.verdict.lower()


def interval_name(verdict: StudyVerdict) -> str:
    """``90% interval``; ``90% to 93.3% interval`` where the verdicts of checks use bounds of several levels."""
    return levels_name(_headlines(verdict.checks))


def intervals_sentence(verdict: StudyVerdict) -> str:
    """What the numbers of the answers are: their unit, the level of the intervals, and how a mean can lie outside of
    them. Empty where nothing was judged."""
    of, leads = unit_name(verdict.metric), levels_name(_headlines(verdict.comparisons))
    parts = []
    if verdict.checks:
        parts.append(f"Mean drop in {of} [{interval_name(verdict)}].")
    if verdict.comparisons and not (verdict.checks and leads == interval_name(verdict)):
        parts.append(f"Leads: [{leads}]." if verdict.checks else f"Leads in {of} [{leads}].")
    return " ".join([*parts, *filter(None, [outside_sentence(verdict)])])


def outside_sentence(verdict: StudyVerdict) -> str:
    """Why a mean can lie outside its interval; empty where none does."""
    judged: list[CheckVerdict | ComparisonVerdict] = [*verdict.checks, *verdict.comparisons]
    cells = [cell for one in judged for cell in (*one.cells, *([one.pooled] if one.pooled else []))]
    if any(cell.mean_drop < cell.low or cell.mean_drop > cell.high for cell in cells):
        return (
            "Some means lie outside their interval: its bounds hold over all interim analyses together, and an earlier "
            "analysis, with fewer seeds, gave the tighter bound."
        )
    return ""


def _headlines(judged: Sequence[CheckVerdict] | Sequence[ComparisonVerdict]) -> list[Cell]:
    cells = [headline(one) for one in judged]
    return [cell for cell in cells if cell is not None and math.isfinite(cell.low)]


def levels_name(cells: Iterable[Cell]) -> str:
    """``90% interval``; ``90% to 93.3% interval`` where the bounds of *cells* are of several levels."""
    levels = sorted({round(100 * (1 - cell.low_level - cell.high_level), 1) for cell in cells}) or [90.0]
    return f"{levels[0]:g}% interval" if len(levels) == 1 else f"{levels[0]:g}% to {levels[-1]:g}% interval"


def title(verdict: StudyVerdict) -> str:
    mark = " (summary, unpaired)" if verdict.basis == "summaries" else ""
    return f"{verdict.study}: margin {points(verdict.margin)} {unit_name(verdict.metric)}{mark}"


def controls_sentence(verdict: StudyVerdict) -> str:
    """How many of the controls that were run are ok, which are not, and which were not run."""
    run = [c for c in verdict.controls if c.status != "missing"]
    missing = dict.fromkeys(CONTROL_NAMES[c.role] for c in verdict.controls if c.status == "missing")
    if not run:
        return "No controls were run: an answer of “does not depend” is unguarded."
    parts = [f"{sum(c.status == 'ok' for c in run):,} of {counted(len(run), 'control')} ok"]
    for status in ("failed", "weak"):
        names = dict.fromkeys(CONTROL_NAMES[c.role].removesuffix(" control") for c in run if c.status == status)
        parts += [f"{listing(list(names))} {status}"] if names else []
    parts += [f"not run: {listing(list(missing))}"] if missing else []
    return f"{'; '.join(parts)}."


def _drop(check: CheckVerdict) -> str:
    cell = headline(check)
    if cell is None or not math.isfinite(cell.mean_drop):
        return "n/a"
    bounds = f" [{number(cell.low, cell.unit)}, {number(cell.high, cell.unit)}]" if math.isfinite(cell.low) else ""
    return f"{number(cell.mean_drop, cell.unit)}{bounds}"
