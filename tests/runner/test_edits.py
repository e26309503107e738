"""Files that are edited while a study runs, or between two runs of one process: no artefact is ever stored under the
key of other code or data than it was computed with."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from prunecheck.data.loading import load_once
from prunecheck.errors import PrunecheckError
from prunecheck.pruning import temporary_plugins
from prunecheck.runner.engine import execute, needed
from prunecheck.runner.worker import WorkerConfig
from prunecheck.store import Store
from prunecheck.study import make_plan
from tests.data.test_folder import write_classes

from . import tiny

HELPER = "SIGN = {sign}\n"
PLUGIN = """
    from prunecheck.pruning import check, method
    from signs import SIGN

    @method
    def mine(weights):
        return {{n: SIGN * {factor} * w.abs() for n, w in weights.items()}}

    @check(at="scores")
    def my_check(scores):
        return {{n: SIGN * {factor} * s.flip(0) for n, s in scores.items()}}
"""
NETWORK = """
    from torch import nn

    def net(num_classes):
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 12), nn.{activation}(), nn.Linear(12, num_classes))
"""
VERSIONS: list[dict[str, Any]] = [
    {"sign": 1, "factor": 1, "activation": "ReLU"},
    {"sign": -1, "factor": 1, "activation": "ReLU"},
    {"sign": 1, "factor": 3, "activation": "ReLU"},
    {"sign": 1, "factor": 1, "activation": "Tanh"},
]


def write(folder: Path, version: dict[str, Any]) -> dict[str, Any]:
    """The files of *version*; returns the fields of a study that uses them."""
    tiny.plugin(folder, HELPER.format(**version), "signs.py")
    plugin = tiny.plugin(folder, PLUGIN.format(**version))
    network = tiny.plugin(folder, NETWORK.format(**version), "net.py")
    return {"methods": ["mine"], "checks": ["my_check"], "plugins": [plugin], "model": f"{network}:net", "seeds": 2}


@pytest.fixture(autouse=True)
def _plugins_of_this_test_alone() -> Iterator[None]:
    with temporary_plugins():
        yield


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all tests: the path of a network's file is part of keys."""
    return tmp_path_factory.mktemp("files")


@pytest.fixture(scope="module")
def right(files: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Every artefact of undisturbed runs of all versions: path in the store -> SHA-256."""
    found: dict[str, str] = {}
    for version in VERSIONS:
        folder = tmp_path_factory.mktemp("undisturbed")
        with temporary_plugins():
            tiny.run(folder, **write(files, version))
        artefacts = tiny.objects(folder)
        assert all(found.get(path, digest) == digest for path, digest in artefacts.items())
        found |= artefacts
    return found


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_edits_between_two_runs_of_one_process(
    workers: int, files: Path, right: dict[str, str], tmp_path: Path
) -> None:
    for version in (*VERSIONS, *VERSIONS[::-1]):
        tiny.run(tmp_path, workers, **write(files, version))
    assert tiny.objects(tmp_path) == right


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.parametrize("seed", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in range(1, 12))])
def test_random_edits_during_a_run_store_nothing_under_another_key(
    workers: int, seed: int, files: Path, right: dict[str, str], tmp_path: Path
) -> None:
    rng = random.Random(seed)
    for number in range(4):
        fields = write(files, rng.choice(VERSIONS))
        edits = [rng.uniform(0, 0.5) for _ in range(3)]
        with editing(lambda: write(files, rng.choice(VERSIONS)), edits), suppress(PrunecheckError):
            tiny.run(tmp_path / f"{number}", workers, **fields)
        stored = tiny.objects(tmp_path / f"{number}")
        wrong = [path for path, digest in stored.items() if right.get(path, digest) != digest]
        assert wrong == []


class editing:
    """Within the block *edit* is called in another thread after each of some pauses, in seconds."""

    def __init__(self, edit: Callable[[], object], pauses: list[float]) -> None:
        self._edit, self._pauses = edit, pauses
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        for pause in self._pauses:
            time.sleep(pause)
            self._edit()

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._thread.join()


@pytest.mark.parametrize("workers", [1, 2])
def test_plugin_file_edited_after_planning_is_refused_in_one_sentence(workers: int, tmp_path: Path) -> None:
    study = tiny.study(**write(tmp_path, VERSIONS[0]))
    plan = make_plan(study)
    write(tmp_path, VERSIONS[1])
    config = WorkerConfig(tmp_path / "store", None, study.plugin_files, study.folder)
    outcome = execute(plan.steps, config, workers, lambda _: 1.0)
    assert {step.kind for step in outcome.done} <= {"pretrain"}
    reasons = {failure.reason for failure in outcome.failures}
    assert reasons == {
        "plug.py was edited after the study was planned, and method 'mine' is no longer what the results are filed "
        "under. Run the study again."
    }


def test_data_set_that_changed_after_planning_is_refused_then_read_anew(tmp_path: Path) -> None:
    """The images of an earlier run of this process are not used for the new fingerprint either."""

    def draw(seed: int) -> None:
        write_classes(tmp_path / "images" / "train", n=10, side=8, seed=seed)
        write_classes(tmp_path / "images" / "test", n=5, side=8, seed=seed + 1)

    fields = {
        "data": {"name": "folder", "root": str(tmp_path / "images")},
        "methods": ["random_ticket"],
        "training": {"epochs": 1, "rewind_epoch": 0, "batch_size": 5},
    }
    draw(0)
    tiny.run(tmp_path, **fields)
    first = tiny.objects(tmp_path)
    plan = make_plan(tiny.study(**fields, seeds=2))
    draw(5)
    load_once.cache_clear()  # else the old images are still in memory, and right for these keys
    config = WorkerConfig(tmp_path / "store", str(tmp_path / "images"), ())
    outcome = execute(needed(plan.steps, plan.targets, Store.open(config.store)), config, 1, lambda _: 1.0)
    assert not {step.kind for step in outcome.done} & {"pretrain", "train"}  # the others need no images
    assert {failure.reason for failure in outcome.failures} == {
        "data 'folder': its files changed after the study was planned. Run the study again."
    }
    tiny.run(tmp_path, **fields)
    tiny.run(tmp_path / "alone", **fields)
    anew = tiny.objects(tmp_path / "alone")
    assert (first | anew).items() <= tiny.objects(tmp_path).items()
    assert any(path not in first for path in anew)
