from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import pytest

from prunecheck import data, models
from prunecheck.cli import catalogue
from prunecheck.cli.catalogue import Kind
from prunecheck.pruning import ALLOCATIONS, CHECKS, METHODS, method
from prunecheck.pruning.presets import PRESETS
from prunecheck.pruning.registry import POST_TRAINING_CHECKS, POST_TRAINING_METHODS
from prunecheck.resources import study_names
from prunecheck.study import Study, gpus, numerics
from prunecheck.study.faster import bfloat16_here
from prunecheck.training.recipe import RECIPES
from tests.cli.command import Cli, python

NAMES = {
    "methods": METHODS.names(),
    "checks": CHECKS.names(),
    "models": list(models.names()),
    "datasets": list(data.names()),
    "allocations": ALLOCATIONS.names(),
    "presets": list(PRESETS),
    "recipes": list(RECIPES),
    "studies": list(study_names()),
    "post-training-methods": POST_TRAINING_METHODS.names(),
    "post-training-checks": POST_TRAINING_CHECKS.names(),
}
GOLDEN = json.loads((Path(__file__).parents[1] / "pruning" / "allocations" / "smart_ratio_golden.json").read_text())


def test_every_kind_is_tested() -> None:
    assert set(NAMES) == set(Kind.__args__)  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", NAMES)
def test_list_prints_the_name_first_on_every_line(cli: Cli, kind: str) -> None:
    said = cli("list", kind)
    assert (said.code, said.err) == (0, "")
    assert [line.split()[0] for line in said.out.splitlines()] == NAMES[kind]
    assert all(len(line.split()) > 1 for line in said.out.splitlines()), "every name is explained"


@pytest.mark.parametrize("kind", NAMES)
def test_a_list_as_json(cli: Cli, kind: str) -> None:
    document = json.loads(cli("list", kind, "--json").out)
    assert document["schema_version"] == 1
    assert [entry["name"] for entry in document[kind]] == NAMES[kind]


def test_control_characters_printed_by_a_plugin_are_replaced(cli: Cli) -> None:
    @method(summary="red \x1b[31m and\nmore")
    def mine(weights: object) -> object:
        return weights

    said = cli("list", "methods")
    assert "\x1b" not in said.out
    assert [line for line in said.out.splitlines() if line.startswith("mine ")]


@pytest.mark.parametrize(
    ("key", "model"), [("resnet32/cifar10/0.98", "resnet32"), ("resnet32/cifar10/0.9", "resnet32")]
)
def test_counts_with_the_official_preset_are_the_published_codes(cli: Cli, key: str, model: str) -> None:
    golden, sparsity = GOLDEN[key], key.split("/")[-1]
    said = cli("counts", model, "--sparsity", sparsity, "--preset", "official", "--json")
    document = json.loads(said.out)
    assert (said.code, said.err) == (0, "")
    assert [layer["kept"] for layer in document["layers"]] == golden["keep"]
    assert (document["weights"], document["kept"]) == (golden["total"], golden["kept"])
    assert (document["model"], document["sparsity"], document["preset"]) == (model, float(sparsity), "official")


def test_counts_without_a_preset_are_exact_and_the_table_says_what_the_json_says(cli: Cli) -> None:
    document = json.loads(cli("counts", "resnet32", "--sparsity", "98%", "--json").out)
    assert document["sparsity"] == 0.98
    assert document["kept"] == round(document["weights"] * 0.02)
    head, *rows = [line.split() for line in cli("counts", "resnet32", "--sparsity", "0.98").out.splitlines()]
    assert head == ["name", "weights", "kept", "share"]
    *layers, total = rows
    assert [(name, int(n), int(k)) for name, n, k, _ in layers] == [
        (layer["name"], layer["weights"], layer["kept"]) for layer in document["layers"]
    ]
    assert (int(total[1]), int(total[2])) == (document["weights"], document["kept"])


def test_counts_follow_the_shape_of_the_data(cli: Cli) -> None:
    arguments = ["counts", "lenet_300_100", "--sparsity", "0.5", "--allocate", "uniform", "--json"]
    document = json.loads(cli(*arguments, "--channels", "1", "--image-size", "28", "--classes", "7").out)
    assert [layer["weights"] for layer in document["layers"]] == [784 * 300, 300 * 100, 100 * 7]


def test_the_schema_is_json_and_names_every_field_of_a_study(cli: Cli) -> None:
    document = json.loads(cli("schema").out)
    assert document["properties"].keys() == Study.model_fields.keys() - {"folder", "file"}
    assert document["additionalProperties"] is False
    assert set(document["required"]) == {"model", "data", "methods", "checks", "sparsities"}
    for name in ("DataChoice", "MethodChoice", "CheckChoice", "TrainingChoice", "ScoringChoice"):
        assert document["$defs"][name]["additionalProperties"] is False


def test_presets_diff_prints_one_line_per_choice(cli: Cli) -> None:
    said = cli("presets", "diff", "official", "none")
    assert (said.code, said.err) == (0, "")
    head, *rows = said.out.splitlines()
    assert head.split() == ["official", "none"]
    assert any(row.startswith("random labels") and "12345" in row and row.endswith("per seed") for row in rows)
    assert not any(row.startswith("left whole") for row in rows)


def test_presets_diff_as_json(cli: Cli) -> None:
    document = json.loads(cli("presets", "diff", "snip", "grasp", "--json").out)
    assert (document["schema_version"], document["first"], document["second"]) == (1, "snip", "grasp")
    assert {"choice": "snip: draws anew", "first": "conv and linear", "second": "nothing"} in document["different"]


def test_equal_presets_say_so(cli: Cli) -> None:
    assert cli("presets", "diff", "torch", "torch").out == "torch and torch make the same choices\n"


@pytest.mark.parametrize("name", [*PRESETS, "none"])
def test_every_preset_can_be_shown(cli: Cli, name: str) -> None:
    assert "other methods: keeps" in cli("presets", "show", name).out
    assert len(json.loads(cli("presets", "show", name, "--json").out)["choices"]) >= 8


def test_a_misspelt_preset_is_refused_with_the_nearest(cli: Cli) -> None:
    said = cli("presets", "diff", "official", "snap")
    assert said.code == 2
    assert "'snap' is not a preset. Did you mean 'snip'?" in said.err


def test_doctor_names_versions_cores_and_the_store(cli: Cli, tmp_path: Path) -> None:
    document = json.loads(cli("doctor", "--json").out)
    assert document["torch"] == version("torch")
    assert int(document["cores"]) >= 1
    assert document["store"] == str(tmp_path / "store")
    assert document["store holds"] == "0 artefacts, 0 B"
    assert document["processor"].endswith(f"({numerics.instruction_set()})")
    assert document["bfloat16"] == bfloat16_here()
    assert "devices" not in document
    assert "free on its disk" in cli("doctor").out
    assert not (tmp_path / "store").exists()


def test_doctor_names_missing_packages_and_what_needs_them(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "find_spec", lambda _: None)
    monkeypatch.setattr("shutil.which", lambda _: None)
    document = json.loads(cli("doctor", "--json").out)
    assert document["pyarrow"] == "not installed (no parquet data sets)"
    assert document["torch"] == "missing"
    assert document["browser"].startswith("none found")


def test_doctor_describes_gpus_and_says_which_precision_is_fast(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    cards = (gpus.Card("NVIDIA H200", 150 << 30, (9, 0)), gpus.Card("Tesla T4", 0, (7, 5)), gpus.Card("Old"))
    monkeypatch.setattr(gpus, "gpu_cards", lambda: cards)
    monkeypatch.setattr(catalogue, "_version", lambda _: "2.15.0+cpu")
    document = json.loads(cli("doctor", "--json").out)
    assert document["cuda:0"].startswith('NVIDIA H200, 161 GB, compute capability 9.0, precision = "bfloat16"')
    assert 'no units for bfloat16: precision = "float32" is faster' in document["cuda:1"]
    missing = "torch is installed without CUDA and cannot use it"
    assert document["cuda:2"] == f"Old, {missing}, two runs may differ in the scores of grasp"
    assert "cuda:3" not in document


def test_doctor_imports_torch_only_on_request(cli: Cli, tmp_path: Path) -> None:
    program = "import sys; from prunecheck.cli import main; main(['doctor']); sys.exit('torch' in sys.modules)"
    assert python(program, env={"PRUNECHECK_HOME": str(tmp_path / "store")}).returncode == 0
    assert json.loads(cli("doctor", "--torch", "--json").out)["devices"].startswith("cpu")


def test_counts_say_what_stays_dense_and_prune_it_on_request(cli: Cli) -> None:
    words = ("counts", "tests.sequence_nets:lstm", "--sparsity", "90%", "--image-size", 8, "--allocate", "uniform")
    said = cli(*words)
    assert said.code == 0
    assert "parameters stay dense, among them rnn.weight_ih_l1" in said.out
    assert 'also_prune = ["recurrent"] prunes them too.' in said.out
    said = cli(*words, "--also-prune", "recurrent")
    assert "rnn.weight_hh_l1_reverse" in said.out
    assert "stay dense" not in said.out
    document = json.loads(cli(*words, "--json").out)
    assert document["stays_dense"]["share"] == 1 - document["weights"] / document["stays_dense"]["parameters"]
    assert json.loads(cli("counts", "convnet", "--sparsity", "90%", "--json").out)["stays_dense"] is None
    assert "Did you mean 'recurrent'" in cli(*words, "--also-prune", "recurent").err
