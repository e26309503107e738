"""Tables of the pages on language models, judged anew from ``results.csv`` and ``documents.csv`` of a study."""

from __future__ import annotations

import math
from statistics import mean, stdev

from docs._reference.markdown import code, table
from docs._reference.results import answer, judged, raw_rows

from prunecheck.reporting.language import headline
from prunecheck.statistics.language import LanguageVerdict
from prunecheck.statistics.outcome import CheckVerdict, ComparisonVerdict
from prunecheck.text import percent


def language_verdicts(name: str) -> str:
    """Methods x checks of the study *name* in nats per token, what the margin is, and how many controls were in
    order."""
    found = _verdict(name)
    checks = [one for one in found.checks if one.control is None]
    columns = list(dict.fromkeys(one.check for one in checks))
    cells = {(one.method, one.check): _answered(one) for one in checks}
    body = [
        [code(method), *[cells.get((method, column), "") for column in columns]]
        for method in dict.fromkeys(one.method for one in checks)
    ]
    margins = ", ".join(f"{margin:.3f} at {percent(sparsity)}" for sparsity, margin in found.margins.items())
    ok = sum(control.status == "ok" for control in found.controls)
    words = (
        f"Nats per token that the check costs [90% interval], margin {margins}. "
        f"{ok} of {len(found.controls)} controls ok. {found.documents} documents; "
        f"dense perplexity {found.dense_perplexity:.2f}."
    )
    return f"{table(['method', *columns], body)}\n\n{words}"


def language_leads(name: str) -> str:
    """The comparisons of the study *name*: how many nats per token the first method is better by."""
    body = [[code(one.first), code(one.second), _answered(one)] for one in _verdict(name).comparisons]
    return table(["first", "second", "lead"], body)


def perplexities(name: str) -> str:
    """Every arm of the study *name*: means over the draws, with the standard deviation between draws and the overlap of
    its masks with those of the clean arm."""
    arms: dict[tuple[str, str, str], list[dict[str, str]]] = {}
    for row in raw_rows(name):
        arms.setdefault((row["method"], row["check"], row["sparsity"]), []).append(row)
    body = []
    for (method, check, sparsity), found in arms.items():
        nll = [float(row["nll"]) for row in found]
        overlaps = [float(one) for row in found if (one := row.get("overlap"))]
        logs = [math.log(float(row["perplexity"])) for row in found if row["perplexity"]]
        spread = f" ({stdev(nll):.3f}; {len(nll)})" if len(nll) > 1 else ""
        body.append(
            [
                code(method),
                check,
                percent(float(sparsity)) if sparsity else "",
                f"{math.exp(mean(logs)):,.2f}" if len(logs) == len(found) else "over 1e300",
                f"{mean(nll):.3f}{spread}",
                f"{mean(overlaps):.3f}" if overlaps else "",
            ]
        )
    return table(["method", "check", "sparsity", "perplexity", "nats per token", "overlap"], body)


def _verdict(name: str) -> LanguageVerdict:
    found = judged(name)
    assert isinstance(found, LanguageVerdict)
    return found


def _answered(one: CheckVerdict | ComparisonVerdict) -> str:
    equal = isinstance(one, ComparisonVerdict) and one.equivalent
    return answer("equal" if equal else one.verdict.lower(), headline(one.cells))
