"""Verdicts on evaluations by lm-evaluation-harness: arms paired by document and by seed, one verdict for each task."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from prunecheck.errors import StudyError
from prunecheck.statistics.crossed import documents_by_draws
from prunecheck.statistics.judging import judge
from prunecheck.statistics.layout import Place
from prunecheck.statistics.margin_terms import SeedSds, clean_runs, derive_margin, parse_margin
from prunecheck.statistics.outcome import StudyVerdict
from prunecheck.statistics.rows import CLEAN, DENSE, Row, number, scale, unit
from prunecheck.statistics.samples import Run, Sample, read_run, read_samples
from prunecheck.statistics.settings import MIN_SEEDS, Settings
from prunecheck.statistics.variance import Array
from prunecheck.text import counted, listing, printable, printable_path, unknown

METHOD = "model"


@dataclass(frozen=True)
class JudgedSamples:
    """The verdict of one task, with its rows as a table of results has them."""

    task: str
    verdict: StudyVerdict
    records: tuple[Mapping[str, Any], ...]


def judge_samples(
    arms: Mapping[str, Sequence[Path]],
    margin: float | str | None = None,
    *,
    sparsity: float,
    metric: str | None = None,
    filter: str | None = None,
    tasks: Sequence[str] = (),
    chance: float = 0.0,
) -> tuple[JudgedSamples, ...]:
    """Judge every task of evaluations with ``lm_eval --log_samples``.

    *arms*: name -> one folder for each seed (draw), in the same order in every arm. The arm ``clean`` is there, and
    every other one is a check that is compared with it; ``dense``, the unpruned network, may have one folder.
    *margin*: in points for a metric between 0 and 1, in nats for a log-likelihood, or ``"10% of loss of model"``
    against the dense network; None = by rule from the dense network. *sparsity*: fraction of weights removed.
    *metric*, *filter*: as the harness calls them, needed where there are several. *tasks*: empty = all.
    Raises StudyError where the runs cannot be compared: other tasks, versions, prompts, documents or metrics.
    """
    runs = _read(arms)
    names = _tasks(runs, tasks)
    return tuple(_judge_task(runs, task, margin, sparsity, metric, filter, chance) for task in names)


def _read(arms: Mapping[str, Sequence[Path]]) -> dict[str, list[Run]]:
    if CLEAN not in arms:
        raise StudyError(f"samples: no arm is called {CLEAN!r}. Write clean=FOLDER for the untouched networks.")
    if len(set(arms) - {CLEAN, DENSE}) < 1:
        raise StudyError("samples: nothing to compare with the clean arm. Write another one, such as placebo=FOLDER.")
    seeds = len(arms[CLEAN])
    for name, folders in arms.items():
        if name != DENSE and len(folders) != seeds:
            raise StudyError(
                f"samples: {counted(seeds, 'folder')} of clean and {len(folders)} of {printable(name)}. Give one for "
                "each seed in every arm, in the same order."
            )
    used: dict[Path, str] = {}
    runs: dict[str, list[Run]] = {}
    for name, folders in arms.items():
        runs[name] = []
        for folder in folders:
            run = read_run(folder)
            known = used.setdefault(run.results.resolve(), name)
            if known != name or any(one.results.resolve() == run.results.resolve() for one in runs[name]):
                raise StudyError(
                    f"samples: {printable_path(run.results)} was given twice ({printable(known)}, {printable(name)})."
                )
            runs[name].append(run)
    return runs


def _tasks(runs: Mapping[str, Sequence[Run]], wanted: Sequence[str]) -> list[str]:
    first = runs[CLEAN][0]
    for name, several in runs.items():
        for run in several:
            for task in wanted:
                if task not in run.tasks:
                    raise StudyError(f"{printable_path(run.folder)}: {unknown('task', task, run.tasks)}")
            if not wanted and set(run.tasks) != set(first.tasks):
                odd = sorted(set(run.tasks) ^ set(first.tasks))
                raise StudyError(
                    f"samples: {printable(name)} ({printable_path(run.folder)}) and clean were not evaluated on the "
                    f"same tasks: {listing([printable(one) for one in odd[:8]])}. Choose common ones with --task."
                )
    return list(wanted) or sorted(first.tasks)


def _judge_task(
    runs: Mapping[str, Sequence[Run]],
    task: str,
    margin: float | str | None,
    sparsity: float,
    metric: str | None,
    filter_: str | None,
    chance: float,
) -> JudgedSamples:
    first = runs[CLEAN][0]
    name, reference = read_samples(first, task, metric, filter_)
    ids = sorted(reference, key=lambda key: (len(key), key))
    setting = first.setting(task)
    rows, documents, records = [], {}, []
    is_loss = isinstance(reference[ids[0]].value, tuple)
    for arm, several in runs.items():
        for seed, run in enumerate(several):
            _same_setting(setting, run.setting(task), task, run, arm)
            samples = reference if run is first else read_samples(run, task, name, filter_)[1]
            _same_documents(reference, samples, run, task)
            values = np.array([_number(samples[key], name, is_loss, first.lower_is_better(task, name)) for key in ids])
            row = _row(arm, seed, values, sparsity, is_loss)
            rows.append(row)
            records.append(
                {"method": row.method, "check": row.check, "sparsity": row.sparsity, "seed": seed}
                | {"accuracy": row.accuracy, "n_test": row.n_test}
                | ({"nll": row.nll} if is_loss else {})
            )
            if arm != DENSE:
                documents[row.place] = values
    settings = Settings(metric="nll" if is_loss else "accuracy", positive_control=None, chance=chance)
    settings = _with_margin(settings, rows, margin)
    found = judge(rows, study=task, settings=settings, documents=documents)
    notes = (_about(first, task, name, is_loss), *_documents_alone(rows, documents, settings), *found.notes)
    return JudgedSamples(task, replace(found, notes=notes), tuple(records))


def _row(arm: str, seed: int, values: Array, sparsity: float, is_loss: bool) -> Row:
    mean = float(values.mean())
    method, check, at = (DENSE, CLEAN, None) if arm == DENSE else (METHOD, arm, sparsity)
    if not is_loss:
        return Row(method, check, at, seed, mean, len(values))
    # the geometric mean of the probability of a unit of text, 1 / perplexity, stands where an accuracy would
    return Row(method, check, at, seed, math.exp(-mean), len(values), nll=mean)


def _with_margin(settings: Settings, rows: Sequence[Row], margin: float | str | None) -> Settings:
    if margin is None:
        return settings
    term = parse_margin(margin)
    if isinstance(term, float):
        return replace(settings, margin=term)
    if isinstance(term, SeedSds) and not any(row.method == DENSE for row in rows):
        raise StudyError("margin: standard deviations between seeds need several dense=FOLDER.")
    derived = derive_margin(term, clean_runs(rows, settings.metric))
    return replace(settings, margin=derived.points, margin_rule=derived.rule)


def _same_setting(first: Mapping[str, Any], other: Mapping[str, Any], task: str, run: Run, arm: str) -> None:
    for name, value in first.items():
        if other.get(name) != value:
            raise StudyError(
                f"{printable_path(run.results)} ({printable(arm)}): {printable(task)} was evaluated with {name} "
                f"{printable(repr(other.get(name)), 60)}, and clean with {printable(repr(value), 60)}. These cannot be "
                "compared."
            )


def _same_documents(first: Mapping[str, Sample], other: Mapping[str, Sample], run: Run, task: str) -> None:
    for missing, where in (
        (first.keys() - other.keys(), printable_path(run.tasks[task])),
        (other.keys() - first.keys(), "the first clean run"),
    ):
        if missing:
            key = min(missing, key=lambda one: (len(one), one))
            found = first.get(key) or other[key]
            raise StudyError(
                f"{where} lacks {counted(len(missing), 'document')}, such as {printable(key)} ({found.where}). All "
                "runs must be evaluated on the same documents."
            )
    for key, sample in first.items():
        for what, one, two in zip(("doc", "prompt", "target"), sample.identity, other[key].identity, strict=True):
            if one != two:
                raise StudyError(
                    f"{other[key].where}: the {what}_hash of document {printable(key)} is not that of {sample.where}."
                )


def _number(sample: Sample, metric: str, is_loss: bool, lower_is_better: bool) -> float:
    if isinstance(sample.value, tuple) != is_loss:
        raise StudyError(f"{sample.where}: {printable(metric)} is a pair in some documents and a number in others.")
    if isinstance(sample.value, tuple):
        loss = -sample.value[0] / sample.value[1]
        if loss < 0:
            raise StudyError(f"{sample.where}: {printable(metric)} has a log-likelihood above 0.")
        return loss
    if lower_is_better or not 0 <= sample.value <= 1:
        raise StudyError(
            f"{sample.where}: {printable(metric)} is {sample.value:g}. Metrics between 0 and 1 of which more is better "
            "are judged, and log-likelihoods (word_perplexity, byte_perplexity, bits_per_byte)."
        )
    return sample.value


def _about(run: Run, task: str, metric: str, is_loss: bool) -> str:
    setting = run.setting(task)
    words = f"{metric} of lm-evaluation-harness, version {setting['version']}, {setting['n-shot']}-shot"
    if not is_loss:
        return f"Accuracy is {words}."
    per = "word" if metric == "word_perplexity" else "byte"
    return (
        f"The metric is the negative log-likelihood per {per} in nats, averaged over documents with equal weight "
        f"({words}, weighs them by length). What stands for an accuracy is exp(-loss), 1 / perplexity."
    )


def _documents_alone(rows: Sequence[Row], documents: Mapping[Place, Array], settings: Settings) -> tuple[str, ...]:
    """With one or two seeds: what the documents say of these networks, named for what it is."""
    seeds = sorted({row.seed for row in rows if row.check == CLEAN and row.method != DENSE})
    if len(seeds) >= MIN_SEEDS:
        return ()
    notes = []
    clean = np.array([documents[row.place] for row in rows if row.check == CLEAN and row.method != DENSE])
    factor, of = scale(settings.metric), unit(settings.metric)
    for check in dict.fromkeys(row.check for row in rows if row.check != CLEAN):
        other = np.array([documents[row.place] for row in rows if row.check == check])
        each = factor * (clean - other).mean(axis=0)
        # three equal columns: the test that is left is the t test over documents
        found = documents_by_draws(np.tile(each[:, None], (1, MIN_SEEDS)), alpha=settings.alpha)
        low, high = (number(bound, of) for bound in (found.low, found.high))
        notes.append(
            f"Documents alone, {printable(check)}: mean drop {number(found.mean, of)} {of}, 90% interval "
            f"[{low}, {high}] over {len(each)} documents. It holds for these networks only: for other seeds it is too "
            f"narrow, and with {counted(len(seeds), 'seed')} there is no verdict."
        )
    return tuple(notes)
