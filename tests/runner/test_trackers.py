"""Trackers: what is logged, that nothing is needed unless asked for, that a broken one stops no study."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from prunecheck.errors import StudyError
from prunecheck.runner import trackers
from prunecheck.runner.progress import Progress
from prunecheck.runner.results import Results
from prunecheck.runner.study_run import run_study
from prunecheck.runner.trackers import Tracking, run_name, tracking
from tests.reporting import sample

from . import tiny


@dataclass
class Fake:
    """What accelerate's trackers look like from outside."""

    name: str
    config: dict[str, Any] = field(default_factory=dict)
    lines: list[tuple[int, dict[str, float]]] = field(default_factory=list)
    closed: bool = False

    def store_init_configuration(self, values: dict[str, Any]) -> None:
        self.config = values

    def log(self, values: dict[str, float], step: int) -> None:
        self.lines.append((step, values))

    def finish(self) -> None:
        self.closed = True


@dataclass
class Shop:
    """Opens fakes, remembers them; from the *patience*-th on it fails."""

    runs: list[Fake] = field(default_factory=list)
    patience: int = 1000

    def __call__(self, name: str) -> Fake:
        if len(self.runs) >= self.patience:
            raise ConnectionError("the server is away")
        self.runs.append(Fake(name))
        return self.runs[-1]


def run(folder: Path, track: Callable[[Any], Tracking]) -> tuple[Results, Tracking]:
    place = tiny.place(folder)
    log = track(place.store)
    results = run_study(tiny.study(seeds=2), place, 1, Progress(), watch=log.finished)
    log.judged(results.verdict)
    return results, log


def test_every_training_is_a_run_and_the_verdicts_are_one_more(tmp_path: Path) -> None:
    shop, said = Shop(), list[str]()
    results, log = run(tmp_path, lambda store: Tracking(store, shop, said.append))
    assert log.alive
    assert said == []
    assert len(shop.runs) == results.trained + 1
    assert all(one.closed for one in shop.runs)
    one = next(r for r in shop.runs if r.name == "snip-layerwise_rearrange-80-seed_1")
    assert {k: one.config[k] for k in ("method", "check", "sparsity", "seed")} == {
        "method": "snip", "check": "layerwise_rearrange", "sparsity": "80%", "seed": 1,
    }  # fmt: skip
    (row,) = [r for r in results.rows if (r["check"], r["seed"]) == ("layerwise_rearrange", 1)]
    assert one.lines[-1] == (1, {"accuracy": row["accuracy"]})
    assert one.lines[0][1]["test_accuracy"] == row["accuracy"]
    last = shop.runs[-1]
    assert last.name == "verdicts"
    assert set(last.config) == {f"{c.method}/{c.check}" for c in results.verdict.checks}


def test_numbers_of_the_verdicts_are_the_verdicts(tmp_path: Path) -> None:
    shop = Shop()
    Tracking(tiny.place(tmp_path).store, shop, print).judged(sample.verdict())
    ((_, numbers),) = shop.runs[0].lines
    check = sample.verdict().checks[-1]
    assert check.pooled is not None
    assert numbers["lr_rewinding/layerwise_weight_shuffle/low"] == check.pooled.low
    assert len(numbers) == 3 * len(sample.verdict().checks)


@pytest.mark.parametrize("patience", [0, 2])
def test_a_tracker_that_fails_is_left_alone_and_said_once(tmp_path: Path, patience: int) -> None:
    shop, said = Shop(patience=patience), list[str]()
    results, log = run(tmp_path, lambda store: Tracking(store, shop, said.append))
    assert len(results.rows) > 4
    assert not log.alive
    assert said == ["The tracker failed (ConnectionError: the server is away); the study continues without it."]
    assert len(shop.runs) == patience


def test_ctrl_c_inside_a_tracker_is_no_failure_of_it(tmp_path: Path) -> None:
    def stop(_name: str) -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, lambda store: Tracking(store, stop, print))


def test_tensorboard_holds_the_curves_and_the_verdicts(tmp_path: Path) -> None:
    pytest.importorskip("accelerate")
    pytest.importorskip("tensorboard")
    said = list[str]()
    results, _ = run(tmp_path, lambda store: tracking("tensorboard", "tiny", store, tmp_path, said.append))
    assert said == []
    row = next(r for r in results.rows if (r["check"], r["seed"]) == ("clean", 0) and r["method"] == "snip")
    scalars = events(tmp_path / "tensorboard" / "snip-clean-80-seed_0")
    assert scalars["accuracy"] == [(1, pytest.approx(row["accuracy"]))]
    assert set(scalars) == {"accuracy", "test_accuracy", "train_accuracy", "train_loss"}
    assert "choices/text_summary" in texts(tmp_path / "tensorboard" / "snip-clean-80-seed_0")
    assert "snip/layerwise_rearrange/drop" in events(tmp_path / "tensorboard" / "verdicts")
    runs = {path.parent.name for path in (tmp_path / "tensorboard").rglob("events.*")}
    assert runs == {run_name(step.title) for step in results.ran if "train" in step.kind} | {"verdicts"}


def texts(folder: Path) -> list[str]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    read = EventAccumulator(str(folder))
    read.Reload()
    return list(read.Tags()["tensors"])


def events(folder: Path) -> dict[str, list[tuple[int, Any]]]:
    """The scalars of a run, read back with TensorBoard's own reader: (step, value)."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    read = EventAccumulator(str(folder))
    read.Reload()
    return {tag: [(e.step, e.value) for e in read.Scalars(tag)] for tag in read.Tags()["scalars"]}


@pytest.mark.parametrize("name", ["wandb", "mlflow", "trackio"])
def test_the_others_get_what_their_classes_take(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    accelerate = pytest.importorskip("accelerate.tracking")
    asked: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def made(*values: Any, **named: Any) -> Any:
        bind(accelerate.LOGGER_TYPE_TO_CLASS[name], *values, **named)
        asked.append((values, named))
        fake = Fake(name)
        fake.start = lambda: None  # type: ignore[attr-defined]
        return fake

    import inspect

    def bind(kind: type, *values: Any, **named: Any) -> None:
        inspect.signature(kind).bind(*values, **named)

    monkeypatch.setattr(trackers, "find_spec", lambda _package: object())
    real = dict(accelerate.LOGGER_TYPE_TO_CLASS)
    with monkeypatch.context() as patch:
        patch.setattr(accelerate, "LOGGER_TYPE_TO_CLASS", {name: made})
        log = tracking(name, "my study", tiny.place(tmp_path).store, tmp_path, pytest.fail)
        patch.setattr(accelerate, "LOGGER_TYPE_TO_CLASS", real)
        log.judged(sample.verdict())
    ((values, named),) = asked
    assert "my_study" in (*values, *named.values())
    assert "verdicts" in named.values()


def test_a_missing_package_is_one_sentence_with_the_line_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trackers, "find_spec", lambda package: None if package == "wandb" else object())
    with pytest.raises(StudyError, match=r"needs wandb, which is not installed: pip install 'prunecheck\[wandb\]'$"):
        tracking("wandb", "s", tiny.place(tmp_path).store, tmp_path, print)


def test_a_misspelt_tracker_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"'tensorbord' is not a tracker\. Did you mean 'tensorboard'"):
        tracking("tensorbord", "s", tiny.place(tmp_path).store, tmp_path, print)


def test_nothing_is_imported_until_a_tracker_is_asked_for() -> None:
    code = "import prunecheck.runner.trackers, sys; print({'accelerate', 'tensorboard', 'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("title", ["train · ../../etc · clean · 90% · seed 0", "train · a/b · ‮ · 90% · seed 0"])
def test_run_names_are_harmless_in_a_path(title: str) -> None:
    assert "/" not in run_name(title)
    assert not run_name(title).startswith(".")


def test_a_step_of_no_training_is_not_logged(tmp_path: Path) -> None:
    shop = Shop()
    results, log = run(tmp_path, lambda store: Tracking(store, shop, print))
    before = len(shop.runs)
    for step in results.ran:
        if step.kind not in ("pretrain", "train"):
            log.finished(step, 0.0)
    assert len(shop.runs) == before
    assert replace(log).alive
