"""What lm-evaluation-harness writes with ``--log_samples``: one metric of one task, document by document.

A folder holds one run: ``results_STAMP.json`` and ``samples_TASK_STAMP.jsonl``, in it or up to two folders below.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prunecheck.errors import StudyError
from prunecheck.text import listing, printable, printable_path, unknown

LONGEST_LINE = 64 * 2**20
"""bytes; a longer line is no sample of a document"""
LARGEST_RESULTS = 256 * 2**20
SHOWN = 8
RUN_WIDE = ("chat_template_sha", "system_instruction_sha", "fewshot_as_multiturn")
OF_TASK = (
    "output_type",
    "num_fewshot",
    "doc_to_text",
    "doc_to_target",
    "doc_to_choice",
    "description",
    "target_delimiter",
    "fewshot_delimiter",
    "generation_kwargs",
    "repeats",
    "filter_list",
)
"""what changes the questions or how answers are read; models and devices may differ"""


@dataclass(frozen=True)
class Run:
    """One evaluation of one network. ``tasks``: task -> its file of samples."""

    folder: Path
    results: Path
    record: Mapping[str, Any]
    tasks: Mapping[str, Path]

    def setting(self, task: str) -> dict[str, Any]:
        """Everything that must be equal between runs for their documents to be comparable."""
        config = _mapping(_mapping(self.record.get("configs")).get(task))
        found = {name: config.get(name) for name in OF_TASK}
        found |= {name: self.record.get(name) for name in RUN_WIDE}
        found["version"] = _mapping(self.record.get("versions")).get(task)
        found["n-shot"] = _mapping(self.record.get("n-shot")).get(task)
        return found

    def lower_is_better(self, task: str, metric: str) -> bool:
        """Whether the harness says so; a metric it says nothing about counts as higher is better."""
        return _mapping(_mapping(self.record.get("higher_is_better")).get(task)).get(metric) is False


@dataclass(frozen=True)
class Sample:
    """One document: where it stands, what identifies it and its prompt, and its value (for a log-likelihood the pair
    of its sum and the number of units)."""

    where: str
    identity: tuple[str, str, str]
    value: float | tuple[float, float]


def read_run(folder: Path) -> Run:
    """The one run in *folder*. Raises StudyError where there is none, several, or a broken file."""
    shown = printable_path(folder)
    if not folder.is_dir():
        raise StudyError(f"{shown} is not a folder. Give the --output_path of lm_eval, run with --log_samples.")
    found = sorted(path for depth in ("", "*/", "*/*/") for path in folder.glob(f"{depth}results_*.json"))
    if not found:
        raise StudyError(f"{shown} holds no results_*.json of lm-evaluation-harness.")
    if len(found) > 1:
        names = listing([printable_path(path.relative_to(folder)) for path in found[:SHOWN]])
        raise StudyError(f"{shown} holds {len(found)} runs: {names}. Give a folder with one.")
    record = _json_object(found[0])
    stamp = found[0].name.removeprefix("results_").removesuffix(".json")
    start, end = "samples_", f"_{stamp}.jsonl"
    files = sorted(found[0].parent.iterdir())
    tasks = {
        path.name[len(start) : -len(end)]: path
        for path in files
        if path.name.startswith(start) and path.name.endswith(end) and len(path.name) > len(start) + len(end)
    }
    if not tasks:
        raise StudyError(
            f"{printable_path(found[0])} has no samples_*.jsonl beside it: run lm_eval with --log_samples."
        )
    return Run(folder, found[0], record, tasks)


def read_samples(run: Run, task: str, metric: str | None, filter_: str | None) -> tuple[str, dict[str, Sample]]:
    """The metric's name and the samples by document id. Raises StudyError naming file and line."""
    path = run.tasks[task]
    found: dict[str, Sample] = {}
    filters: set[str] = set()
    for number, line in _lines(path):
        where = f"{printable_path(path)}, line {number}"
        sample = _parsed(line, where)
        of = str(sample.get("filter", "none"))
        filters.add(of)
        if filter_ is not None and of != filter_:
            continue
        if len(filters) > 1 and filter_ is None:
            names = listing([printable(one) for one in sorted(filters)])
            raise StudyError(f"{where}: answers are read by several filters ({names}). Choose one with --filter.")
        metric = metric or _only_metric(sample, where)
        key = sample.get("doc_id")
        if isinstance(key, bool) or not isinstance(key, int | str):
            raise StudyError(f"{where}: there is no doc_id.")
        if str(key) in found:
            raise StudyError(f"{where}: document {printable(str(key))} was already given at {found[str(key)].where}.")
        hashes = [sample.get(name) for name in ("doc_hash", "prompt_hash", "target_hash")]
        if not all(isinstance(one, str) and one for one in hashes):
            raise StudyError(f"{where}: doc_hash, prompt_hash or target_hash is missing.")
        found[str(key)] = Sample(where, (str(hashes[0]), str(hashes[1]), str(hashes[2])), _value(sample, metric, where))
    if not found:
        which = f" for the filter {printable(filter_)!r}; there are {listing(sorted(filters))}" if filters else ""
        raise StudyError(f"{printable_path(path)} holds no samples{which}.")
    assert metric is not None
    return metric, found


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    try:
        with path.open("rb") as file:
            number = 0
            while line := file.readline(LONGEST_LINE + 1):
                number += 1
                if len(line) > LONGEST_LINE:
                    raise StudyError(f"{printable_path(path)}, line {number} is longer than {LONGEST_LINE} bytes.")
                if line.strip():
                    yield number, line
    except OSError as error:
        raise StudyError(f"{printable_path(path)} cannot be read: {printable(error, 120)}.") from None


def _parsed(line: bytes, where: str) -> Mapping[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        raise StudyError(f"{where} is not JSON.") from None
    if not isinstance(found, dict):
        raise StudyError(f"{where} is not a sample of a document.")
    return found


def _json_object(path: Path) -> Mapping[str, Any]:
    try:
        if path.stat().st_size > LARGEST_RESULTS:
            raise StudyError(f"{printable_path(path)} is larger than {LARGEST_RESULTS} bytes.")
        found = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        raise StudyError(f"{printable_path(path)} is not JSON.") from None
    except OSError as error:
        raise StudyError(f"{printable_path(path)} cannot be read: {printable(error, 120)}.") from None
    if not isinstance(found, dict):
        raise StudyError(f"{printable_path(path)} holds no results of lm-evaluation-harness.")
    return found


def _only_metric(sample: Mapping[str, Any], where: str) -> str:
    names = sample.get("metrics")
    if not isinstance(names, list) or not names:
        raise StudyError(f"{where}: no metrics are named. Choose one with --metric.")
    if len(names) > 1:
        raise StudyError(
            f"{where}: there are {listing([printable(str(one)) for one in names])}. Choose one with --metric."
        )
    return str(names[0])


def _value(sample: Mapping[str, Any], metric: str, where: str) -> float | tuple[float, float]:
    if metric not in sample:
        there = [str(one) for one in sample.get("metrics") or () if str(one) in sample]
        raise StudyError(f"{where}: {unknown('metric', metric, there)}")
    value = sample[metric]
    parts = value if isinstance(value, list) else [value]
    numbers = [float(one) for one in parts if isinstance(one, int | float) and math.isfinite(one)]
    if len(numbers) != len(parts) or len(numbers) not in (1, 2):
        raise StudyError(f"{where}: {printable(metric)} is {printable(json.dumps(value), 40)}, not a number.")
    if len(numbers) == 1:
        return numbers[0]
    if numbers[1] <= 0:
        raise StudyError(f"{where}: {printable(metric)} counts {numbers[1]:g} units of text; it must be above 0.")
    return numbers[0], numbers[1]


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
