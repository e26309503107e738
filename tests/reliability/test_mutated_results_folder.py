"""The files beside the results, mutated at random: read right, or refused in one sentence."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from prunecheck.errors import PrunecheckError, StudyError
from prunecheck.runner import records
from prunecheck.runner.records import DenseRuns
from prunecheck.runner.study_run import report_study
from prunecheck.statistics import Settings
from tests.runner import tiny

FILES = (records.STUDY, records.MARGIN, records.PLAN, records.FAILED, records.VERIFICATION)
VALUES: list[Any] = [
    None, True, -1, 0, 1, 0.5, 10**400, 1e308, float("nan"), float("inf"),
    "", "a" * 64, "\ud800", "<b>", "\x1b[31m", [], {}, [[]], {"a": 1},
]  # fmt: skip
ROUNDS = 1000
FULL_REPORTS = 40


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    results = tiny.run(folder)
    keys = sorted(results.plan.steps)
    (folder / "out" / records.FAILED).write_text(json.dumps({keys[0]: "mask: a reason", keys[1]: "another"}))
    checked = {"keys": keys[:2], "equal": ["a", "b"], "different": [], "failed": {}, "ok": True}
    (folder / "out" / records.VERIFICATION).write_text(json.dumps(checked))
    return folder


def mutated(data: bytes, rng: random.Random) -> bytes:
    """*data* with bytes cut, repeated or inserted, or with one JSON value replaced, removed or renamed."""
    kind = rng.randrange(6)
    at, end = sorted(rng.choices(range(len(data) + 1), k=2))
    if kind == 0:
        return data[:at]
    if kind == 1:
        return data[:at] + bytes(rng.randrange(256) for _ in range(rng.randrange(1, 9))) + data[at:]
    if kind == 2:
        return data[:at] + data[end:]
    if kind == 3:
        return data[:end] + data[at:end] + data[end:]
    document = json.loads(data)
    place, name = rng.choice(list(places(document)))
    if kind == 4 or isinstance(place, list):
        place[name] = rng.choice(VALUES)
    elif rng.random() < 0.5:
        del place[name]
    else:
        place[rng.choice(["x", "key", "f" * 64])] = place.pop(name)
    return json.dumps(document).encode()


def places(document: Any) -> Any:
    """Every (container, index) in a JSON document."""
    for name, value in list(document.items() if isinstance(document, dict) else enumerate(document)):
        yield document, name
        if isinstance(value, (dict, list)):
            yield from places(value)


def read_all(folder: Path, dense: DenseRuns) -> list[str]:
    """Read every record; the refusals. The margin must be the right one wherever it is not refused."""
    refused = []
    study = tiny.study()
    expected = records.fix_margin(folder / "absent", dense, Settings(), write=False)[0]

    def margin() -> None:
        assert records.fix_margin(folder, dense, Settings(), write=False)[0] == expected

    for read in (
        lambda: records.read_failed(folder),
        lambda: records.read_plan(folder),
        lambda: records.read_verification(folder, dense.planned),
        lambda: records.foreign_results(folder, study),
        margin,
    ):
        try:
            read()
        except StudyError as error:
            refused.append(str(error))
    return refused


def test_a_thousand_mutated_records_are_read_right_or_refused_in_one_sentence(finished: Path, tmp_path: Path) -> None:
    rng = random.Random(0)
    out = tmp_path / "out"
    shutil.copytree(finished / "out", out)
    margin = json.loads((out / records.MARGIN).read_text())
    dense = DenseRuns(margin["dense_runs"], frozenset(margin["dense_runs"]), margin["n_test"])
    dense_settings = read_all(out, dense)
    assert dense_settings == [], "nothing is refused before it is mutated"
    count = 0
    for _ in range(ROUNDS):
        name = rng.choice(FILES)
        original = (finished / "out" / name).read_bytes()
        (out / name).write_bytes(mutated(original, rng))
        refused = read_all(out, dense)
        assert len(refused) <= 1
        for sentence in refused:
            assert f"{name} is damaged: " in sentence
            assert len(sentence.splitlines()) == 1
            assert sentence.isprintable()
        count += len(refused)
        (out / name).write_bytes(original)
    assert count > ROUNDS / 2


def test_reports_from_mutated_folders_are_equal_or_refused(finished: Path, tmp_path: Path) -> None:
    rng = random.Random(1)
    shutil.copytree(finished, tmp_path / "copy")
    out, place = tmp_path / "copy" / "out", tiny.place(tmp_path / "copy")
    expected = (out / "results.csv").read_bytes(), json.loads((out / "verdicts.json").read_text())
    equal = 0
    for _ in range(FULL_REPORTS):
        shutil.rmtree(out)
        shutil.copytree(finished / "out", out)
        name = rng.choice(FILES)
        (out / name).write_bytes(mutated((out / name).read_bytes(), rng))
        refusal = ""
        try:
            report_study(tiny.study(), place)
        except PrunecheckError as error:
            refusal = str(error)
        assert len(refusal.splitlines()) <= 1
        if not refusal:
            equal += 1
            assert ((out / "results.csv").read_bytes(), json.loads((out / "verdicts.json").read_text())) == expected
    assert 0 < equal < FULL_REPORTS
