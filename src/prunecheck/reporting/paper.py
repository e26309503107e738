"""The files for a paper, in one folder: figures, tables, the methods paragraph, the references, the numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path

from prunecheck.reporting.data import ReportData, Row
from prunecheck.reporting.export import (
    latex_accuracies,
    latex_verdicts,
    require_pyarrow,
    results_csv,
    results_parquet,
    tex,
)
from prunecheck.reporting.markdown import markdown_tables
from prunecheck.reporting.summary import Order, arms, order
from prunecheck.reporting.views import matrix_checks, seed_counts
from prunecheck.statistics.outcome import INSTRUMENT_CONTROLS, StudyVerdict
from prunecheck.statistics.rows import unit
from prunecheck.store.durable import plainly, write_file
from prunecheck.text import counted, listing, percent, points, printable

PROCEDURE = ("su2020sanity", "goeman2010three", "schuirmann1987comparison", "smyth2004linear", "holm1979simple")

METRICS = {
    "accuracy": "test accuracy",
    "p_correct": "mean probability of the correct class on the test set",
    "brier": "Brier score (subtracted from 1) on the test set",
    "nll": "negative log-likelihood per token on the test set",
}

PAPERS_OF = {
    "random_ticket": ("su2020sanity",),
    "hybrid": ("su2020sanity", "renda2020comparing"),
    "snip": ("lee2019snip",),
    "grasp": ("wang2020picking",),
    "synflow": ("tanaka2020pruning",),
    "magnitude": ("frankle2019lottery",),
    "lottery_ticket": ("frankle2019lottery",),
    "lt": ("frankle2019lottery",),
    "imp": ("frankle2019lottery",),
    "weight_rewinding": ("frankle2020linear",),
    "lr_rewinding": ("renda2020comparing",),
    "learning_rate_rewinding": ("renda2020comparing",),
}


def write_paper(
    data: ReportData, folder: Path, formats: Iterable[str] = ("pdf",), *, parquet: bool = False
) -> list[Path]:
    """Write into *folder* (made if missing) what a paper needs; the files written, in a fixed order.

    ``accuracy``, ``keep-shares`` and ``effects`` in every one of *formats* (svg, pdf, png), ``verdicts.tex`` and
    ``accuracy.tex`` for ``\\input``, ``tables.md``, ``methods.tex``, ``references.bib``, ``results.csv`` and, if
    asked for, ``results.parquet``. Equal data gives equal bytes. Raises StudyError for an unknown format or where
    pyarrow is missing, before anything is written; StoreError where the disk refuses. A figure or LaTeX table for which
    there are no data (effects without checks, accuracies of single runs in a table of means) is left out.
    """
    # matplotlib is an optional dependency and slow to import
    from prunecheck.reporting.print_figures import checked_formats, write_figures

    wanted = checked_formats(formats)
    if parquet:
        require_pyarrow()
    texts = {
        **({"verdicts.tex": latex_verdicts(data)} if _checked_anything(data.verdict) else {}),
        **({"accuracy.tex": latex_accuracies(data)} if arms(data) else {}),
        "tables.md": markdown_tables(data),
        "methods.tex": methods_paragraph(data),
        "references.bib": bibtex(data),
        "results.csv": results_csv(data.rows),
    }
    written = write_texts(folder, texts, data.rows if parquet else None)
    return [*write_figures(data, folder, wanted), *written]


def write_texts(folder: Path, texts: Mapping[str, str], parquet: Sequence[Row] | None) -> list[Path]:
    """Write *texts* (file name -> text) into *folder*, made if missing, and *parquet* as ``results.parquet``; the files
    written, in this order."""
    contents = {file: text.encode("utf-8") for file, text in texts.items()}
    if parquet is not None:
        contents["results.parquet"] = results_parquet(parquet)
    with plainly(folder):
        folder.mkdir(parents=True, exist_ok=True)
    for file, content in contents.items():
        write_file(folder / file, content)
    return [folder / file for file in contents]


def methods_paragraph(data: ReportData) -> str:
    """The procedure of this study as LaTeX, ready to paste beside ``bibtex``; every number is the study's own.

    Of a table from elsewhere it says nothing about the training, which is unknown.
    """
    verdict, known = data.verdict, order(data)
    sparsities = listing([tex(percent(s)) for s in known.sparsities])
    looks = ""
    if verdict.looks:
        looks = f" after {_counts(verdict.looks)} seeds, with bounds that hold over all interim analyses together"
    known_rule = verdict.margin_rule.strip() and not any(
        note.startswith("Chance accuracy was") for note in verdict.notes
    )
    rule = f" {tex(verdict.margin_rule.strip().rstrip('.'))}." if known_rule else ""
    number = _seed_number(data)
    alpha = f"{100 * verdict.alpha:g}\\%"
    checked = _checked_anything(verdict)
    opening = _checked(verdict, known) if checked else _compared(verdict)
    subject = _pairs(data, checked)
    epoch = " after the last epoch" if data.study_toml else ""
    holm = " and Holm's correction over the checks of a method \\citep{holm1979simple}" if checked else ""
    return (
        f"{opening} at {sparsities} sparsity and with {number} {'seed' if number == '1' else 'seeds'}. "
        f"{subject} by their {METRICS[verdict.metric]}{epoch} on "
        f"{counted(verdict.n_test, 'sample')}. A {'drop' if checked else 'lead'} counts if it exceeds a margin of "
        f"{points(verdict.margin)} {unit(verdict.metric)}.{rule} Every comparison is decided by two one-sided "
        f"tests at the margin \\citep{{schuirmann1987comparison,goeman2010three}} at {alpha} each{looks}, with "
        f"{_variances(verdict)}{holm}.{_comparisons(verdict) if checked else ''} "
        f"Controls: {control_states(verdict)}.\n"
    )


def _checked_anything(verdict: StudyVerdict) -> bool:
    return any(check.control not in INSTRUMENT_CONTROLS for check in verdict.checks)


def _checked(verdict: StudyVerdict, known: Order) -> str:
    """``We sanity-checked SNIP following ..., with the checks ...,``"""
    judged = {c.method for c in verdict.checks} | {m.method for m in verdict.methods}
    methods = listing([_cited(m) for m in known.methods if m in judged])
    tried = [tex(printable(c).replace("_", " ")) for c in matrix_checks(verdict, known)]
    checks = f"{'check' if len(tried) == 1 else 'checks'} {listing(tried)}"
    return f"We sanity-checked {methods} following \\citet{{su2020sanity}}, with the {checks},"


def _compared(verdict: StudyVerdict) -> str:
    """``We compared SNIP with a random ticket``, where no check was run."""
    pairs = [f"{_cited(one.first)} with {_cited(one.second)}" for one in verdict.comparisons]
    return f"We compared {listing(pairs)}" if pairs else "We trained pruned networks"


def _seed_number(data: ReportData) -> str:
    """The seeds that comparisons have in both arms, ``5`` or ``3 to 10``; of all rows where nothing is compared."""
    verdict = data.verdict
    checks = [c.cells for c in verdict.checks if c.control not in INSTRUMENT_CONTROLS]
    shared = {cell.n for cells in checks or [one.cells for one in verdict.comparisons] for cell in cells}
    if not shared:
        return seed_counts(data)
    least, most = min(shared), max(shared)
    return str(least) if least == most else f"{least} to {most}"


def _counts(looks: Sequence[int]) -> str:
    """``3, 5 and 7``, or ``every number from 3 to 10``."""
    if len(looks) > 2 and tuple(looks) == tuple(range(looks[0], looks[-1] + 1)):
        return f"every number from {looks[0]} to {looks[-1]}"
    return listing([str(look) for look in looks])


def _comparisons(verdict: StudyVerdict) -> str:
    pairs = [f"{tex(printable(one.first))} and {tex(printable(one.second))}" for one in verdict.comparisons]
    return f" The clean arms of {listing(pairs)} are compared by the same tests." if pairs else ""


def _variances(verdict: StudyVerdict) -> str:
    if verdict.basis == "summaries":
        return "Welch's degrees of freedom \\citep{welch1947generalization}"
    return "variances moderated across the comparisons of one sparsity \\citep{smyth2004linear}"


def _pairs(data: ReportData, checked: bool) -> str:
    """What is known of the two arms: everything in a study of ours, at most the seed in a table from elsewhere."""
    kinds = "clean and corrupted" if checked else "clean"
    if data.verdict.basis == "summaries":
        return f"Means and standard deviations of {kinds} runs are compared without pairing"
    if data.study_toml:
        return (
            f"{kinds.capitalize()} arms of a seed share initialisation, data order and augmentation and are compared "
            "in pairs"
        )
    return f"{kinds.capitalize()} runs of a seed are compared in pairs"


def control_states(verdict: StudyVerdict) -> str:
    """``positive 3 of 3 ok and A/A not run``."""
    roles = dict.fromkeys(c.role for c in verdict.controls)
    told = []
    for role in roles:
        states = [c.status for c in verdict.controls if c.role == role and c.status != "missing"]
        state = f"{states.count('ok')} of {len(states)} ok" if states else "not run"
        told.append(f"{role.replace('aa', 'A/A')} {state}")
    return listing(told) or "none"


def bibtex(data: ReportData) -> str:
    """The references of the procedure and of the methods in this study, sorted by key."""
    methods = order(data).methods
    keys = {*PROCEDURE, *(key for method in methods for key in papers(method))}
    if data.verdict.basis == "summaries":
        keys = keys - {"smyth2004linear"} | {"welch1947generalization"}
    return "\n\n".join(entries()[key] for key in sorted(keys)) + "\n"


@cache
def entries() -> dict[str, str]:
    """Citation key -> BibTeX entry, from ``references.bib`` in this folder."""
    text = (files("prunecheck.reporting") / "references.bib").read_text(encoding="utf-8")
    found = [entry.strip() for entry in re.split(r"\n(?=@)", text)]
    return {re.match(r"@\w+\{([^,]+),", entry)[1]: entry for entry in found}  # type: ignore[index]


def papers(method: str) -> tuple[str, ...]:
    """The citation keys of a method by its name; a variant (``lr_rewinding-imp``) cites its stem. Unknown: none."""
    plain = method.lower().replace("-", "_").replace(" ", "_")
    stems = [stem for stem in PAPERS_OF if plain == stem or plain.startswith(stem + "_")]
    return PAPERS_OF[max(stems, key=len)] if stems else ()


def _cited(method: str) -> str:
    cites = ",".join(papers(method))
    return tex(printable(method).replace("_", " ")) + (f"~\\citep{{{cites}}}" if cites else "")
