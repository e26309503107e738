"""A results folder as a data set of the Hugging Face Hub, and as an entry of a registry of verdicts."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from prunecheck.errors import StudyError
from prunecheck.paths import file_problem
from prunecheck.statistics.language_table import DOCUMENTS
from prunecheck.statistics.outcome import Cell, StudyVerdict, headline
from prunecheck.statistics.recorded import RESULTS, Change, JudgedAgain, changes, judge_again, verdicts_of
from prunecheck.statistics.rows import unit_name
from prunecheck.store.durable import ensure_folder, write_file
from prunecheck.text import printable, printable_path

COPIED = (RESULTS, "verdicts.json", "report.md", "index.html")
TAGS = ("pruning", "sparsity", "lottery-ticket", "prunecheck")
SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"))
REGISTRY_VERSION = 1


def publish(folder: Path, to: Path, *, study: Path | None = None, license: str | None = None) -> JudgedAgain:
    """Write the data set of the results folder *folder* into *to*, a new or empty folder: the rows, the verdicts as a
    table and as JSON, the page, the report, the study file if given, and the card ``README.md``.

    The rows are judged again first. Raises StudyError where they give other verdicts than those of the folder, where a
    file is missing, and where *to* is not empty.
    """
    found = _unchanged(judge_again(folder))
    is_language = found.verdict.metric == "nll"
    files = {name: _read(folder / name) for name in (*COPIED, *((DOCUMENTS,) if is_language else ()))}
    files["verdicts.csv"] = verdicts_csv(found.verdict).encode()
    if study is not None:
        files["study.toml"] = _read(study)
    files["README.md"] = card(found, files["report.md"].decode(), "study.toml" in files, license).encode()
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise StudyError(f"{printable_path(to)} is not empty. Name a new folder.")
    ensure_folder(to)
    for name, data in files.items():
        write_file(to / name, data)
    return found


def _unchanged(found: JudgedAgain) -> JudgedAgain:
    if found.changes:
        raise StudyError(
            f"{printable_path(found.folder)}: its rows give other verdicts than its verdicts.json: "
            f"{found.changes[0].sentence}. Write it again: prunecheck report STUDY."
        )
    return found


def card(found: JudgedAgain, report: str, with_study: bool, license: str | None) -> str:
    """The data set's ``README.md``: metadata for the Hub between two ``---``, then the report."""
    verdict, is_language = found.verdict, found.verdict.metric == "nll"
    metadata = {
        "pretty_name": f"{verdict.study}: a placebo-controlled pruning trial",
        **({"license": license} if license else {}),
        "tags": [tag for tag in TAGS if not is_language or tag != "lottery-ticket"],
        "size_categories": [next((name for most, name in SIZES if found.rows < most), "100K<n<1M")],
        "configs": [
            {"config_name": "runs", "data_files": RESULTS, "default": True},
            {"config_name": "verdicts", "data_files": "verdicts.csv"},
        ],
    }
    # every JSON value is YAML, and quoted text cannot end the block or become another type
    block = "\n".join(f"{key}: {json.dumps(value)}" for key, value in metadata.items())
    contents = [
        f"- `{RESULTS}`: one row for each of {found.rows:,} {'models' if is_language else 'trained networks'}.",
        *([f"- `{DOCUMENTS}`: one row for each document of each model, nats per token."] if is_language else []),
        f"- `verdicts.csv`: one row for each method, check and sparsity, drops in {unit_name(verdict.metric)}. "
        "`verdicts.json`: with all settings.",
        "- `index.html`: the report as one page, without parts from elsewhere. `report.md`: the same as text.",
        *(["- `study.toml`: the study file, for `prunecheck run`."] if with_study else []),
    ]
    again = "```console\npip install prunecheck\nprunecheck verify .   # judges the rows again, as the study was\n```"
    return "\n\n".join(["---\n" + block + "\n---", report.strip(), "## Files", "\n".join(contents), again]) + "\n"


def verdicts_csv(verdict: StudyVerdict) -> str:
    """One row for each method and check: verdict, mean drop with its interval, margin (all in points, or in nats per
    token), seeds. Where there are several sparsities, this row has no ``sparsity`` and the numbers of the mean over
    them, if one was judged; a row for each sparsity follows.

    ``limit``: the lower end counts larger drops as this; empty where it counts all as they are.
    """
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    numbers = ("mean_drop", "low", "high", "margin", "seeds", "limit")
    table.writerow(("method", "check", "sparsity", "verdict", "control", *numbers))
    for one in verdict.checks:
        names = (printable(one.method), printable(one.check))
        sparsity = one.cells[0].sparsity if len(one.cells) == 1 else ""
        table.writerow((*names, sparsity, one.verdict, one.control or "", *_numbers(headline(one))))
        for cell in one.cells if len(one.cells) > 1 else ():
            table.writerow((*names, cell.sparsity, cell.verdict, one.control or "", *_numbers(cell)))
    return text.getvalue()


def _numbers(cell: Cell | None) -> tuple[float | str, ...]:
    if cell is None:
        return ("",) * 6
    return (cell.mean_drop, cell.low, cell.high, cell.margin, cell.n, "" if cell.limit is None else cell.limit)


def register(registry: Path, folder: Path) -> JudgedAgain:
    """Add the results folder *folder* to the registry, or replace its entry. Of its ``verdicts.json`` the settings
    suffice. Raises StudyError as ``judge_again``, and where the rows give other verdicts than the folder has."""
    found = _unchanged(judge_again(folder, settings_suffice=True))
    entries = _entries(registry) if registry.exists() else []
    for number, entry in enumerate(entries, 1):
        _check_entry(entry, f"{printable_path(registry)}, entry {number}")
    entry = {
        "folder": Path(os.path.relpath(folder.resolve(), registry.resolve().parent)).as_posix(),
        "study": found.verdict.study,
        "rows_sha256": found.rows_sha256,
        "margin": found.verdict.margin,
        "metric": found.verdict.metric,
        "verdicts": verdicts_of(found.verdict.to_dict()),
    }
    kept = [one for one in entries if one["folder"] != entry["folder"]]
    document = {"schema_version": REGISTRY_VERSION, "entries": sorted([*kept, entry], key=lambda one: one["folder"])}
    ensure_folder(registry.resolve().parent)
    write_file(registry, (json.dumps(document, indent=2) + "\n").encode())
    return found


def verify_registry(registry: Path, failed: Callable[[str], None] | None = None) -> list[JudgedAgain]:
    """Every entry, judged again from its rows; ``changes`` are those from what the registry says. ``failed`` is called
    with the reason for each entry that cannot be judged; without it the first of them raises StudyError."""
    found = []
    for number, entry in enumerate(_entries(registry), 1):
        try:
            _check_entry(entry, f"{printable_path(registry)}, entry {number}")
            found.append(_verified(registry.parent / entry["folder"], entry))
        except StudyError as error:
            if failed is None:
                raise
            failed(str(error))
    return found


def _verified(folder: Path, entry: Mapping[str, Any]) -> JudgedAgain:
    found = judge_again(folder, settings_suffice=True)
    differ = changes(entry["verdicts"], verdicts_of(found.verdict.to_dict())) + found.changes
    if found.rows_sha256 != entry["rows_sha256"]:
        differ = (Change("rows", entry["rows_sha256"][:16], found.rows_sha256[:16]), *differ)
    if entry["margin"] != found.verdict.margin or entry["metric"] != found.verdict.metric:
        now = f"{found.verdict.margin} of {found.verdict.metric}"
        differ = (Change("margin", f"{entry['margin']} of {entry['metric']}", now), *differ)
    return JudgedAgain(folder, found.rows, found.rows_sha256, found.verdict, differ)


def _entries(registry: Path) -> list[dict[str, Any]]:
    where = printable_path(registry)
    try:
        document = json.loads(_read(registry))
    except ValueError as error:
        raise StudyError(file_problem(registry) or f"{where} is not JSON: {printable(str(error))}.") from None
    if not isinstance(document, dict) or not isinstance(document.get("entries"), list):
        raise StudyError(f"{where} is no registry of verdicts: it has no list of entries.")
    return list(document["entries"])


def _check_entry(entry: Any, where: str) -> None:
    types: dict[str, Any] = {"folder": str, "rows_sha256": str, "margin": (int, float), "metric": str, "verdicts": dict}
    for field, kind in types.items():
        if not isinstance(entry, dict) or not isinstance(entry.get(field), kind):
            raise StudyError(f"{where}: {field} is missing or of another type.")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise StudyError(file_problem(path) or f"{printable_path(path)} cannot be read: {error.strerror}.") from None
