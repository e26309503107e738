from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from prunecheck.errors import DataError
from prunecheck.study import Study, load_study
from prunecheck.study.study import CheckChoice, DataChoice, MethodChoice, TrainingChoice, located
from prunecheck.training.recipe import RECIPES
from tests.study.studies import BASE


@pytest.mark.parametrize(
    ("data", "recipe"),
    [("cifar10", "cifar"), ("cifar100", "cifar"), ("tiny_imagenet", "tiny_imagenet"), ("digits", "short")],
)
def test_data_are_trained_on_their_usual_recipe(data: str, recipe: str) -> None:
    assert TrainingChoice().recipe_for(data) == RECIPES[recipe]
    assert TrainingChoice(recipe="short").recipe_for(data) == RECIPES["short"]


@pytest.mark.parametrize(
    ("changes", "rewind_epoch"),
    [
        ({}, 40),
        ({"epochs": 160}, 40),
        ({"epochs": 80}, 20),
        ({"epochs": 4}, 1),
        ({"epochs": 1}, 0),
        ({"epochs": 80, "rewind_epoch": 40}, 40),
        ({"rewind_epoch": 5}, 5),
        ({"rewind_epoch": 0, "epochs": 80}, 0),
        ({"lr": 0.2}, 40),
    ],
)
def test_the_rewind_epoch_keeps_its_share_of_a_changed_schedule(changes: dict[str, Any], rewind_epoch: int) -> None:
    recipe = TrainingChoice(recipe="cifar", **changes).recipe_for("digits")
    assert recipe.rewind_epoch == rewind_epoch
    for field, value in changes.items():
        assert getattr(recipe, field) == value


def test_zero_false_and_empty_values_override_the_recipe() -> None:
    recipe = TrainingChoice(recipe="cifar", weight_decay=0.0, pad=0, flip=False, drops=()).recipe_for("digits")
    assert (recipe.weight_decay, recipe.pad, recipe.flip, recipe.drops) == (0.0, 0, False, ())


@pytest.mark.parametrize(("seeds", "first"), [(1, (0,)), (4, (0, 1, 2, 3)), ("auto", (0, 1, 2)), ([7, 3], (7, 3))])
def test_the_first_seeds(seeds: Any, first: tuple[int, ...]) -> None:
    assert load_study({**BASE, "seeds": seeds}).first_seeds() == first


def test_a_bare_name_is_short_for_a_table() -> None:
    study = load_study({**BASE, "methods": ["snip", {"name": "random_ticket", "allocate": "erk"}]})
    assert study.data == DataChoice(name="digits")
    assert study.methods[0] == MethodChoice(name="snip")
    assert study.methods[1].allocate is not None
    assert study.methods[1].allocate.name == "erk"
    assert study.checks[0] == CheckChoice(name="random_labels")


def test_sparsities_are_numbers_however_they_were_written() -> None:
    assert load_study({**BASE, "sparsities": ["98%", 0.9, "99.8%"]}).sparsities == (0.98, 0.9, 0.998)


def test_validated_study_is_immutable() -> None:
    study = load_study(BASE)
    with pytest.raises(ValidationError):
        study.seeds = 5  # type: ignore[misc]


def test_paths_start_at_the_study_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))

    def study(root: str | None) -> Study:
        fields = Study(model="convnet", data=DataChoice(name="cifar10", root=root), **REST, plugins=("../mine.py",))
        return fields.model_copy(update={"folder": tmp_path / "here"})

    assert located(study(None)).root is None
    assert located(study("data")).root == str(tmp_path / "here" / "data")
    assert located(study("/data")).root == "/data"
    assert located(study("~/data")).root == str(tmp_path / "home" / "data")
    assert study(None).plugin_files == (tmp_path / "mine.py",)
    with pytest.raises(DataError, match="no such user"):
        located(study("~nobody-of-that-name/data"))


REST: dict[str, Any] = {
    "methods": (MethodChoice(name="snip"),),
    "checks": (CheckChoice(name="random_labels"),),
    "sparsities": (0.9,),
}


def test_the_schema_is_of_the_fields_of_a_file() -> None:
    fields = Study.model_json_schema()["properties"]
    assert fields.keys() == Study.model_fields.keys() - {"folder", "file"}
