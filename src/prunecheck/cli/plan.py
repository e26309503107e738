"""What a study will do: the plan and its cost, the mask tier, and why a step runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunecheck import api
from prunecheck.cli.console import err, note, open_store, print_columns, print_json
from prunecheck.cli.options import DEFAULTS, Options, Out, Set, StorePath
from prunecheck.cli.reading import ReadingProgress
from prunecheck.errors import StudyError
from prunecheck.models import is_external
from prunecheck.text import byte_size, counted, duration, percent, printable, printable_path

if TYPE_CHECKING:
    from prunecheck.store import Store
    from prunecheck.study import AnyStudy, Study


def plan(study: Path, *, options: Options = DEFAULTS) -> None:
    """Show what a study will train, what is shared, what is already in the store, and the expected time.

    Example: prunecheck plan study.toml --set seeds=5

    Parameters
    ----------
    study
        The study file.
    """
    found = forecast(read_study(study, options, allow_absent=True), options.store)
    if options.json:
        print_json(found.document)
    else:
        print_columns(found.lines)


def read_study(study_file: Path, options: Options, quiet: bool = False, *, allow_absent: bool = False) -> AnyStudy:
    """Load the study and name the plug-in files that were loaded with it."""
    from prunecheck.data import watch_reading
    from prunecheck.study import load_study

    watch_reading(None if quiet else ReadingProgress())
    study = load_study(study_file, options.set, allow_absent=allow_absent)
    if study.plugins and not quiet:
        note(f"plug-in files loaded: {', '.join(map(str, study.plugin_files))}")
    return study


@dataclass(frozen=True)
class Forecast:
    document: dict[str, Any]
    lines: list[tuple[str, str]]


def forecast(study: AnyStudy, store_root: Path | None) -> Forecast:
    """Counts of steps by kind (all, shared, to run) and the expected time of those to run."""
    from prunecheck.study.language_study import LanguageStudy

    if isinstance(study, LanguageStudy):
        from prunecheck.cli.language import language_forecast

        return Forecast(*language_forecast(study, store_root, api.usual_workers(study)))
    from prunecheck.runner.engine import needed
    from prunecheck.runner.estimate import Estimate
    from prunecheck.runner.network_remarks import network_remarks
    from prunecheck.runner.report_data import learning_in_words, too_few_updates, updates_in_words
    from prunecheck.study import largest_seeds, make_plan
    from prunecheck.study.faster import faster_choices, unrepeatable, unrepeatable_in_words
    from prunecheck.study.gpus import gpu_name, gpus_of

    plan = most = make_plan(study, allow_absent=True)
    if study.seeds == "auto":
        most = make_plan(study, largest_seeds(study, allow_absent=True), allow_absent=True)
    if is_external(study.model):
        from prunecheck.runner.preflight import try_network  # torch

        try_network(study)
    store = open_store(store_root)
    estimate, workers = Estimate(store), api.usual_workers(study)
    spans = []
    for one in (plan, most):
        todo = needed(one.steps, one.targets, store)
        at_once = max(1, workers // study.processes_per_training)
        spans.append((one, todo, estimate.total(todo.values()) / at_once))
    todo, seconds = spans[0][1], spans[0][2]
    sure = "from earlier timings" if estimate.is_measured(todo.values()) else _guess(study)
    rows = [
        ("study", study.name),
        ("trains", f"{study.model} on {study.data.name}, {study.recipe.epochs} epochs{_processes(study)}"),
        ("methods", ", ".join(m.label or m.name for m in study.methods)),
        ("checks", ", ".join(c.label or c.name for c in study.checks)),
        ("sparsities", ", ".join(percent(s) for s in study.sparsities)),
        ("seeds", _seeds(study)),
        ("arms", str(len(plan.arms))),
        ("trainings", f"{plan.trainings} (without sharing {plan.trainings_requested})"),
    ]
    remarks = network_remarks(study)
    rows += [(word, text) for word, text in zip(("dense", "padding"), remarks, strict=True) if text]
    kinds = Counter(step.kind for step in plan.steps.values())
    open_ = Counter(step.kind for step in todo.values())
    if plan.absent:
        rows.append(("data", f"planned by published numbers: {plan.absent.splitlines()[0]}"))
    if most.mask_epochs:
        total = f"{counted(plan.mask_epochs, 'epoch')} in all"
        rows.append(("masks learned", f"{learning_in_words(study)}; at most {total}"))
    if changes := updates_in_words(study):
        rows.append(("masks change", changes))
    rows += [("warning", line) for line in too_few_updates(study)]
    rows += [(kind, f"{count} steps, {open_[kind]} to run") for kind, count in sorted(kinds.items())]
    time = "nothing to run: every step is in the store"
    if todo:
        time = f"about {duration(seconds)} on {_processors(study, workers)} ({sure})"
    rows.append(("time", time))
    if study.device.startswith("cuda") and not gpus_of(study.device):
        rows.append(
            ("missing", f"device = {study.device!r}, but this machine has no such GPU: it cannot run the study")
        )
    differing = unrepeatable_in_words(study)
    if differing:
        rows.append(("not repeatable", differing))
    if most is not plan:
        rows.append(
            ("at most", f"{most.trainings} trainings, about {duration(spans[1][2])}, if every verdict stays open")
        )
    advice = faster_choices(study, plan.side) if todo else []
    rows += [("faster", line) for line in advice]
    document = {
        "schema_version": 1,
        "study": study.name,
        "arms": len(plan.arms),
        "steps": dict(sorted(kinds.items())),
        "to_run": dict(sorted(open_.items())),
        "trainings": plan.trainings,
        "trainings_without_sharing": plan.trainings_requested,
        "trainings_to_run": open_["pretrain"] + open_["train"],
        "most_trainings": most.trainings,
        **({"mask_epochs": plan.mask_epochs} if plan.mask_epochs else {}),
        "seconds": round(seconds, 1),
        "most_seconds": round(spans[1][2], 1),
        "measured": estimate.is_measured(todo.values()),
        "workers": workers,
        "gpu": gpu_name(study.device) if gpus_of(study.device) else "",
        "data_is_there": not plan.absent,
        "faster": advice,
        "not_repeatable": unrepeatable(study),
        "stays_dense": remarks.dense,
        "multiplies_padding": remarks.padding,
    }
    return Forecast(document, rows)


def _guess(study: AnyStudy) -> str:
    if study.device.startswith("cuda"):
        return "a rough guess from rates of an NVIDIA H200: no such training was timed on this card"
    return "a rough guess: no such training was timed on this machine"


def _processes(study: Study) -> str:
    return f", each on {study.processes_per_training} processes" if study.processes_per_training > 1 else ""


def _processors(study: AnyStudy, workers: int) -> str:
    from prunecheck.study.gpus import gpu_name

    if study.device.startswith("cuda"):
        return f"{counted(workers, 'GPU')} ({gpu_name(study.device) or 'model unknown'})"
    return f"{workers} cores"


def _seeds(study: Study) -> str:
    if study.seeds == "auto":
        return f"auto: 3, then more where a verdict is open, at most {study.max_seeds}"
    return ", ".join(str(seed) for seed in study.first_seeds())


def masks_only_table(study: AnyStudy, store: Path | None, workers: int | None, json: bool, quiet: bool) -> None:
    """Print the overlap of every corrupted mask with the clean one, and the overlap expected by chance."""
    from prunecheck.runner.progress import Progress
    from prunecheck.runner.study_run import mask_tier

    progress = Progress(None if quiet else err())
    found, left_out, remarks = mask_tier(study, open_store(store), workers or api.usual_workers(study), progress)
    if json:
        cells = [
            {
                "method": o.method,
                "check": o.check,
                "sparsity": o.sparsity,
                "iou": o.iou,
                "chance_iou": o.chance_iou,
                "counts_correlation": o.counts_correlation,
                "note": o.note,
            }
            for o in found
        ]
        print_json({"schema_version": 1, "study": study.name, "cells": cells, "left_out": left_out, "remarks": remarks})
        return
    head = ("method", "check", "sparsity", "overlap", "by chance", "layer counts", "")
    rows = [
        (
            o.method,
            o.check,
            percent(o.sparsity),
            f"{o.iou:.3f}",
            f"{o.chance_iou:.3f}",
            "-" if o.counts_correlation is None else f"{o.counts_correlation:.3f}",
            o.note,
        )
        for o in found
    ]
    print_columns([head, *rows], frozenset({2, 3, 4, 5}))
    for sentence in remarks:
        print(sentence)
    if left_out:
        print(f"left out because they need training: {', '.join(left_out)}")


def explain(
    key: str,
    study: Path | None = None,
    *,
    set: Set = (),
    store: StorePath = None,
    out: Out = None,
) -> None:
    """Explain what a step is, whether it is in the store, and if not, why it will run.

    Changes are found by comparing with the plan of the study's last run.

    Example: prunecheck explain 7c1e study.toml

    Parameters
    ----------
    key
        The first digits of a step's key, as in the key column of results.csv.
    study
        The study file it belongs to; without one, only the store is searched.
    """
    if key.endswith(".toml"):
        raise StudyError(f"{printable(key)} is a study file; the key comes first: prunecheck explain KEY STUDY.")
    if study is None:
        found = open_store(store)
        print(_of_artefact(_one(key, found.keys(), "artefact in the store"), found))
        return
    from prunecheck.runner.explain import why
    from prunecheck.study import largest_seeds, load_study, make_plan

    loaded = load_study(study, set)
    steps = make_plan(loaded).steps | make_plan(loaded, largest_seeds(loaded)).steps
    one = steps[_one(key, steps, f"step of {printable_path(study)}")]
    print(why(one, steps, api.workspace_of(loaded, store, out)))


def _one(digits: str, keys: Iterable[str], kind: str) -> str:
    """The one key that begins with *digits*."""
    digits, known = digits.lower().removesuffix("…"), list(keys)
    matches = [key for key in known if key.startswith(digits)] if digits else []
    if len(matches) == 1:
        return matches[0]
    if matches:
        shown = ", ".join(key[: len(digits) + 4] for key in matches[:4])
        raise StudyError(f"{printable(digits)} begins {len(matches)} keys: {shown}, … Give more digits.")
    close = get_close_matches(digits, {key[: len(digits)] for key in known}, n=1, cutoff=0.8)
    tail = f" Did you mean {close[0]!r}?" if close else ""
    raise StudyError(f"no {kind} has a key that begins with {printable(repr(digits))}.{tail}")


def _of_artefact(key: str, store: Store) -> str:
    files = ", ".join(f"{name} ({byte_size(entry.size)})" for name, entry in store.entries(key).items())
    return f"{key[:16]} is in the store: {files}. Name a study to see which of its steps it is."
