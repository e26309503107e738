"""The files for a paper on a study of language models: figure, tables, methods paragraph, references, numbers."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from prunecheck.reporting.data import Row
from prunecheck.reporting.export import (
    LATEX_MARKS,
    latex_table,
    require_pyarrow,
    results_csv,
    tex,
    tex_name,
)
from prunecheck.reporting.language import (
    UNIT,
    LanguageReport,
    effect,
    evidence_table,
    mean_perplexity,
    perplexity_table,
    rows_of,
)
from prunecheck.reporting.markdown import md_table
from prunecheck.reporting.paper import control_states, entries, write_texts
from prunecheck.statistics.rows import DENSE
from prunecheck.text import counted, listing, percent, printable

PROCEDURE = (
    "cameron2011robust",
    "cochran1957experimental",
    "goeman2010three",
    "holm1979simple",
    "schuirmann1987comparison",
    "su2020sanity",
)
PAPERS_OF = {
    "magnitude": ("han2015learning",),
    "ria": ("zhang2024plug",),
    "sparsegpt": ("frantar2023sparsegpt",),
    "wanda": ("sun2024simple",),
}


def write_language_paper(
    data: LanguageReport, folder: Path, formats: Iterable[str] = ("pdf",), *, parquet: bool = False
) -> list[Path]:
    """Write into *folder* (made if missing) what a paper needs; the files written, in a fixed order.

    ``effects`` in every one of *formats*, ``verdicts.tex`` and ``perplexity.tex`` for ``\\input``, ``tables.md``,
    ``methods.tex``, ``references.bib``, ``results.csv``, ``documents.csv`` and, if asked for, ``results.parquet``.
    Equal data gives equal bytes. Raises as ``paper.write_paper``.
    """
    # matplotlib is an optional dependency and slow to import
    from prunecheck.reporting.print_figures import checked_formats, write_language_figures

    wanted = checked_formats(formats)
    if parquet:
        require_pyarrow()
    texts = {
        **({"verdicts.tex": latex_verdicts(data)} if data.verdict.checks else {}),
        "perplexity.tex": latex_perplexities(data),
        "tables.md": _tables(data),
        "methods.tex": methods_paragraph(data),
        "references.bib": bibtex(data),
        "results.csv": results_csv(data.rows),
        "documents.csv": results_csv(data.documents),
    }
    written = write_texts(folder, texts, data.rows if parquet else None)
    return [*write_language_figures(data.verdict, folder, wanted), *written]


def latex_verdicts(data: LanguageReport) -> str:
    """Verdict and difference of every check, one row for each method and sparsity; needs the package booktabs."""
    verdict = data.verdict
    checks = list(dict.fromkeys(check.check for check in verdict.checks if check.control != "aa"))
    found = {(c.method, c.check, cell.sparsity): (c, cell) for c in verdict.checks for cell in c.cells}
    rows = []
    for method in dict.fromkeys(check.method for check in verdict.checks):
        for sparsity in sorted(verdict.margins):
            cells = [found.get((method, check, sparsity)) for check in checks]
            if any(cells):
                texts = [f"{LATEX_MARKS[one[1].verdict]}~${effect(one[1])}$" if one else "" for one in cells]
                rows.append([tex_name(method), tex(percent(sparsity)), *texts])
    level = f"{100 * (1 - 2 * verdict.alpha):g}\\% interval"
    caption = (
        f"{tex(printable(data.name))}: increase in {UNIT} and {level} of each check. {tex(verdict.margin_rule)} "
        "$\\bullet$ depends, $\\circ$ does not depend, ? inconclusive, -- uninformative."
    )
    return latex_table(["method", "sparsity", *map(tex_name, checks)], rows, caption, "tab:prunecheck")


def latex_perplexities(data: LanguageReport) -> str:
    """Perplexity of every arm, rows are methods x checks, columns sparsities."""
    groups: dict[tuple[str, str], dict[float, list[Row]]] = {}
    for row in data.rows:
        if row["method"] != DENSE:
            place = groups.setdefault((row["method"], row["check"]), {})
            place.setdefault(row["sparsity"], []).append(row)
    sparsities = sorted({sparsity for found in groups.values() for sparsity in found})
    rows = [
        [tex_name(method), tex_name(check), *[mean_perplexity(found[s]) if s in found else "" for s in sparsities]]
        for (method, check), found in groups.items()
    ]
    verdict = data.verdict
    caption = (
        f"{tex(printable(data.name))}: perplexity over {verdict.tokens:,} tokens of "
        f"{counted(verdict.documents, 'document')} by sparsity, geometric mean over the calibration draws. The dense "
        f"model has {verdict.dense_perplexity:.2f}."
    )
    heads = ["method", "check", *[tex(percent(sparsity)) for sparsity in sparsities]]
    return latex_table(heads, rows, caption, "tab:prunecheck-perplexity")


def methods_paragraph(data: LanguageReport) -> str:
    """The procedure of this study as LaTeX, ready to paste beside ``bibtex``; every number is the study's own.

    Of a table from elsewhere it says nothing about how the models were pruned, which is unknown.
    """
    verdict = data.verdict
    methods = listing([_cited(method) for method in _methods(data)])
    tried = list(dict.fromkeys(check.check for check in verdict.checks if check.control is None))
    sparsities = listing([tex(percent(sparsity)) for sparsity in sorted(verdict.margins)])
    is_ours = bool(data.study_toml)
    opening = f"We pruned a language model ({tex(data.pruned)})" if data.pruned else "We pruned a language model"
    opening += f" to {sparsities} sparsity by {methods}{', without retraining' if is_ours else ''}."
    if tried:
        noun = "check" if len(tried) == 1 else "checks"
        opening += (
            f" What each method needs was tested following \\citet{{su2020sanity}}, with the {noun} "
            f"{listing([tex_name(check) for check in tried])}, and {_draws(data)}."
        )
    subject = "Clean and corrupted arms" if tried else "Clean arms"
    shared = " A check corrupts one thing of the clean arm of the same draw." if is_ours and tried else ""
    pairs = [f"{tex_name(one.first)} and {tex_name(one.second)}" for one in verdict.comparisons]
    compared = f" The clean arms of {listing(pairs)} are compared by the same tests." if pairs and tried else ""
    several = ""
    if len(verdict.margins) > 1:
        several = (
            " Over several sparsities, a difference counts where one sparsity shows it after Bonferroni's correction, "
            "and is excluded where every sparsity excludes it \\citep{berger1982multiparameter}."
        )
    holm = " Holm's correction is over the checks of a method \\citep{holm1979simple}." if tried else ""
    return (
        f"{opening} {subject} are compared by their negative log-likelihood per token on "
        f"{counted(verdict.documents, 'document')} ({verdict.tokens:,} tokens; perplexity of the dense model: "
        f"{verdict.dense_perplexity:.2f}), in pairs of one document and one calibration draw.{shared} Documents and "
        "draws are crossed random effects \\citep{cameron2011robust}, with the critical value of "
        f"\\citet{{cochran1957experimental}}. Margin: {tex(verdict.margin_rule.strip().rstrip('.'))}. Every comparison "
        "is decided by two one-sided tests at the margin \\citep{schuirmann1987comparison,goeman2010three} at "
        f"{100 * verdict.alpha:g}\\% each.{several}{holm}{compared} Controls: {control_states(verdict)}.\n"
    )


def bibtex(data: LanguageReport) -> str:
    """The references of the procedure and of the methods in this study, sorted by key."""
    keys = {*PROCEDURE, *(key for method in _methods(data) for key in papers(method))}
    if len(data.verdict.margins) > 1:
        keys.add("berger1982multiparameter")
    return "\n\n".join(entries()[key] for key in sorted(keys)) + "\n"


def papers(method: str) -> tuple[str, ...]:
    """The citation keys of a method by its label; options in parentheses and suffixes do not count. Unknown: none."""
    plain = method.lower()
    found = next((keys for name, keys in PAPERS_OF.items() if plain.startswith(name)), ())
    return (*found, "yin2024outlier") if "owl" in plain else found


def _methods(data: LanguageReport) -> list[str]:
    return list(dict.fromkeys(str(row["method"]) for row in data.rows if row["method"] != DENSE))


def _cited(method: str) -> str:
    return tex_name(method) + (f"~\\citep{{{','.join(papers(method))}}}" if papers(method) else "")


def _draws(data: LanguageReport) -> str:
    """``5 calibration draws``, ``3 to 5 calibration draws``: those that comparisons have in both arms."""
    counts = {cell.n for check in data.verdict.checks if check.control is None for cell in check.cells}
    least, most = min(counts, default=0), max(counts, default=0)
    return counted(most, "calibration draw") if least == most else f"{least} to {most} calibration draws"


def _tables(data: LanguageReport) -> str:
    parts = [f"Perplexities and {UNIT} of every arm.", md_table(rows_of(perplexity_table(data)))]
    if (evidence := evidence_table(data.verdict)).rows:
        parts += [f"Differences in {UNIT}, with the bounds of the verdicts.", md_table(rows_of(evidence))]
    return "\n\n".join(parts) + "\n"
