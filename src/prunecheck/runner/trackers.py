"""Experiment trackers: every training, as it is finished, becomes a run of TensorBoard, W&B, MLflow or Trackio.

The trackers are those of accelerate; nothing of it is imported unless a tracker is asked for. This process logs, never
a worker. A tracker that fails is reported once and then ignored: it must not stop a study.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from prunecheck.errors import StudyError
from prunecheck.statistics import StudyVerdict
from prunecheck.statistics.outcome import SYMBOLS, headline
from prunecheck.store import Store
from prunecheck.study.step import Step
from prunecheck.text import printable, unknown

TRACKERS = ("mlflow", "tensorboard", "trackio", "wandb")
FIELDS = ("method", "check", "sparsity", "seed")
CURVES = ("test_accuracy", "train_accuracy", "train_loss")

Opener = Callable[[str], Any]
"""run name -> a started accelerate tracker"""


@dataclass
class Tracking:
    """Logs to one tracker. ``alive`` is False once it has failed; nothing is logged from then on."""

    store: Store
    open: Opener
    warn: Callable[[str], None]
    alive: bool = True

    def finished(self, step: Step, _seconds: float) -> None:
        """A step was finished; a training becomes a run: its choices, its curve by epoch, its final accuracy."""
        if step.kind in ("pretrain", "train"):
            with self._unharmed():
                facts = json.loads(self.store.read(step.key, "result.json"))
                self._log(run_name(step.title), config_of(step), [*_curve(facts), _final(facts)])

    def judged(self, verdict: StudyVerdict) -> None:
        """One more run, ``verdicts``: the answers as its configuration, drops and bounds in points as its numbers."""
        answers: dict[str, str] = {}
        numbers: dict[str, float] = {}
        for check in verdict.checks:
            place = f"{_plain(check.method)}/{_plain(check.check)}"
            answers[place] = f"{SYMBOLS[check.verdict]} {check.verdict.lower()}"
            cell = headline(check)
            if cell is not None:
                numbers |= {f"{place}/drop": cell.mean_drop, f"{place}/low": cell.low, f"{place}/high": cell.high}
        with self._unharmed():
            self._log("verdicts", answers, [(0, _finite(numbers))])

    def _log(self, name: str, config: Mapping[str, Any], lines: list[tuple[int, dict[str, float]]]) -> None:
        if not self.alive:
            return
        tracker = self.open(name)
        try:
            _configure(tracker, config)
            for at, values in lines:
                if values:
                    tracker.log(values, step=at)
        finally:
            tracker.finish()

    @contextmanager
    def _unharmed(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            if self.alive:
                reason = f"{type(error).__name__}: {printable(str(error), 200)}"
                self.warn(f"The tracker failed ({reason}); the study continues without it.")
            self.alive = False


def tracking(name: str, study: str, store: Store, folder: Path, warn: Callable[[str], None]) -> Tracking:
    """Get ready to log to the tracker *name* (one of ``TRACKERS``); *warn* is called at most once, if it fails.

    TensorBoard's files go to ``folder/tensorboard``; where the others write is their own configuration. Raises
    StudyError for unknown names and, with the line that installs it, where a package is missing.
    """
    if name not in TRACKERS:
        raise StudyError(unknown("tracker", name, TRACKERS))
    missing = [package for package in ("accelerate", name) if find_spec(package) is None]
    if missing:
        raise StudyError(
            f"the tracker {name!r} needs {' and '.join(missing)}, which is not installed: "
            f"pip install 'prunecheck[{name}]'"
        )
    return Tracking(store, _opener(name, _plain(study), folder), warn)


def run_name(title: str) -> str:
    """``train · snip · clean · 90% · seed 0 -> snip-clean-90-seed_0``: fit for a folder, an address and a legend."""
    return "-".join(_plain(part) for part in title.removeprefix("train · ").split(" · "))


def config_of(step: Step) -> dict[str, Any]:
    """The values to group and filter by: the arm and the recipe."""
    kind, *parts = step.title.split(" · ")
    place = dict(zip(FIELDS, parts, strict=False)) if kind == "train" and len(parts) >= len(FIELDS) else {}
    recipe = {key: value for key, value in step.params["recipe"].items() if isinstance(value, (int, float, str))}
    named = {"step": step.title, "key": step.key[:16], "model": step.params["model"]}
    return recipe | named | place | {"seed": step.params["seed"]}


def _opener(name: str, study: str, folder: Path) -> Opener:
    import_module("accelerate.state").PartialState(cpu=True)  # accelerate's own log lines ask for it
    kind = import_module("accelerate.tracking").LOGGER_TYPE_TO_CLASS[name]
    where: dict[str, Callable[[str], Any]] = {
        "mlflow": lambda run: kind(experiment_name=study, run_name=run),
        "tensorboard": lambda run: kind(run, folder / "tensorboard"),
        "trackio": lambda run: kind(study, name=run),
        "wandb": lambda run: kind(study, name=run, group=run.partition("-")[0], dir=str(folder)),
    }

    def opened(run: str) -> Any:
        tracker = where[name](run)
        tracker.start()
        return tracker

    return opened


def _configure(tracker: Any, config: Mapping[str, Any]) -> None:
    """The configuration of a run. For TensorBoard as a text: of hyperparameters accelerate makes it one more run."""
    if tracker.name == "tensorboard":
        tracker.log({"choices": "".join(f"    {key}: {value}\n" for key, value in config.items())}, step=0)
    else:
        tracker.store_init_configuration(dict(config))


def _curve(facts: Mapping[str, Any]) -> list[tuple[int, dict[str, float]]]:
    return [(epoch["epoch"] + 1, _finite({key: epoch[key] for key in CURVES})) for epoch in facts["history"]]


def _final(facts: Mapping[str, Any]) -> tuple[int, dict[str, float]]:
    return facts["last_epoch"], _finite({"accuracy": facts["accuracy"]})


def _finite(values: Mapping[str, float | None]) -> dict[str, float]:
    return {key: value for key, value in values.items() if value is not None and math.isfinite(value)}


def _plain(text: str) -> str:
    """Letters, digits, dots and underscores only: what every tracker and every file system takes."""
    return re.sub(r"[^A-Za-z0-9._]+", "_", text).strip("_.")[:80] or "unnamed"
