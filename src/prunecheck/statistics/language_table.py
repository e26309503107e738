"""``results.csv`` and ``documents.csv`` of a study of language models, judged again: as the study was, or by a margin.

``results.csv`` has one row for each network, ``documents.csv`` one for each document of each; verdicts rest on the
latter, and the former must agree with it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from prunecheck.errors import StudyError
from prunecheck.statistics import values
from prunecheck.statistics.delimited import plain_name, read_lines
from prunecheck.statistics.language import (
    DenseModel,
    LanguageArms,
    LanguageVerdict,
    fingerprint,
    judge_language,
    share_of_loss,
)
from prunecheck.statistics.margin_terms import ShareOfLoss, parse_margin
from prunecheck.statistics.origin import FILE
from prunecheck.statistics.rows import CLEAN, DENSE
from prunecheck.text import listing, percent, printable, printable_path, unknown

DOCUMENTS = "documents.csv"
PLACE = ("method", "check", "sparsity", "seed")
AA, POSITIVE = "aa", "rearranged_rows"
"""names of the control checks in tables without a record of their study"""
FORMULAS = ("=", "+", "-", "@", "\t", "\r")
Place = tuple[str, str, float | None, int]


@dataclass(frozen=True)
class LanguageTable:
    """``rows``: those of results.csv, ``documents``: those of documents.csv, as plain values, None where empty."""

    path: Path
    rows: tuple[Mapping[str, Any], ...]
    documents: tuple[Mapping[str, Any], ...]
    dense: DenseModel
    nll: Mapping[tuple[str, str, float], Mapping[int, tuple[float, ...]]]
    names: tuple[str, ...]

    @cached_property
    def as_its_study(self) -> tuple[str, LanguageArms, float, str]:
        """Name, arms and error rate by the record beside the table, and a remark where there is none that counts."""
        return _as_its_study(self)


def is_language_table(source: object) -> bool:
    """Whether *source* is a file with likelihoods and without accuracies."""
    if not isinstance(source, str | Path):
        return False
    columns = {plain_name(column) for column in read_lines(Path(source), {*PLACE, "nll"}).columns}
    return "nll" in columns and not columns & {"accuracy", "mean"}


def read_language_table(path: Path) -> LanguageTable:
    """Read results.csv and the documents.csv beside it. Raises StudyError, naming file and line, where one is missing,
    where they disagree, or where networks were not evaluated on the same documents."""
    if "document" in _columns(path):
        raise StudyError(f"{printable_path(path)} has one row for each document. Give the results.csv beside it.")
    beside = path.parent / DOCUMENTS
    if not beside.is_file():
        raise StudyError(
            f"{printable_path(path)} has likelihoods and no accuracies: verdicts on language models need the "
            f"likelihood of every document, in {printable_path(beside)}, which is not there."
        )
    rows, documents = tuple(_records(path, ("nll",))), tuple(_records(beside, ("document", "nll", "tokens")))
    found: dict[Place, dict[str, float]] = {}
    tokens: dict[str, int] = {}
    for where, one in documents:
        if one["document"] in (network := found.setdefault(_place(one), {})):
            raise StudyError(f"{where}: document {printable(one['document'])!r} of this network was already given.")
        network[one["document"]] = one["nll"]
        if tokens.setdefault(one["document"], one["tokens"]) != one["tokens"]:
            raise StudyError(
                f"{where}: the document has {one['tokens']} tokens here and {tokens[one['document']]} above."
            )
    names = tuple(tokens)
    for place, network in found.items():
        if lacking := tokens.keys() - network.keys():
            raise StudyError(
                f"{printable_path(beside)}: {_shown(place)} lacks document {printable(min(lacking))!r}. All networks "
                "must be evaluated on the same documents."
            )
    _compare_means(rows, found, path)
    dense = [network for place, network in found.items() if place[0] == DENSE]
    if len(dense) != 1:
        raise StudyError(f"{printable_path(beside)}: {len(dense)} dense models (method {DENSE!r}); one is needed.")
    nll: dict[tuple[str, str, float], dict[int, tuple[float, ...]]] = {}
    for (method, check, sparsity, seed), network in found.items():
        if sparsity is not None:
            nll.setdefault((method, check, sparsity), {})[seed] = tuple(network[name] for name in names)
    if not nll:
        raise StudyError(f"{printable_path(path)}: there is no row of a pruned model.")
    model = DenseModel(tuple(dense[0][name] for name in names), math.nan, tuple(tokens.values()))
    return LanguageTable(path, tuple(r for _, r in rows), tuple(d for _, d in documents), model, nll, names)


def judge_language_table(
    table: LanguageTable, margin: float | str | None = None, against: str | Sequence[str] = ()
) -> LanguageVerdict:
    """The verdicts of a table: with the settings of the study whose verdicts.json lies beside it, or with *margin*
    (nats per token, or ``"10% of loss of magnitude"``), which comes first. *against*: compare the clean arm of every
    other method with these methods' instead. Raises StudyError where there is no margin or nothing to judge."""
    study, arms, alpha, remark = table.as_its_study
    if margin is not None:
        arms = _with_margin(arms, margin)
    if not arms.margins:
        raise StudyError(
            f"{printable_path(table.path)}: {remark or 'no margin is known.'} Give the smallest difference that "
            'matters: --margin 0.05 in nats per token, or --margin "10% of loss of magnitude".'
        )
    if against:
        arms = replace(arms, compare=tuple(_pairs(table, [against] if isinstance(against, str) else against)))
    if not arms.compare and all(check == CLEAN for _, check, _ in table.nll):
        raise StudyError("nothing to judge: every row is of a clean arm. To compare methods: --against METHOD.")
    found = judge_language(study, arms, alpha)
    return replace(found, notes=(remark, *found.notes)) if remark else found


def language_origin(table: LanguageTable) -> str:
    """Why the table is not judged as its study was; empty where it is."""
    return table.as_its_study[3]


def _as_its_study(table: LanguageTable) -> tuple[str, LanguageArms, float, str]:
    controls = frozenset((AA, POSITIVE))
    plain = LanguageArms(table.dense, table.nll, {}, "", POSITIVE, AA, controls, names=table.names)
    path, name = table.path.parent / FILE, table.path.stem
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        written = record["origin"]
        if written["documents_sha256"] != fingerprint(plain):
            return name, plain, 0.05, f"The {FILE} beside the table is of other documents or networks."
        settings = written["settings"]
        unigram = settings["unigram_nll"]
        arms = LanguageArms(
            dense=replace(table.dense, unigram_mean=math.nan if unigram is None else float(unigram)),
            nll=table.nll,
            margins={float(sparsity): float(nats) for sparsity, nats in settings["margins"]},
            margin_rule=str(settings["margin_rule"]),
            positive=str(settings["positive"]),
            aa=str(settings["aa"]),
            control_checks=frozenset(map(str, settings["control_checks"])),
            compare=tuple((str(first), str(second)) for first, second in settings["compare"]),
            names=table.names,
        )
        return str(record["study"]), arms, float(settings["alpha"]), ""
    except FileNotFoundError:
        return name, plain, 0.05, ""
    except (OSError, ValueError, KeyError, TypeError):
        return name, plain, 0.05, f"The {FILE} beside the table is of another version, or cannot be read."


def _with_margin(arms: LanguageArms, given: float | str) -> LanguageArms:
    term = parse_margin(given)
    if isinstance(term, ShareOfLoss):
        methods = sorted({method for method, check, _ in arms.nll if check == CLEAN})
        if term.method not in methods:
            raise StudyError(f"margin: {unknown('method with a clean arm', term.method, methods)}")
        margins, rule = share_of_loss(term.fraction, term.method, arms.nll, arms.dense.mean)
        if not margins:
            raise StudyError(f"margin: {printable(term.method)} loses nothing against the dense model. Give nats.")
        return replace(arms, margins=margins, margin_rule=rule)
    if not isinstance(term, float) or not 0 < term < math.inf:
        raise StudyError(
            f"margin {printable(str(given))!r}: for language models write nats per token above 0 (0.05), or a share "
            'of what a method loses against the dense model ("10% of loss of magnitude").'
        )
    sparsities = sorted({sparsity for _, _, sparsity in arms.nll})
    return replace(arms, margins=dict.fromkeys(sparsities, term), margin_rule=f"{term:g} nats per token, as given.")


def _pairs(table: LanguageTable, against: Iterable[str]) -> Iterator[tuple[str, str]]:
    methods = list(dict.fromkeys(method for method, check, _ in table.nll if check == CLEAN))
    for reference in against:
        if reference not in methods:
            raise StudyError(f"against: {unknown('method with a clean arm', reference, methods)}")
        yield from ((method, reference) for method in methods if method != reference)


def _compare_means(rows: Iterable[tuple[str, Mapping[str, Any]]], found: Mapping[Place, Any], path: Path) -> None:
    """Raises StudyError where results.csv is not of these documents."""
    seen = set()
    for where, row in rows:
        place = _place(row)
        if place not in found:
            raise StudyError(f"{where}: {_shown(place)} is not in {DOCUMENTS}.")
        if place in seen:
            raise StudyError(f"{where}: {_shown(place)} was already given.")
        seen.add(place)
        mean = sum(found[place].values()) / len(found[place])
        if not math.isclose(mean, row["nll"], rel_tol=1e-6, abs_tol=1e-9):
            raise StudyError(
                f"{where}: nll is {row['nll']:g}, but its documents in {DOCUMENTS} have the mean {mean:g}."
            )
    if missing := found.keys() - seen:
        few = sorted(map(_shown, missing))
        raise StudyError(f"{printable_path(path)} lacks {listing(few[:2])}, which {DOCUMENTS} has.")


def _records(path: Path, required: Sequence[str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each row as plain values, after the place it stands at."""
    lines, name = read_lines(path, {*PLACE, *required}), printable_path(path)
    columns = [plain_name(column) for column in lines.columns]
    if missing := [column for column in (*PLACE, *required) if column not in columns]:
        raise StudyError(f"{name}: no column {missing[0]!r}. There are: {', '.join(map(printable, columns))}.")
    for line, cells in lines.cells:
        where, texts = f"{name}, line {line}", dict(zip(columns, cells, strict=True))
        row: dict[str, Any] = {column: _value(text) for column, text in texts.items()}
        row["method"], row["check"] = (_unescaped(values.name_of(where, texts, one)) for one in ("method", "check"))
        is_dense = row["method"] == DENSE
        row["sparsity"] = None if is_dense else values.sparsity(where, texts["sparsity"])
        row["seed"] = 0 if is_dense else values.whole(where, "seed", texts["seed"])
        row["nll"] = values.positive(where, "nll", texts["nll"])
        if "document" in required:
            row["document"] = _unescaped(values.name_of(where, texts, "document"))
            row["tokens"] = values.whole(where, "tokens", texts["tokens"], least=1)
        yield where, row


def _columns(path: Path) -> set[str]:
    return {plain_name(column) for column in read_lines(path, {*PLACE, "document", "nll"}).columns}


def _value(text: str) -> int | float | str | None:
    """A cell that verdicts do not rest on, as the number it is, if it is one."""
    if text.lower() in values.MISSING:
        return None
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _unescaped(text: str) -> str:
    """Without the apostrophe that tables have before what a spreadsheet would run as a formula."""
    return text[1:] if text.startswith("'") and text[1:].lstrip(" ").startswith(FORMULAS) else text


def _place(row: Mapping[str, Any]) -> Place:
    return row["method"], row["check"], row["sparsity"], row["seed"]


def _shown(place: Place) -> str:
    method, check, sparsity, seed = place
    at = "" if sparsity is None else f" at {percent(sparsity)}"
    return f"{printable(method)} x {printable(check)}{at}, seed {seed}"
