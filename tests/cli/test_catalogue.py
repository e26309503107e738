from __future__ import annotations

import json
from pathlib import Path

import pytest

from prunecheck import data, models
from prunecheck.cli.catalogue import Kind
from prunecheck.pruning import ALLOCATIONS, CHECKS, METHODS, method
from prunecheck.pruning.presets import PRESETS
from prunecheck.resources import study_names
from prunecheck.study import Study
from prunecheck.training.recipe import RECIPES
from tests.cli.desk import Desk

NAMES = {
    "methods": METHODS.names(),
    "checks": CHECKS.names(),
    "models": list(models.names()),
    "datasets": list(data.names()),
    "allocations": ALLOCATIONS.names(),
    "presets": list(PRESETS),
    "recipes": list(RECIPES),
    "studies": list(study_names()),
}
GOLDEN = json.loads((Path(__file__).parents[1] / "pruning" / "allocations" / "smart_ratio_golden.json").read_text())


def test_every_kind_is_tested() -> None:
    assert set(NAMES) == set(Kind.__args__)  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", NAMES)
def test_the_first_word_of_every_line_is_a_name(desk: Desk, kind: str) -> None:
    said = desk("list", kind)
    assert (said.code, said.err) == (0, "")
    assert [line.split()[0] for line in said.out.splitlines()] == NAMES[kind]
    assert all(len(line.split()) > 1 for line in said.out.splitlines()), "every name is explained"


@pytest.mark.parametrize("kind", NAMES)
def test_a_list_as_json(desk: Desk, kind: str) -> None:
    document = json.loads(desk("list", kind, "--json").out)
    assert document["schema_version"] == 1
    assert [entry["name"] for entry in document[kind]] == NAMES[kind]


def test_a_plugin_cannot_move_the_cursor(desk: Desk) -> None:
    @method(summary="red \x1b[31m and\nmore")
    def mine(weights: object) -> object:
        return weights

    said = desk("list", "methods")
    assert "\x1b" not in said.out
    assert [line for line in said.out.splitlines() if line.startswith("mine ")]


@pytest.mark.parametrize(
    ("key", "model"), [("resnet32/cifar10/0.98", "resnet32"), ("resnet32/cifar10/0.9", "resnet32")]
)
def test_counts_with_the_official_preset_are_the_published_codes(desk: Desk, key: str, model: str) -> None:
    golden, sparsity = GOLDEN[key], key.split("/")[-1]
    said = desk("counts", model, "--sparsity", sparsity, "--preset", "official", "--json")
    document = json.loads(said.out)
    assert (said.code, said.err) == (0, "")
    assert [layer["kept"] for layer in document["layers"]] == golden["keep"]
    assert (document["weights"], document["kept"]) == (golden["total"], golden["kept"])
    assert (document["model"], document["sparsity"], document["preset"]) == (model, float(sparsity), "official")


def test_counts_without_a_preset_are_exact_and_the_table_says_what_the_json_says(desk: Desk) -> None:
    document = json.loads(desk("counts", "resnet32", "--sparsity", "98%", "--json").out)
    assert document["sparsity"] == 0.98
    assert document["kept"] == round(document["weights"] * 0.02)
    head, *rows = [line.split() for line in desk("counts", "resnet32", "--sparsity", "0.98").out.splitlines()]
    assert head == ["name", "weights", "kept", "share"]
    *layers, total = rows
    assert [(name, int(n), int(k)) for name, n, k, _ in layers] == [
        (layer["name"], layer["weights"], layer["kept"]) for layer in document["layers"]
    ]
    assert (int(total[1]), int(total[2])) == (document["weights"], document["kept"])


def test_counts_follow_the_shape_of_the_data(desk: Desk) -> None:
    arguments = ["counts", "lenet_300_100", "--sparsity", "0.5", "--allocate", "uniform", "--json"]
    document = json.loads(desk(*arguments, "--channels", "1", "--image-size", "28", "--classes", "7").out)
    assert [layer["weights"] for layer in document["layers"]] == [784 * 300, 300 * 100, 100 * 7]


def test_the_schema_is_json_and_names_every_field_of_a_study(desk: Desk) -> None:
    document = json.loads(desk("schema").out)
    assert document["properties"].keys() == Study.model_fields.keys() - {"folder"}
    assert document["additionalProperties"] is False
    assert set(document["required"]) == {"model", "data", "methods", "checks", "sparsities"}
    for name in ("DataChoice", "MethodChoice", "CheckChoice", "TrainingChoice", "ScoringChoice"):
        assert document["$defs"][name]["additionalProperties"] is False
