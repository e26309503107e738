"""Damaged artefacts: detected when they are read, moved to quarantine, computed again in the same run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from prunecheck.store import Store, verify
from prunecheck.study import make_plan
from prunecheck.study.step import Step
from tests.runner import tiny

STUDY = {"methods": ["lr_rewinding"], "checks": ["layerwise_weight_shuffle", "layerwise_rearrange"]}


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def the(kind: str) -> Step:
    return next(step for step in make_plan(tiny.study(**STUDY)).steps.values() if step.kind == kind)


def all_that_need(step: Step) -> set[str]:
    """Directly or through others."""
    keys = {step.key}
    for other in make_plan(tiny.study(**STUDY)).steps.values():  # inputs come first
        if keys & set(other.inputs.values()):
            keys.add(other.key)
    return keys - {step.key}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sound")
    tiny.run(folder, **STUDY)
    return folder


@pytest.fixture
def folder(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "copy"))


@pytest.mark.parametrize("name", ["result.json", "manifest.json"])
@pytest.mark.parametrize("kind", ["pretrain", "mask", "train", "compare"])
def test_damaged_results_are_computed_again(kind: str, name: str, folder: Path) -> None:
    before, step = tiny.objects(folder), the(kind)
    flip_a_bit(Store.open(folder / "store").folder(step.key) / name)
    again = tiny.run(folder, **STUDY)
    assert [done.key for done in again.ran] == [step.key]
    assert tiny.objects(folder) == before
    assert len(list((folder / "store" / "quarantine").iterdir())) == 1


@pytest.mark.parametrize(
    ("kind", "name"), [("score", "scores"), ("mask", "masks"), ("corrupt", "start"), ("pretrain", "final")]
)
@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_step_with_damaged_input_waits_for_a_new_one(kind: str, name: str, workers: int, folder: Path) -> None:
    before, step, store = tiny.objects(folder), the(kind), Store.open(folder / "store")
    lost = all_that_need(step)
    for key in lost:
        store.drop(key)
    flip_a_bit(store.folder(step.key) / f"{name}.safetensors")
    again = tiny.run(folder, workers=workers, **STUDY)
    assert {done.key for done in again.ran} == {step.key} | lost
    assert not again.failures
    assert tiny.objects(folder) == before


def test_verify_finds_damage_that_no_run_reads(folder: Path) -> None:
    before, step, store = tiny.objects(folder), the("train"), Store.open(folder / "store")
    flip_a_bit(store.folder(step.key) / "final.safetensors")
    assert not tiny.run(folder, **STUDY).ran
    assert verify(store).damaged == (step.key,)
    assert [done.key for done in tiny.run(folder, **STUDY).ran] == [step.key]
    assert tiny.objects(folder) == before


def test_damaged_margin_file_is_not_replaced(folder: Path) -> None:
    """The margin was fixed before results were known; a new one would not be."""
    path = folder / "out" / "margin.json"
    assert json.loads(path.read_text())["margin"] > 0
    path.write_text("{")
    with pytest.raises(Exception, match=r"margin\.json is damaged"):
        tiny.run(folder, **STUDY)
