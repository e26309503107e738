"""Tables for LaTeX with booktabs. Whatever a name contains, nothing in it is a command."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from prunecheck.reporting.data import CLEAN, Evidence
from prunecheck.reporting.export import grid
from prunecheck.reporting.summary import Arm, arms, order
from prunecheck.reporting.text import effect, headline, line, name
from prunecheck.text import percent

MARKS = {"DEPENDS": r"$\bullet$", "DOES NOT DEPEND": r"$\circ$", "INCONCLUSIVE": "?", "UNINFORMATIVE": "--"}


def verdict_table(evidence: Evidence) -> str:
    """The verdict matrix, methods x checks, ready for ``\\input``; needs the package booktabs."""
    verdict = evidence.verdict
    methods, checks, found = grid(verdict)
    rows = []
    for method in methods:
        cells = [_word(method)]
        for check in checks:
            one = found.get((method, check))
            cells.append(f"{MARKS[one.verdict]}~{_drop(effect(headline(one)))}" if one else "")
        rows.append(cells)
    sparsities = ", ".join(percent(s) for s in order(evidence).sparsities)
    caption = (
        f"{tex(name(evidence.name))}: mean drop in accuracy (points) and 90\\% interval at "
        f"{tex(sparsities)} sparsity; margin {verdict.margin:.3g}. $\\bullet$ depends, $\\circ$ does not depend, "
        "? inconclusive, -- uninformative."
    )
    return _table(["method", *map(_word, checks)], rows, caption, "tab:prunecheck")


def accuracy_table(evidence: Evidence) -> str:
    """Mean accuracy of every arm, a row a method x check, a column a sparsity; the extreme seeds in brackets."""
    found, known = arms(evidence), order(evidence)
    places = {(arm.method, arm.check, arm.sparsity): arm for arm in found}
    pairs = dict.fromkeys((arm.method, arm.check) for arm in found)
    rows = [
        [_word(m), _word(CLEAN if c == CLEAN else c), *[_accuracy(places.get((m, c, s))) for s in known.sparsities]]
        for m, c in pairs
    ]
    dense = evidence.verdict.dense_accuracy
    trained = "" if dense is None else f" Dense networks reach {100 * dense:.2f}."
    caption = (
        f"{tex(name(evidence.name))}: mean test accuracy (\\%) after the last epoch by sparsity, "
        f"lowest and highest seed in brackets.{trained}"
    )
    return _table(
        ["method", "check", *[tex(percent(s)) for s in known.sparsities]], rows, caption, "tab:prunecheck-accuracy"
    )


def tex(text: object) -> str:
    """*text* as LaTeX prints it: nothing in it is a command."""
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    special |= {c: "\\" + c for c in "&%$#_{}"}
    return "".join(special.get(c, c) for c in line(text))


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], caption: str, label: str) -> str:
    lines = [
        r"\begin{table}",
        r"\centering\footnotesize",
        rf"\caption{{{caption}}}",
        rf"\label{{{label}}}",
        rf"\begin{{tabular}}{{{'l' * len(head)}}}",
        r"\toprule",
        " & ".join(head) + r" \\",
        r"\midrule",
        *[" & ".join(row) + r" \\" for row in rows],
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _word(text: str) -> str:
    return tex(name(text).replace("_", " "))


def _drop(drop: str) -> str:
    mean, _, bounds = drop.partition(" ")
    return rf"${mean}$ ${bounds}$" if bounds else f"${mean}$" if mean else ""


def _accuracy(arm: Arm | None) -> str:
    """``92.81 [92.50, 93.12]``; empty where the arm was not run."""
    return "" if arm is None else f"{100 * arm.mean:.2f} [{100 * arm.low:.2f}, {100 * arm.high:.2f}]"
