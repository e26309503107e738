"""The verdicts of a study of a language model: drops in nats per token, over documents and calibration draws.

A drop is the mean negative log likelihood per token of a document under the corrupted arm minus that under the clean
arm, paired by document and draw: positive where the corruption costs something. Both documents and draws are samples
(``crossed``). Sparsities are not averaged, since one nat at 70 % and one at 50 % are not alike: a check matters where
one sparsity says so after Bonferroni, and does not matter where every sparsity says so (Berger 1982).
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from prunecheck.statistics.crossed import DocumentsByDraws, documents_by_draws
from prunecheck.statistics.outcome import (
    Answer,
    Cell,
    CheckVerdict,
    ComparisonAnswer,
    ComparisonVerdict,
    Control,
    MarginCurve,
    MethodAnswer,
    MethodVerdict,
    StudyVerdict,
)
from prunecheck.statistics.procedure import holm
from prunecheck.statistics.rows import CLEAN, Metric
from prunecheck.statistics.settings import AA_ALPHA, MIN_SEEDS
from prunecheck.text import listing, percent, printable, signed

Array = NDArray[np.float64]
FEW_DRAWS = f"A verdict needs at least {MIN_SEEDS} calibration draws."
Place = tuple[str, str, float]
"""method, check, sparsity"""


@dataclass(frozen=True)
class DenseModel:
    """Nats per token of every document under the dense model, and the number of its scored tokens. ``unigram_mean``:
    mean over the documents under the token frequencies of the calibration text, NaN where that is not known."""

    nll: tuple[float, ...]
    unigram_mean: float
    tokens: tuple[int, ...]

    @property
    def perplexity(self) -> float:
        """exp of the nats of all scored tokens over their number."""
        return math.exp(float(np.dot(self.nll, self.tokens)) / sum(self.tokens))

    @property
    def mean(self) -> float:
        return float(np.mean(self.nll))

    @property
    def why_broken(self) -> str:
        """Why nothing measured of this model means anything; empty for a working one."""
        if self.mean < self.unigram_mean or math.isnan(self.unigram_mean):
            return ""
        return (
            f"The dense model predicts the evaluation documents no better ({self.mean:.2f} nats per token) than the "
            f"token frequencies of the calibration text do ({self.unigram_mean:.2f}): it is broken, was given the "
            "wrong tokenizer, or does not know such text. No verdict is given."
        )


@dataclass(frozen=True)
class LanguageArms:
    """``nll``: (method, check, sparsity) -> {seed: nats per token of every document, in the order of ``dense``}.
    ``names``: of the documents, in the same order; empty where verdicts are not to be written down.
    ``margins``: sparsity -> nats, only these are judged; ``margin_rule``: a sentence on where they come from.
    ``positive``: the check no method survives; ``aa``: the one that only draws anew. ``compare``: pairs of methods,
    clean arm with clean arm."""

    dense: DenseModel
    nll: Mapping[Place, Mapping[int, Sequence[float]]]
    margins: Mapping[float, float]
    margin_rule: str
    positive: str
    aa: str
    control_checks: frozenset[str] = frozenset()
    """checks that are there as controls only"""
    compare: tuple[tuple[str, str], ...] = ()
    names: tuple[str, ...] = ()


def share_of_loss(
    share: float, method: str, nll: Mapping[Place, Mapping[int, Sequence[float]]], dense: float
) -> tuple[dict[float, float], str]:
    """The margins at all sparsities where *method* loses something: *share* (a fraction) of the mean nats per token of
    its clean arm above *dense*. And the sentence that says so."""
    found = {}
    for sparsity in sorted({sparsity for _, _, sparsity in nll}):
        if draws := nll.get((method, CLEAN, sparsity)):
            found[sparsity] = share * max(float(np.mean([np.mean(one) for one in draws.values()])) - dense, 0.0)
    rule = f"{share:.0%} of what {printable(method)} loses against the dense model: {margins_in_words(found)}."
    return {sparsity: margin for sparsity, margin in found.items() if margin > 0}, rule


def margins_in_words(margins: Mapping[float, float]) -> str:
    """``0.033 nats per token at 70% and 0.051 at 80%``; ``0.050 nats per token`` where several sparsities share it."""
    values = [f"{margin:.3f}{'' if i else ' nats per token'}" for i, margin in enumerate(margins.values())]
    if len(values) > 1 and len(set(margins.values())) == 1:
        return values[0]
    return listing([f"{value} at {percent(sparsity)}" for value, sparsity in zip(values, margins, strict=True)])


@dataclass(frozen=True, repr=False)
class LanguageVerdict(StudyVerdict):
    """``margins``: sparsity -> nats per token. ``dense_nll``, ``unigram_nll``: means over the documents, nats per
    token; ``tokens``: scored ones of the dense model."""

    metric: Metric = "nll"
    margins: Mapping[float, float] = field(default_factory=dict)
    dense_nll: float = math.nan
    dense_perplexity: float = math.nan
    unigram_nll: float = math.nan
    documents: int = 0
    tokens: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; non-finite numbers become None. Entries that speak of trained networks are left out."""
        return {k: v for k, v in super().to_dict().items() if k not in ("dense_accuracy", "n_test", "seed_sd")}


def judge_language(study: str, arms: LanguageArms, alpha: float = 0.05) -> LanguageVerdict:
    """The verdicts of a study. ``alpha``: error rate on each side of the margin."""
    return _Judge(study, arms, alpha).verdict()


@dataclass(frozen=True)
class _Tested:
    """The arm *second* minus *first* at one sparsity."""

    sparsity: float
    margin: float
    differences: Mapping[int, Array]
    test: DocumentsByDraws
    withheld: str
    """why the cell is uninformative, whatever its numbers; else empty"""

    def answer(self, alpha: float) -> Answer:
        if self.withheld:
            return "UNINFORMATIVE"
        if self.test.p_above <= alpha:
            return "DEPENDS"
        return "DOES NOT DEPEND" if self.test.p_below <= alpha else "INCONCLUSIVE"


class _Judge:
    def __init__(self, study: str, arms: LanguageArms, alpha: float) -> None:
        judged = {place: found for place, found in arms.nll.items() if place[2] in arms.margins}
        self.study, self.arms, self.alpha = study, replace(arms, nll=judged), alpha
        self.origin = origin_record(arms, alpha) if arms.names else None
        self.broken = arms.dense.why_broken
        self.failed_aa = {
            (method, sparsity)
            for method, check, sparsity in arms.nll
            if check == arms.aa and self._aa_failed(method, sparsity)
        }
        pairs = dict.fromkeys((method, check) for method, check, _ in arms.nll if check != CLEAN)
        self.cells = {pair: self._over_sparsities((pair[0], CLEAN), pair) for pair in pairs}

    def _over_sparsities(self, first: tuple[str, str], second: tuple[str, str]) -> tuple[_Tested, ...]:
        found = []
        for sparsity in sorted(self.arms.margins):
            one, other = (self.arms.nll.get((*arm, sparsity)) for arm in (first, second))
            if one is None or other is None or not (seeds := sorted(one.keys() & other.keys())):
                continue
            found.append(self._tested(first, second, sparsity, seeds))
        return tuple(found)

    def _tested(self, first: tuple[str, str], second: tuple[str, str], sparsity: float, seeds: list[int]) -> _Tested:
        one, other = self.arms.nll[*first, sparsity], self.arms.nll[*second, sparsity]
        table = {seed: np.asarray(other[seed]) - np.asarray(one[seed]) for seed in seeds}
        margin = self.arms.margins[sparsity]
        test = documents_by_draws(np.stack(list(table.values()), axis=1), margin, self.alpha)
        return _Tested(sparsity, margin, table, test, self._withheld(first, second, sparsity))

    def _withheld(self, first: tuple[str, str], second: tuple[str, str], sparsity: float) -> str:
        if self.broken:
            return "the dense model is broken"
        if first[0] == second[0] and second[1] != self.arms.aa and (first[0], sparsity) in self.failed_aa:
            return "the A/A control of this method failed at this sparsity"
        line = self.arms.dense.unigram_mean
        means = [np.mean([np.mean(nll) for nll in self.arms.nll[*arm, sparsity].values()]) for arm in (first, second)]
        if min(means) >= line:
            return (
                f"both arms predict no better ({means[0]:.2f} and {means[1]:.2f} nats per token) than token "
                f"frequencies ({line:.2f}): at this sparsity nothing is left to lose"
            )
        return ""

    def _aa_failed(self, method: str, sparsity: float) -> bool:
        clean = self.arms.nll.get((method, CLEAN, sparsity))
        again = self.arms.nll[method, self.arms.aa, sparsity]
        seeds = sorted((clean or {}).keys() & again.keys())
        if clean is None or len(seeds) < MIN_SEEDS:
            return False
        table = np.stack([np.asarray(again[seed]) - np.asarray(clean[seed]) for seed in seeds], axis=1)
        test = documents_by_draws(table, 0.0, AA_ALPHA / 2)
        return not test.low <= 0 <= test.high

    def verdict(self) -> LanguageVerdict:
        dense, margins = self.arms.dense, self.arms.margins
        checks = tuple(self._check(*pair) for pair in self.cells)
        methods = dict.fromkeys(method for method, _, _ in self.arms.nll)
        draws = max((len(seeds) for seeds in self.arms.nll.values()), default=0)
        notes = [
            f"Documents and calibration draws both count as samples: the verdicts are about other documents and other "
            f"draws of this kind. There are {len(dense.nll)} documents and {draws} draws.",
        ]
        if draws < MIN_SEEDS:
            notes.append(FEW_DRAWS)
        return LanguageVerdict(
            study=self.study,
            margin=next(iter(margins.values()), math.nan),
            margin_rule=self.arms.margin_rule,
            alpha=self.alpha,
            looks=(),
            dense_accuracy=None,
            n_test=len(dense.nll),
            methods=tuple(self._method(name, checks) for name in methods if any(c.method == name for c in checks)),
            checks=checks,
            controls=self._controls(),
            banner=self.broken or None,
            notes=tuple(notes),
            comparisons=tuple(self._comparison(*pair) for pair in self.arms.compare),
            origin=self.origin,
            margins=dict(margins),
            dense_nll=dense.mean,
            dense_perplexity=dense.perplexity,
            unigram_nll=dense.unigram_mean,
            documents=len(dense.nll),
            tokens=sum(dense.tokens),
        )

    def _guard(self, method: str, check: str, sparsity: float) -> Answer | None:
        """The answer of the positive control of this method at this sparsity; None where there is none."""
        if check == self.arms.positive:
            return None
        cells = self.cells.get((method, self.arms.positive), ())
        return next((one.answer(self.alpha) for one in cells if one.sparsity == sparsity), None)

    def _check(self, method: str, check: str) -> CheckVerdict:
        tested = self.cells[method, check]
        cells = tuple(self._cell(one, method, check) for one in tested)
        usable = [one for one in tested if not one.withheld]
        above, below = _combined(usable)
        answer: Answer = "INCONCLUSIVE"
        if not usable:
            answer = "UNINFORMATIVE"
        elif above <= self.alpha:
            answer = "DEPENDS"
        elif below <= self.alpha:
            guards = {self._guard(method, check, one.sparsity) for one in usable}
            answer = "DOES NOT DEPEND" if guards <= {None, "DEPENDS"} else "UNINFORMATIVE"
        control = "aa" if check == self.arms.aa else "positive" if check in self.arms.control_checks else None
        reason = "; ".join(_numbers(cell) for cell in cells)
        return CheckVerdict(
            method=method,
            check=check,
            verdict=answer,
            sentence=f"{printable(method)} x {printable(check)}: {answer}. {reason}.",
            cells=cells,
            pooled=None,
            everywhere=answer == "DOES NOT DEPEND",
            open=False,
            control=control,
            notes=tuple(dict.fromkeys(note for cell in cells for note in cell.notes)),
            curve=_curve(usable, self.alpha),
        )

    def _cell(self, one: _Tested, method: str, check: str) -> Cell:
        answer, notes = one.answer(self.alpha), [one.withheld] if one.withheld else []
        if answer == "DOES NOT DEPEND" and self._guard(method, check, one.sparsity) not in (None, "DEPENDS"):
            answer, why = "UNINFORMATIVE", f"{self.arms.positive}, which should ruin the model, is not shown to hurt"
            notes.append(why)
        return _as_cell(one, answer, self.alpha, tuple(notes))

    def _method(self, method: str, checks: Sequence[CheckVerdict]) -> MethodVerdict:
        mine = [check for check in checks if check.method == method and check.control is None]
        p = [_combined([one for one in self.cells[method, check.check] if not one.withheld])[1] for check in mine]
        not_needed = [value if c.verdict == "DOES NOT DEPEND" else 1.0 for c, value in zip(mine, p, strict=True)]
        adjusted = np.asarray(holm(np.array([not_needed])))[0] if mine else np.array([])
        failed = tuple(check.check for check, value in zip(mine, adjusted, strict=True) if value <= self.alpha)
        answer: MethodAnswer = "INCONCLUSIVE"
        if failed:
            answer = "FAILS"
        elif mine and all(check.verdict == "DEPENDS" for check in mine):
            answer = "PASSES"
        elif not mine or all(check.verdict in ("DEPENDS", "UNINFORMATIVE") for check in mine):
            answer = "UNINFORMATIVE"
        needed = [check.check for check in mine if check.verdict == "DEPENDS"]
        undecided = [check.check for check in mine if check.verdict not in ("DEPENDS", "DOES NOT DEPEND")]
        reasons = [f"It needs what {_destroyed(needed)}."] if needed else []
        reasons += [f"It does not need what {_destroyed(failed)}."] if failed else []
        reasons += [f"Not decided: {listing([*map(printable, undecided)])}."] if undecided else []
        if not mine:
            reasons = ["No check of this study corrupts what it uses."]
        sentence = " ".join((f"{printable(method)}: {answer if mine else 'a reference'}.", *reasons))
        role: Literal["reference"] | None = None if mine else "reference"
        return MethodVerdict(method, answer, sentence, failed, role=role, reasons=tuple(reasons))

    def _comparison(self, first: str, second: str) -> ComparisonVerdict:
        tested = self._over_sparsities((first, CLEAN), (second, CLEAN))
        usable = [one for one in tested if not one.withheld]
        mirrored = [
            replace(one, test=_test({s: -d for s, d in one.differences.items()}, one.margin, self.alpha))
            for one in usable
        ]
        better, not_better = _combined(usable)
        worse, not_worse = _combined(mirrored)
        answer: ComparisonAnswer = "INCONCLUSIVE"
        if usable and better <= self.alpha:
            answer = "BETTER"
        elif usable and worse <= self.alpha:
            answer = "WORSE"
        elif usable and not_better <= self.alpha:
            answer = "NOT BETTER"
        words: dict[Answer, ComparisonAnswer] = {"DEPENDS": "BETTER", "DOES NOT DEPEND": "NOT BETTER"}
        cells = tuple(
            _as_cell(
                one,
                words.get(a := one.answer(self.alpha), "INCONCLUSIVE"),
                self.alpha,
                (one.withheld,) * bool(a == "UNINFORMATIVE"),
            )
            for one in tested
        )
        reason = "; ".join(_numbers(cell) for cell in cells)
        sentence = f"{printable(first)} against {printable(second)}: {answer}. Lead: {reason}."
        curve, reverse = _curve(usable, self.alpha), _curve(mirrored, self.alpha)
        nothing = MarginCurve(-math.inf, math.inf)
        return ComparisonVerdict(
            first=first,
            second=second,
            verdict=answer,
            sentence=sentence,
            cells=cells,
            pooled=None,
            equivalent=answer == "NOT BETTER" and not_worse <= self.alpha,
            open=False,
            curve=curve or nothing,
            reverse=reverse or nothing,
        )

    def _controls(self) -> tuple[Control, ...]:
        found = []
        for (method, check), tested in self.cells.items():
            if check not in (self.arms.aa, self.arms.positive):
                continue
            for one in tested:
                found.append(self._aa(method, one) if check == self.arms.aa else self._positive(method, one))
        return tuple(found)

    def _aa(self, method: str, one: _Tested) -> Control:
        where = f"{printable(method)} at {percent(one.sparsity)}"
        if one.test.draws < MIN_SEEDS:
            return Control("aa", method, self.arms.aa, one.sparsity, "weak", f"A/A of {where}: too few draws to test.")
        failed = (method, one.sparsity) in self.failed_aa
        what = "differ, though they differ in the calibration draw alone" if failed else "do not differ, as it must be"
        sentence = f"A/A of {where}: two sets of draws {what} ({signed(one.test.mean, 3)} nats)."
        return Control("aa", method, self.arms.aa, one.sparsity, "failed" if failed else "ok", sentence)

    def _positive(self, method: str, one: _Tested) -> Control:
        hurt = one.answer(self.alpha) == "DEPENDS"
        where = f"{printable(method)} at {percent(one.sparsity)}"
        shown = "costs" if hurt else "is not shown to cost more than the margin:"
        sentence = f"{self.arms.positive} of {where} {shown} {signed(one.test.mean, 2)} nats per token."
        return Control("positive", method, self.arms.positive, one.sparsity, "ok" if hurt else "weak", sentence)


def origin_record(arms: LanguageArms, alpha: float) -> dict[str, Any]:
    """What ``verdicts.json`` keeps, so that documents.csv judged again gives the same verdicts."""
    settings = {
        "margins": sorted(arms.margins.items()),
        "margin_rule": arms.margin_rule,
        "unigram_nll": arms.dense.unigram_mean,
        "positive": arms.positive,
        "aa": arms.aa,
        "control_checks": sorted(arms.control_checks),
        "compare": arms.compare,
        "alpha": alpha,
    }
    return {"documents_sha256": fingerprint(arms), "settings": settings}


def fingerprint(arms: LanguageArms) -> str:
    """A hash of the likelihoods that depends neither on the order of networks and documents nor on how numbers are
    written."""
    networks: list[tuple[Any, ...]] = [("dense", CLEAN, None, 0, arms.dense.nll)]
    networks += [(*place, seed, nll) for place, seeds in arms.nll.items() for seed, nll in seeds.items()]
    lines = [
        json.dumps([*place, name, float(value), int(tokens)])
        for *place, nll in networks
        for name, value, tokens in zip(arms.names, nll, arms.dense.tokens, strict=True)
    ]
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def _destroyed(checks: Sequence[str]) -> str:
    return f"{listing([*map(printable, checks)])} {'destroys' if len(checks) == 1 else 'destroy'}"


def _test(table: Mapping[int, Array], margin: float, alpha: float) -> DocumentsByDraws:
    return documents_by_draws(np.stack(list(table.values()), axis=1), margin, alpha)


def _combined(tested: Sequence[_Tested]) -> tuple[float, float]:
    """p of "at some sparsity the drop exceeds the margin" and of "at every sparsity it is below the margin"."""
    if not tested:
        return 1.0, 1.0
    above = min(1.0, len(tested) * min(one.test.p_above for one in tested))
    return above, max(one.test.p_below for one in tested)


def _curve(tested: Sequence[_Tested], alpha: float) -> MarginCurve | None:
    """Bounds on the margin that hold for one margin at all sparsities; None where nothing is tested."""
    if not tested or any(one.test.draws < MIN_SEEDS for one in tested):
        return None
    lows = [_test(one.differences, one.margin, alpha / len(tested)).low for one in tested]
    return MarginCurve(max(lows), max(one.test.high for one in tested))


def _as_cell(one: _Tested, answer: Answer | ComparisonAnswer, alpha: float, notes: tuple[str, ...]) -> Cell:
    test = one.test
    by_seed = {str(seed): float(values.mean()) for seed, values in one.differences.items()}
    sd = float(np.std(list(by_seed.values()), ddof=1)) if len(by_seed) > 1 else math.nan
    every = np.stack(list(one.differences.values()))
    cell = Cell(
        sparsity=one.sparsity,
        verdict=answer,
        n=test.draws,
        mean_drop=test.mean,
        low=test.low,
        high=test.high,
        margin=one.margin,
        p_depends=test.p_above,
        p_not=test.p_below,
        sd=sd,
        borrowed_sd=sd,
        d0=0.0,
        floor_sd=test.document_error,
        break_even=one.margin - test.mean,
        seeds_needed=None,
        win_share=float((every > 0).mean()),
        differences=by_seed,
        sentence="",
        notes=notes if test.draws >= MIN_SEEDS else (*notes, FEW_DRAWS),
        low_level=alpha,
        high_level=alpha,
        unit="nats",
    )
    return replace(cell, sentence=f"{_numbers(cell)}, margin {one.margin:.3g}.")


def _numbers(cell: Cell) -> str:
    bounds = f" [{signed(cell.low, 3)}, {signed(cell.high, 3)}]" if math.isfinite(cell.low) else ""
    return f"{percent(cell.sparsity)}: {signed(cell.mean_drop, 3)}{bounds} nats per token"
