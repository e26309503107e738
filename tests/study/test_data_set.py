"""Planning without the data: by published numbers, or by what the study says its folder holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from prunecheck.errors import DataError, DataMissing
from prunecheck.resources import study_names, study_text
from prunecheck.study import load_study, make_plan
from prunecheck.study.data_set import ABSENT, data_set_of
from tests.resources.offered import SHAPES

BUNDLED = {"digits", "mnist5k"}


@pytest.fixture(autouse=True)
def _no_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PRUNECHECK_DATA", raising=False)
    monkeypatch.chdir(tmp_path)


def fields(**changes: Any) -> dict[str, Any]:
    usual = {"model": "convnet", "methods": ["snip"], "checks": ["layerwise_rearrange"], "sparsities": [0.9]}
    return {**usual, "seeds": 1, **changes}


def image_folder(root: Path, classes: int = 2, train: int = 3, test: int = 2) -> None:
    """``classes`` folders with ``train`` and ``test`` images each."""
    for split, n in (("train", train), ("test", test)):
        for label in range(classes):
            folder = root / split / f"class{label}"
            folder.mkdir(parents=True)
            for i in range(n):
                pixels = np.full((8, 8, 3), 10 * label + i, dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{i}.png")


@pytest.mark.parametrize("name", study_names())
def test_shipped_study_is_planned_without_its_data(name: str, tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text(study_text(name), encoding="utf-8")
    study = load_study(path, allow_absent=True)
    found, plan = data_set_of(study, allow_absent=True), make_plan(study, allow_absent=True)
    assert plan.trainings > 0
    if study.data.name in BUNDLED:
        assert not plan.absent
        return
    published = SHAPES[study.data.name]
    assert (found.shape.num_classes, found.shape.channels) == (published.num_classes, published.channels)
    assert found.shape.n_train == (study.data.train_size or published.n_train)
    assert found.shape.n_test == (study.data.test_size or published.n_test)
    assert found.shape.size == (study.data.size or published.size)
    assert study.data.name in plan.absent
    with pytest.raises(DataMissing):
        make_plan(study)
    with pytest.raises(DataMissing):
        load_study(path)


def test_plan_without_data_has_no_key_of_the_plan_with_data(tmp_path: Path) -> None:
    contents = {"classes": 2, "train": 6, "test": 4}
    stated = fields(data={"name": "folder", "root": "pictures", "size": 8, "contents": contents})
    study = load_study(stated, allow_absent=True)
    absent = make_plan(study, allow_absent=True)
    image_folder(tmp_path / "pictures")
    present = make_plan(study, allow_absent=True)
    assert data_set_of(study).shape == data_set_of(study, allow_absent=True).shape
    assert (len(absent.arms), absent.trainings) == (len(present.arms), present.trainings)
    assert [step.kind for step in absent.steps.values()] == [step.kind for step in present.steps.values()]
    shared = absent.steps.keys() & present.steps.keys()
    assert not [absent.steps[key] for key in shared if "data" in absent.steps[key].params]
    assert not present.absent


def test_contents_change_no_key(tmp_path: Path) -> None:
    image_folder(tmp_path / "pictures")
    data = {"name": "folder", "root": "pictures", "size": 8}
    contents = {"classes": 2, "train": 6, "test": 4}
    bare, stated = load_study(fields(data=data)), load_study(fields(data={**data, "contents": contents}))
    assert make_plan(bare).steps.keys() == make_plan(stated).steps.keys()


@pytest.mark.parametrize("field", ["classes", "train", "test", "channels"])
def test_wrong_contents_are_refused_with_both_numbers(field: str, tmp_path: Path) -> None:
    image_folder(tmp_path / "pictures")
    right = {"classes": 2, "train": 6, "test": 4, "channels": 3}
    data = {"name": "folder", "root": "pictures", "size": 8}
    load_study(fields(data={**data, "contents": right}))
    wrong = {**right, field: right[field] - 1 if field == "channels" else right[field] + 1}
    with pytest.raises(DataError, match=rf"data\.contents\.{field} = {wrong[field]}, .* holds {right[field]}\."):
        load_study(fields(data={**data, "contents": wrong}))


def test_contents_are_those_of_the_whole_data_set(tmp_path: Path) -> None:
    image_folder(tmp_path / "pictures")
    data = {"name": "folder", "root": "pictures", "size": 8, "train_size": 4, "test_size": 2}
    contents = {"classes": 2, "train": 6, "test": 4}
    present = data_set_of(load_study(fields(data={**data, "contents": contents})))
    assert (present.shape.n_train, present.shape.n_test) == (4, 2)
    (tmp_path / "pictures").rename(tmp_path / "elsewhere")
    absent = data_set_of(load_study(fields(data={**data, "contents": contents}), allow_absent=True), allow_absent=True)
    assert (absent.shape, absent.fingerprint) == (present.shape, ABSENT)
    with pytest.raises(DataError, match=r"train_size=40 is not in 2\.\.6"):
        load_study(fields(data={**data, "train_size": 40, "contents": contents}), allow_absent=True)


@pytest.mark.parametrize("known", [{}, {"size": 8}, {"contents": {"classes": 2, "train": 6, "test": 4}}])
def test_unknown_folder_cannot_be_planned_and_the_message_says_what_to_add(known: dict[str, Any]) -> None:
    with pytest.raises(DataMissing, match=r"(?s)is not a folder.*data\.size and data\.contents = "):
        load_study(fields(data={"name": "folder", "root": "pictures", **known}), allow_absent=True)
