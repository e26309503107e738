"""The tables of a study for other programs: CSV, Markdown, LaTeX. Each escapes what its reader would obey."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence

from prunecheck.core.words import percent
from prunecheck.report import views
from prunecheck.report.evidence import Evidence, Row
from prunecheck.report.summary import arms, natural, order
from prunecheck.report.wording import SYMBOLS, clean, effect, headline, line, name
from prunecheck.verdict.outcome import CheckVerdict, StudyVerdict

FIRST_COLUMNS = (
    "method",
    "check",
    "sparsity",
    "seed",
    "accuracy",
    "n_test",
    "best_accuracy",
    "train_accuracy",
    "epochs",
    "kept",
    "weights",
    "effective_sparsity",
    "dead_layers",
    "collapsed",
    "diverged",
)
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_columns(rows: Iterable[Row]) -> list[str]:
    """The columns of results.csv: the known ones that occur, in a fixed order, then all others by name."""
    found = {str(key) for row in rows for key in row}
    return [c for c in FIRST_COLUMNS if c in found] + sorted(found - set(FIRST_COLUMNS))


def results_csv(rows: Sequence[Row]) -> str:
    """One line a trained arm, sorted by method, check, sparsity and seed: any order of *rows* gives the same text.

    Numbers are written in full. Text that a spreadsheet would run as a formula gets an apostrophe in front.
    """
    columns = csv_columns(rows)
    written = [[_csv_cell(row.get(column)) for column in columns] for row in rows]
    keys = [tuple(natural(row.get(c)) for c in ("method", "check", "sparsity", "seed")) for row in rows]
    ranked = sorted(range(len(rows)), key=lambda i: (keys[i], written[i]))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([_csv_cell(column) for column in columns])
    writer.writerows(written[i] for i in ranked)
    return out.getvalue()


def verdict_table(verdict: StudyVerdict) -> list[list[str]]:
    """Methods x checks, the head first; a cell reads ``depends  +6.10 [+5.20, +7.00]``.

    Combinations that were not run are empty. Names are cut and made harmless; numbers are in points.
    """
    methods, checks, found = _grid(verdict)
    table = [["method", *[name(check) for check in checks]]]
    for method in methods:
        cells = [found.get((method, check)) for check in checks]
        table.append(
            [name(method), *[f"{c.verdict.lower()}  {effect(headline(c))}".rstrip() if c else "" for c in cells]]
        )
    return table


def markdown(evidence: Evidence) -> str:
    """The page's twin for a pull request: question, answers, verdicts, controls, accuracies, provenance."""
    verdict, known = evidence.verdict, order(evidence)
    parts = [f"# {_md(name(evidence.name))}", _md(views.question(evidence, known))]
    parts.append(" · ".join(f"{term} {_md(value)}" for term, value in views.facts(evidence, known)))
    if verdict.banner:
        parts.append(f"> **A control failed.** {_md(verdict.banner)}")
    answers = [f"- **{_md(name(m.method))}: {m.verdict.lower()}.** {_md(said)}" for m, said in views.answers(verdict)]
    parts += ["## The answer", "\n".join(answers), _md(views.procedure(verdict))]
    parts += [_md(note) for note in verdict.notes]
    if verdict.checks:
        parts += ["## Verdicts", _md_table(_marked(verdict)), "Mean drop in points and its 90% interval."]
        parts.append("\n".join(f"- {_md(c.sentence)}" for c in verdict.checks))
    controls = [f"- {c.status}: {_md(c.sentence)}" for c in verdict.controls]
    parts += ["## Controls", _md(views.controls_sentence(verdict)), "\n".join(controls)]
    lines = arms(evidence)
    if lines:
        shown = views.accuracy_table(lines)
        parts += ["## Accuracy", _md_table([[*shown.heads], *[[*row] for row in shown.rows]])]
        if shown.left_out:
            parts.append(f"{shown.left_out} more arms in results.csv.")
    parts.append("## Provenance")
    facts = [*views.cost_items(evidence.cost), *sorted(evidence.provenance.items())]
    if evidence.command:
        facts.append(("command", evidence.command))
    parts.append("\n".join(f"- {_md(name(key))}: {_md(value)}" for key, value in facts) or "None was given.")
    return "\n\n".join(part for part in parts if part) + "\n"


def latex(evidence: Evidence) -> str:
    """The verdict matrix as a booktabs table, ready for ``\\input``; needs the packages booktabs and amssymb."""
    verdict = evidence.verdict
    marks = {"DEPENDS": r"$\bullet$", "DOES NOT DEPEND": r"$\circ$", "INCONCLUSIVE": "?", "UNINFORMATIVE": "--"}
    methods, checks, found = _grid(verdict)
    head = ["method", *[name(check) for check in checks]]
    lines = [
        r"\begin{table}",
        r"\centering\footnotesize",
        rf"\caption{{{_latex_caption(evidence)}}}",
        r"\label{tab:prunecheck}",
        rf"\begin{{tabular}}{{l{'l' * (len(head) - 1)}}}",
        r"\toprule",
        " & ".join(tex(cell.replace("_", " ")) for cell in head) + r" \\",
        r"\midrule",
    ]
    for method in methods:
        cells = [tex(name(method).replace("_", " "))]
        for check in checks:
            one = found.get((method, check))
            cells.append(f"{marks[one.verdict]}~{_latex_drop(effect(headline(one)))}" if one else "")
        lines.append(" & ".join(cells) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}", r"\end{table}"]
    return "\n".join(lines) + "\n"


def tex(text: object) -> str:
    """*text* as LaTeX prints it: nothing in it is a command."""
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    special |= {c: "\\" + c for c in "&%$#_{}"}
    return "".join(special.get(c, c) for c in line(text))


def _latex_drop(drop: str) -> str:
    mean, _, bounds = drop.partition(" ")
    return rf"${mean}$ ${bounds}$" if bounds else f"${mean}$" if mean else ""


def _latex_caption(evidence: Evidence) -> str:
    verdict = evidence.verdict
    sparsities = ", ".join(percent(s) for s in order(evidence).sparsities)
    return (
        f"{tex(name(evidence.name))}: mean drop in accuracy (points) and 90\\% interval over sparsities "
        f"{tex(sparsities)}; margin {verdict.margin:.3g}. $\\bullet$ depends, $\\circ$ does not depend, "
        "? inconclusive, -- uninformative."
    )


def _grid(verdict: StudyVerdict) -> tuple[list[str], list[str], dict[tuple[str, str], CheckVerdict]]:
    """Methods, checks, and what was found for each pair that was run; what only controls use is left out."""
    found = {(c.method, c.check): c for c in verdict.checks if c.control not in views.OFF_MATRIX}
    methods = dict.fromkeys([m.method for m in verdict.methods] + [method for method, _ in found])
    return list(methods), list(dict.fromkeys(check for _, check in found)), found


def _csv_cell(value: object) -> str:
    if isinstance(value, float):
        return repr(float(value))
    text = " ".join(clean(views.raw_text(value), limit=1000).split("\n"))
    return "'" + text if not isinstance(value, int) and _formula(text) else text


def _formula(text: str) -> bool:
    """Would a spreadsheet run it? Spaces in front do not save it."""
    return text.lstrip(" ").startswith(FORMULA)


def _marked(verdict: StudyVerdict) -> list[list[str]]:
    """The verdict table with symbols before the words."""
    found = {c.verdict.lower(): SYMBOLS[c.verdict] for c in verdict.checks}
    head, *body = verdict_table(verdict)
    marked = [
        [row[0], *[f"{found[cell.split('  ')[0]]} {cell}" if cell else "not run" for cell in row[1:]]] for row in body
    ]
    return [head, *marked]


def _md_table(rows: Sequence[Sequence[str]]) -> str:
    head, *body = [[_md(cell) for cell in row] for row in rows]
    lines = [head, ["---"] * len(head), *body]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _md(text: object) -> str:
    """*text* as Markdown prints it: no markup, no link, no mention, no new line."""
    plain = line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    plain = plain.replace("#", "&#35;").replace("://", "&#58;//")
    plain = re.sub(r"([\\`*|~$])", r"\\\1", plain)
    plain = re.sub(r"(?<![^\W_])_|_(?![^\W_])", r"\\_", plain)
    plain = re.sub(r"\](?=[(:\[])", r"\\]", plain).replace("@", "@\N{ZERO WIDTH SPACE}")
    return re.sub(r"^(\s*)([+-]|\d+[.)])(?=\s|$)", r"\1\\\2", plain)
