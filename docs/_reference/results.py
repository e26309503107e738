"""Tables of the pages of results, judged anew from the raw rows in ``docs/results/data/NAME/``.

Such a folder holds ``study.toml``, ``results.csv`` and ``verdicts.json``, cut to the settings that the rows were judged
with. A change of the statistics therefore shows as a page that is no longer current.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from statistics import mean, stdev

from docs._reference.markdown import DOCS, code, table

from prunecheck.reporting.export import verdict_table
from prunecheck.statistics import verdict as judge
from prunecheck.statistics.outcome import Cell, ComparisonVerdict, StudyVerdict, headline, interval_name, levels_name
from prunecheck.statistics.rows import unit_name
from prunecheck.text import percent, points, signed

DATA = DOCS / "results" / "data"
DECIDED = ("depends", "does not depend", "better", "not better", "worse", "passes", "fails")


def verdicts(name: str) -> str:
    """Methods x checks of the study *name*, then how often its controls were in order."""
    found = judged(name)
    head, *rows = verdict_table(found)
    body = [[code(row[0]), *[answer(*cell.split("  ")) if cell else "" for cell in row[1:]]] for row in rows]
    there = [control for control in found.controls if control.status != "missing"]
    ok = sum(control.status == "ok" for control in there)
    controls = f" {ok} of {len(there)} controls ok." if there else " No controls."
    margin = f"Mean drop in {unit_name(found.metric)} [{interval_name(found)}], margin {points(found.margin)}."
    return f"{table(head, body)}\n\n{margin}{controls}"


def drops(name: str) -> str:
    """One row for every method and check of the study *name*, one column for every sparsity."""
    found = judged(name)
    checks = [check for check in found.checks if check.control not in ("identity", "planted")]
    sparsities = sorted({cell.sparsity for check in checks for cell in check.cells})
    body = []
    for check in checks:
        cells = {cell.sparsity: cell for cell in check.cells}
        body.append([code(check.method), code(check.check), *[_cell(cells.get(one)) for one in sparsities]])
    level = levels_name(cell for check in checks for cell in check.cells)
    caption = f"Mean drop in {unit_name(found.metric)} [{level}]."
    return f"{table(['method', 'check', *map(percent, sparsities)], body)}\n\n{caption}"


def leads(name: str, *pairs: str) -> str:
    """The comparisons of the study *name*: the lead of the first method over the second, over all sparsities and at
    each. *pairs*: ``first.second``, or ``first.check.second`` for a corrupted arm of the first; instead of the study's
    own."""
    wanted = [pair.split(".") for pair in pairs]
    comparisons = [_compared(name, *one) for one in wanted] or list(judged(name).comparisons)
    sparsities = sorted({cell.sparsity for one in comparisons for cell in one.cells})
    single = sparsities if len(sparsities) > 1 else []
    body = []
    for one in comparisons:
        cells = {cell.sparsity: cell for cell in one.cells}
        pooled = _lead(one, headline(one))
        first, _, check = one.first.partition("@")
        words = f"{code(first)}, {check}" if check else code(first)
        body.append([words, code(one.second), pooled, *[_cell(cells.get(each)) for each in single]])
    together = levels_name(cell for one in comparisons if (cell := headline(one)))
    caption = f"Lead in {unit_name(judged(name).metric)} [{together}]"
    if single:
        caption += f", at one sparsity [{levels_name(cell for one in comparisons for cell in one.cells)}]"
    return f"{table(['first', 'second', 'lead', *map(percent, single)], body)}\n\n{caption}."


def accuracies(name: str) -> str:
    """Mean accuracy of every arm of the study *name*, with the standard deviation between seeds and their number."""
    arms: dict[tuple[str, str], dict[str, list[float]]] = {}
    for row in raw_rows(name):
        if row["check"] == "identity":  # the clean arm once more
            continue
        values = arms.setdefault((row["method"], row["check"]), {})
        values.setdefault(row["sparsity"], []).append(100 * float(row["accuracy"]))
    sparsities = sorted({one for arm in arms.values() for one in arm if one}, key=float)
    body = []
    for (method, check), values in arms.items():
        shown = [
            _spread(values.get("", [])) if method == "dense" else _spread(values.get(one, [])) for one in sparsities
        ]
        body.append([code(method), check, *shown])
    return table(["method", "check", *[percent(float(one)) for one in sparsities]], body)


def overlaps(name: str, *sparsities: str) -> str:
    """How far every check moves the masks of each method, at *sparsities* (all where none is named): overlap of the two
    masks, the overlap of random masks with the same counts, and the correlation of the layer counts."""
    rows = [row for row in raw_rows(name) if not sparsities or row["sparsity"] in sparsities]
    head = ["network", "method", "check", "sparsity", "overlap", "by chance", "layer counts"]
    body = [
        [
            code(row["model"]),
            code(row["method"]),
            code(row["check"]),
            percent(float(row["sparsity"])),
            *[f"{float(row[column]):.3f}" if row[column] else "" for column in ("iou", "chance_iou", "counts")],
        ]
        for row in rows
    ]
    return table(head, body)


def overlap_and_drop(check: str, *names: str) -> str:
    """One row for every method and sparsity of the studies *names*: the mean overlap of the masks from clean and from
    corrupted input, the drop after training, and the rank correlation of the two over all rows. Rows in which both arms
    collapsed are left out."""
    from scipy.stats import spearmanr

    found = []
    for name in names:
        for one in judged(name).checks:
            if one.check != check:
                continue
            for cell in one.cells:
                overlap = _mean_overlap(name, one.method, check, cell.sparsity)
                if overlap is not None and cell.verdict != "UNINFORMATIVE":
                    found.append((overlap, cell, [code(name), code(one.method), percent(cell.sparsity)]))
    found.sort(key=lambda row: row[0])
    body = [[*place, f"{overlap:.3f}", _cell(cell)] for overlap, cell, place in found]
    rho = spearmanr([overlap for overlap, *_ in found], [cell.mean_drop for _, cell, _ in found]).statistic
    head = ["study", "method", "sparsity", "overlap", "drop after training"]
    return f"{table(head, body)}\n\nRank correlation of overlap and drop: {signed(float(rho))}, {len(found)} rows."


def connected(name: str, *methods: str) -> str:
    """How many percent of the kept weights of every arm of *methods* lie on a path from input to output: means over the
    seeds."""
    arms: dict[tuple[str, str], dict[str, list[float]]] = {}
    for row in raw_rows(name):
        if row["method"] in methods and row["check"] != "identity":
            values = arms.setdefault((row["method"], row["check"]), {})
            used = int(row["weights"]) * (1 - float(row["effective_sparsity"]))
            values.setdefault(row["sparsity"], []).append(used / int(row["kept"]))
    sparsities = sorted({one for arm in arms.values() for one in arm}, key=float)
    body = [
        [code(method), check, *[f"{100 * mean(values[one]):.1f}" if one in values else "" for one in sparsities]]
        for (method, check), values in arms.items()
    ]
    return table(["method", "check", *[percent(float(one)) for one in sparsities]], body)


def provenance(name: str) -> str:
    """The command that repeats the study *name*, its files, and the SHA-256 of each."""
    folder = DATA / name
    lines = []
    for file in ("study.toml", "results.csv", "documents.csv"):
        path = folder / file
        if path.exists():
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            lines.append(f"- [`{file}`](data/{name}/{file}), {_content(path)}, sha256 `{digest[:16]}`")
    return "\n".join(lines)


def _mean_overlap(name: str, method: str, check: str, sparsity: float) -> float | None:
    place = (method, check, sparsity)
    found = [
        float(row["overlap"])
        for row in raw_rows(name)
        if row.get("overlap") and (row["method"], row["check"], float(row["sparsity"])) == place
    ]
    return mean(found) if found else None


@cache
def judged(name: str) -> StudyVerdict:
    return judge(DATA / name / "results.csv")


def _compared(name: str, first: str, *others: str) -> ComparisonVerdict:
    """Clean arms, or one corrupted arm of *first*, judged alone with the margin and the design of the study."""
    *check, second = others
    arm, label = (first, check[0] if check else "clean"), "@".join([first, *check])
    study = judged(name)
    rows = [
        {**row, "method": label if row["method"] == first else second, "check": "clean"}
        for row in raw_rows(name)
        if (row["method"], row["check"]) in {arm, (second, "clean")}
    ]
    (found,) = judge(rows, study.margin, looks=study.looks, against=second, metric=study.metric).comparisons
    return found


@cache
def raw_rows(name: str) -> list[dict[str, str]]:
    with (DATA / name / "results.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _content(path: Path) -> str:
    if path.suffix != ".csv":
        return "the study"
    if path.name == "documents.csv":
        return f"{len(path.read_text(encoding='utf-8').splitlines()) - 1:,} rows, one for each document of each network"
    return f"{len(raw_rows(path.parent.name)):,} rows"


def answer(word: str, effect: str = "") -> str:
    """The answer in bold where it is one."""
    return f"{f'**{word}**' if word in DECIDED else word} {effect}".rstrip()


def _lead(one: ComparisonVerdict, cell: Cell | None) -> str:
    word = "equal" if one.equivalent else one.verdict.lower()
    return answer(word, _effect(cell)) if word != "equal" else f"**equal** {_effect(cell)}"


def _cell(cell: Cell | None) -> str:
    return answer(cell.verdict.lower(), _effect(cell)) if cell else ""


def _effect(cell: Cell | None) -> str:
    return "" if cell is None else f"{signed(cell.mean_drop)} [{signed(cell.low)}, {signed(cell.high)}]"


def _spread(values: Iterable[float]) -> str:
    """Mean (standard deviation; number)."""
    found = list(values)
    if not found:
        return ""
    return f"{mean(found):.1f} ({stdev(found):.1f}; {len(found)})" if len(found) > 1 else f"{found[0]:.1f} (1)"
