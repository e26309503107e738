"""The report of a study of a language model: page, Markdown, tables. In nats per token and perplexities."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from prunecheck.reporting.answers import losses_sentence, opponents
from prunecheck.reporting.check_names import check_name
from prunecheck.reporting.data import MaskOverlap, Row
from prunecheck.reporting.export import results_csv
from prunecheck.reporting.markdown import md, md_table
from prunecheck.reporting.page import environment, page_parts, write_files
from prunecheck.reporting.views import Table, capped
from prunecheck.statistics.outcome import SYMBOLS, Cell, ComparisonVerdict, controls_sentence
from prunecheck.statistics.rows import CLEAN, DENSE
from prunecheck.text import counted, listing, percent, printable, signed

if TYPE_CHECKING:
    from prunecheck.statistics.language import LanguageVerdict

MEANINGS = {
    "DEPENDS": "the nats per token that the check costs exceed the margin: the method needs what the check destroys",
    "DOES NOT DEPEND": "they are below the margin: the method does not need it",
    "INCONCLUSIVE": "the documents and draws do not decide between the two",
    "UNINFORMATIVE": "no difference could show: both arms are ruined, or a control failed",
}
UNIT = "nats per token"


@dataclass(frozen=True)
class LanguageReport:
    """The content of a report, as plain values. ``rows``: one for each network and draw, ``nll`` in nats per token, the
    dense model with sparsity None. ``documents``: one for each document of each. ``pruned``: model, calibration and
    evaluation in a few words. ``unfinished``: one sentence where the study is not finished yet."""

    name: str
    rows: Sequence[Row]
    documents: Sequence[Row]
    verdict: LanguageVerdict
    question: str = ""
    pruned: str = ""
    check_words: Mapping[str, str] = field(default_factory=dict)
    study_toml: str = ""
    overlaps: tuple[MaskOverlap, ...] = ()
    provenance: Mapping[str, str] = field(default_factory=dict)
    command: str = ""
    remarks: tuple[str, ...] = ()
    unfinished: str = ""
    prunings: int = 0

    @property
    def cost(self) -> dict[str, object]:
        return {"prunings": self.prunings}

    @property
    def cost_sentence(self) -> str:
        return f"{counted(self.prunings, 'pruning')}, and nothing was trained." if self.prunings else ""


def write_language(data: LanguageReport, folder: Path) -> Path:
    """Write index.html, report.md, results.csv, documents.csv and verdicts.json into *folder*; the page's path.

    Raises StoreError where the disk refuses; a file that was there before is then still whole.
    """
    tables = {"results.csv": results_csv(data.rows), "documents.csv": results_csv(data.documents)}
    return write_files(folder, tables, data.verdict.to_dict(), language_markdown(data), language_page(data))


def language_page(data: LanguageReport) -> str:
    """The whole report as HTML. Equal data gives equal bytes; every text is cleaned and escaped on its way in."""
    shown = [check for check in data.verdict.checks if check.control != "aa"]
    columns = list(dict.fromkeys(check.check for check in sorted(shown, key=lambda one: one.control is not None)))
    return (
        environment()
        .get_template("language.html.j2")
        .render(
            **page_parts(),
            report=data,
            verdict=data.verdict,
            question=question(data),
            facts=facts(data),
            columns=columns,
            found={(check.method, check.check): check for check in data.verdict.checks},
            opponents=opponents(data.verdict),
            leads={(one.first, one.second): one for one in data.verdict.comparisons},
            effects=effects,
            lines=method_lines(data),
            controls_sentence=controls_sentence(data.verdict),
            perplexities=perplexity_table(data),
            evidence=evidence_table(data.verdict),
            overlaps=_overlap_table(data.overlaps),
            notes=[*data.remarks, *data.verdict.notes],
            meanings=MEANINGS,
            rows=_raw(data.rows),
        )
    )


def language_markdown(data: LanguageReport) -> str:
    """The report for a pull request."""
    verdict = data.verdict
    parts = [f"# {md(printable(data.name))}", md(question(data)), md(f"Pruned: {data.pruned}.") if data.pruned else ""]
    parts.append(" · ".join(f"{term} {md(value)}" for term, value in facts(data)))
    parts.append(f"> {md(data.unfinished)}" if data.unfinished else "")
    parts.append(f"> **No verdict.** {md(verdict.banner)}" if verdict.banner else "")
    lines = [
        f"- **{md(printable(one.method))}{f': {one.verdict.lower()}' if one.verdict else ''}.** {md(one.text)}"
        for one in method_lines(data)
    ]
    parts += ["## The answer", "\n".join(lines), *[md(note) for note in (*data.remarks, *verdict.notes)]]
    parts += ["## Perplexity", md_table(rows_of(perplexity_table(data)))]
    if (evidence := evidence_table(verdict)).rows:
        parts += ["## Evidence", f"Differences in {UNIT}, corrupted minus clean, with the bounds of the verdicts."]
        parts.append(md_table(rows_of(evidence)))
    if verdict.controls:
        parts += ["## Controls", "\n".join(f"- {one.status}: {md(one.sentence)}" for one in verdict.controls)]
    origin = [*sorted(data.provenance.items()), *([("command", data.command)] if data.command else [])]
    parts += ["## Provenance", md(data.cost_sentence), "\n".join(f"- {md(key)}: {md(value)}" for key, value in origin)]
    return "\n\n".join(part for part in parts if part) + "\n"


def question(data: LanguageReport) -> str:
    if data.question:
        return data.question
    return "What does pruning this language model depend on?"


def facts(data: LanguageReport) -> list[tuple[str, str]]:
    """The figures under the title."""
    from prunecheck.statistics.language import margins_in_words  # needs numpy, which the command line's start does not

    verdict = data.verdict
    known = math.isfinite(verdict.unigram_nll)
    pruned = [row for row in data.rows if row["sparsity"] is not None]
    sparsities = sorted({row["sparsity"] for row in pruned})
    return [
        ("sparsity" if len(sparsities) == 1 else "sparsities", ", ".join(map(percent, sparsities)) or "n/a"),
        ("calibration draws", str(len({row["seed"] for row in pruned}))),
        ("dense perplexity", f"{verdict.dense_perplexity:.2f}"),
        ("dense model", f"{verdict.dense_nll:.3f} {UNIT}"),
        *([("token frequencies alone", f"{verdict.unigram_nll:.3f}")] if known else []),
        ("documents", f"{verdict.documents:,}"),
        ("scored tokens", f"{verdict.tokens:,}"),
        ("margin", margins_in_words(verdict.margins)),
    ]


class MethodLine(NamedTuple):
    """One method in a few sentences. ``verdict``: PASSES, FAILS and so on, empty for a reference. ``perplexity``: of
    its clean arm, with the sparsity where there are several. ``losses``: what the checks cost it. ``text``: all of it,
    and its leads."""

    method: str
    verdict: str
    perplexity: str
    losses: str
    text: str


def method_lines(data: LanguageReport) -> list[MethodLine]:
    """Every pruned method, references last: its perplexity, its lead over what it is compared with, and what the
    checks cost it."""
    judged = {one.method: one for one in data.verdict.methods}
    clean: dict[str, dict[float, list[Row]]] = {}
    for row in data.rows:
        if row["check"] == CLEAN and row["sparsity"] is not None:
            clean.setdefault(row["method"], {}).setdefault(row["sparsity"], []).append(row)
    lines = []
    for method, found in clean.items():
        at = [f"{mean_perplexity(rows)} at {percent(sparsity)}" for sparsity, rows in sorted(found.items())]
        leads = [_lead(one) for one in data.verdict.comparisons if one.first == method]
        mine = [check for check in data.verdict.checks if check.method == method and check.control is None]
        one = judged.get(method)
        losses = ""
        if one is not None:
            losses = losses_sentence(one, mine) if mine else " ".join(one.reasons)
        answer = one.verdict if one is not None and one.role is None else ""
        text = " ".join(filter(None, [f"Perplexity {listing(at)}.", *leads, losses]))
        perplexity = listing(at) if len(found) > 1 else mean_perplexity(*found.values())
        lines.append(MethodLine(method, answer, perplexity, losses, text))
    return sorted(lines, key=lambda line: not line.verdict)


def _lead(one: ComparisonVerdict) -> str:
    words = {
        "BETTER": "Better than {}",
        "WORSE": "Worse than {}",
        "NOT BETTER": "Equal to {} within the margin" if one.equivalent else "Not better than {}",
    }
    text = words.get(one.verdict, "Not decided whether better than {}").format(printable(one.second))
    return f"{text}: lead {headline(one.cells)} {UNIT}." if one.cells else f"{text}."


def headline(cells: Sequence[Cell]) -> str:
    """``+0.102 [+0.080, +0.124]``; one line for each of several sparsities."""
    shown = [effect(cell) for cell in cells]
    return (
        shown[0]
        if len(shown) == 1
        else "; ".join(f"{percent(c.sparsity)} {t}" for c, t in zip(cells, shown, strict=True))
    )


def effects(cells: Sequence[Cell]) -> list[tuple[str, str]]:
    """(sparsity, its effect) of every cell; no sparsity where there is one only."""
    return [(percent(cell.sparsity) if len(cells) > 1 else "", effect(cell)) for cell in cells]


def effect(cell: Cell) -> str:
    bounds = f" [{signed(cell.low, 3)}, {signed(cell.high, 3)}]" if math.isfinite(cell.low) else ""
    return f"{signed(cell.mean_drop, 3)}{bounds}"


def perplexity_table(data: LanguageReport) -> Table:
    """One row for each method, check and sparsity: means over the draws, the dense model first."""
    groups: dict[tuple[str, str, float | None], list[Row]] = {}
    for row in data.rows:
        groups.setdefault((row["method"], row["check"], row["sparsity"]), []).append(row)
    heads = (
        "method",
        "check",
        "sparsity",
        "perplexity",
        UNIT,
        "above dense",
        "SD of draws",
        "draws",
        "realised sparsity",
    )
    rows = []
    for (method, check, sparsity), found in sorted(groups.items(), key=lambda item: item[0][2] is not None):
        nll = [float(row["nll"]) for row in found]
        mean = sum(nll) / len(nll)
        sd = math.sqrt(sum((x - mean) ** 2 for x in nll) / (len(nll) - 1)) if len(nll) > 1 else math.nan
        kept, weights = (found[0].get(name) for name in ("kept", "weights"))
        rows.append(
            (
                method,
                check_name(check),
                "none" if sparsity is None else percent(sparsity),
                mean_perplexity(found),
                f"{mean:.3f}",
                "" if method == DENSE else signed(mean - data.verdict.dense_nll, 3),
                f"{sd:.3f}" if math.isfinite(sd) else "n/a",
                str(len(found)),
                percent(1 - kept / weights) if weights and kept is not None else "",
            )
        )
    return capped(heads, rows)


def mean_perplexity(rows: Sequence[Row]) -> str:
    """The geometric mean over the draws of one arm."""
    logs = [math.log(found) for row in rows if (found := row.get("perplexity"))]
    mean = sum(logs) / len(logs) if len(logs) == len(rows) else math.inf
    return "over 1e9" if mean > math.log(1e9) else f"{math.exp(mean):,.2f}"


def evidence_table(verdict: LanguageVerdict) -> Table:
    """One row for each method, check and sparsity with what its verdict rests on."""
    heads = ("method", "check", "sparsity", "verdict", "difference", "bounds", "margin", "SD of draws", "draws")
    named = [(check.method, check.check, check.cells) for check in verdict.checks]
    named += [(one.first, f"lead over {one.second}", one.cells) for one in verdict.comparisons]
    rows = [
        (
            method,
            check_name(check),
            percent(cell.sparsity),
            f"{SYMBOLS[cell.verdict]} {cell.verdict.lower()}",
            signed(cell.mean_drop, 3),
            f"[{signed(cell.low, 3)}, {signed(cell.high, 3)}]" if math.isfinite(cell.low) else "n/a",
            f"{cell.margin:.3f}",
            f"{cell.sd:.3f}" if math.isfinite(cell.sd) else "n/a",
            str(cell.n),
        )
        for method, check, cells in named
        for cell in cells
    ]
    return capped(heads, rows)


def _overlap_table(overlaps: Iterable[MaskOverlap]) -> Table | None:
    rows = [
        (one.method, check_name(one.check), percent(one.sparsity), f"{one.iou:.3f}", f"{one.chance_iou:.3f}", one.note)
        for one in overlaps
    ]
    heads = ("method", "check", "sparsity", "overlap", "by chance", "note")
    if not any(note for *_, note in rows):
        return capped(heads[:-1], [row[:-1] for row in rows]) if rows else None
    return capped(heads, rows)


def _raw(rows: Sequence[Row]) -> Table:
    heads = ("method", "check", "sparsity", "draw", UNIT, "perplexity", "key")
    shown = [
        (
            str(row["method"]),
            str(row["check"]),
            "none" if row["sparsity"] is None else percent(row["sparsity"]),
            str(row["seed"]),
            f"{row['nll']:.4f}",
            "n/a" if row.get("perplexity") is None else f"{row['perplexity']:.6g}",
            str(row.get("key") or ""),
        )
        for row in rows
    ]
    return capped(heads, shown)


def rows_of(table: Table) -> list[tuple[str, ...]]:
    return [table.heads, *table.rows]


def terminal_lines(data: LanguageReport) -> list[str]:
    """The verdicts for a terminal, one line each."""
    verdict = data.verdict
    lines = [f"{printable(data.name)}: {data.pruned}".removesuffix(": ")]
    lines.append(", ".join(f"{term} {value}" for term, value in facts(data)))
    if verdict.banner:
        lines.append(f"NO VERDICT. {verdict.banner}")
    lines += [f"{' ' if one.role else SYMBOLS[one.verdict]} {one.sentence}" for one in verdict.methods]
    lines += [f"{SYMBOLS[one.verdict]} {one.sentence}" for one in verdict.comparisons]
    for check in verdict.checks:
        if check.control is None:
            lines.append(f"  {SYMBOLS[check.verdict]} {check.sentence}")
    bad = [one.sentence for one in verdict.controls if one.status != "ok"]
    ok = len(verdict.controls) - len(bad)
    lines.append(f"controls: {ok} of {len(verdict.controls)} ok." + "".join(f" {text}" for text in bad))
    lines += [*data.remarks, *verdict.notes]
    return [printable(line, 600) for line in lines]
