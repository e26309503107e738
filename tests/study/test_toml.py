from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from prunecheck.resources import study_path
from prunecheck.study import Study, load_study, make_plan
from prunecheck.study.toml import to_toml
from tests.study.studies import BASE, write

SHIPPED = [study_path(name) for name in ("demo", "template")]
"""those whose data is always there; tests/resources has them all"""
STUDIES: dict[str, dict[str, Any]] = {
    "the smallest": {},
    "every field of data": {"data": {"name": "digits", "size": 4, "train_size": 100, "test_size": 50}},
    "methods changed": {
        "methods": [
            "snip",
            {"name": "grasp", "label": "g@1", "options": {"temperature": 1.5e-7}},
            {"name": "random_ticket", "label": "erk", "allocate": {"name": "erk"}},
            {"name": "random_ticket", "label": "counts", "allocate": {"name": "counts_of", "method": "snip"}},
            {"name": "random_ticket", "allocate": {"name": "smart_ratio", "options": {"linear": 0.1}}},
            {"name": "weight_rewinding", "rewind_epoch": 0, "rounds": 2, "retrain": "full"},
            {"name": "lr_rewinding", "per_round": 0.2, "epochs": 8},
        ]
    },
    "checks changed": {
        "checks": [
            {"name": "half_dataset", "options": {"which": "first", "matched_steps": False}},
            {"name": "random_labels", "dose": 0.25},
            {"name": "planted", "label": "tenth", "options": {"share": 0.1}},
        ]
    },
    "training changed": {"training": {"epochs": 12, "lr": 1e-5, "drops": [], "flip": True, "schedule": "linear"}},
    "a recipe": {"training": {"recipe": "cifar", "epochs": 4}},
    "adaptive": {"seeds": "auto", "max_seeds": 5, "margin": 0.5, "preset": "official"},
    "a margin in standard deviations": {"margin": "1.5 sd", "seeds": 3},
    "a list of seeds": {"seeds": [7, 3], "controls": ["identity", "aa", "positive", "planted"]},
    "scoring": {"scoring": {"samples_per_class": 3, "batches": 2}, "device": "cuda:1"},
}


def assert_says_the_same(study: Study, folder: Path) -> None:
    text = to_toml(study)
    again = load_study(write(folder, text, "resolved.toml"))
    assert again.name == study.name
    plan, replanned = make_plan(study), make_plan(again)
    assert list(replanned.steps) == list(plan.steps)
    assert replanned.arms == plan.arms
    assert again.recipe == study.recipe
    for field in Study.model_fields.keys() - {"training", "folder", "file"}:
        assert getattr(again, field) == getattr(study, field), field
    assert to_toml(again) == text


@pytest.mark.parametrize("name", STUDIES)
def test_a_written_study_is_the_same_study(name: str, tmp_path: Path) -> None:
    assert_says_the_same(load_study({**BASE, **STUDIES[name]}), tmp_path)


@pytest.mark.parametrize("path", SHIPPED, ids=[path.name for path in SHIPPED])
def test_the_studies_that_are_shipped_can_be_written(path: Path, tmp_path: Path) -> None:
    assert_says_the_same(load_study(path), tmp_path)


def test_written_study_contains_the_whole_recipe() -> None:
    study = load_study({**BASE, "training": {"epochs": 12}})
    training = tomllib.loads(to_toml(study))["training"]
    assert training == {**study.recipe.to_dict(), "drops": list(study.recipe.drops)}
    assert training["rewind_epoch"] == 4


def test_empty_fields_are_not_written() -> None:
    fields = tomllib.loads(to_toml(load_study(BASE)))
    assert fields["methods"] == BASE["methods"]
    assert fields["checks"] == BASE["checks"]
    assert fields["data"] == {"name": "digits"}
    assert not {"folder", "margin", "preset"} & fields.keys()


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@example(question="\x00\x1f\x7f\x80\u2028\\\"'\r\n\t", lr=1e-5)
@given(question=st.text(st.characters(exclude_categories=["Cs"])), lr=st.floats(1e-300, 1e300))
def test_text_and_numbers_round_trip(question: str, lr: float) -> None:
    study = load_study({**BASE, "question": question, "training": {"lr": lr}})
    fields = tomllib.loads(to_toml(study))
    assert fields["question"] == question
    assert fields["training"]["lr"] == lr


def test_options_of_a_plugin_may_be_lists_and_tables(tmp_path: Path) -> None:
    source = "from prunecheck.pruning import method\n@method\ndef mine(weights, how={}, of=()):\n    return weights\n"
    write(tmp_path, source, "mine.py")
    fields = {
        "plugins": ["mine.py"],
        "methods": [{"name": "mine", "options": {"how": {"a b": [1, "x"], "ü": {}}, "of": [2]}}],
    }
    lines = {**BASE, **fields}
    study = load_study(lines | {"plugins": [str(tmp_path / "mine.py")]})
    assert_says_the_same(study, tmp_path)
