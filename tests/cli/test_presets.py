from __future__ import annotations

import json

import pytest

from prunecheck.pruning.presets import PRESETS
from tests.cli.desk import Desk


def test_a_difference_has_one_line_a_choice(desk: Desk) -> None:
    said = desk("presets", "diff", "official", "none")
    assert (said.code, said.err) == (0, "")
    head, *rows = said.out.splitlines()
    assert head.split() == ["official", "none"]
    assert any(row.startswith("random labels") and "12345" in row and row.endswith("per seed") for row in rows)
    assert not any(row.startswith("left whole") for row in rows)


def test_a_difference_as_json(desk: Desk) -> None:
    document = json.loads(desk("presets", "diff", "snip", "grasp", "--json").out)
    assert (document["schema_version"], document["first"], document["second"]) == (1, "snip", "grasp")
    assert {"choice": "snip: draws anew", "first": "conv and linear", "second": "nothing"} in document["different"]


def test_equal_presets_say_so(desk: Desk) -> None:
    assert desk("presets", "diff", "torch", "torch").out == "torch and torch make the same choices\n"


@pytest.mark.parametrize("name", [*PRESETS, "none"])
def test_every_preset_can_be_shown(desk: Desk, name: str) -> None:
    assert "other methods: keeps" in desk("presets", "show", name).out
    assert len(json.loads(desk("presets", "show", name, "--json").out)["choices"]) >= 8


def test_a_misspelt_preset_is_refused_with_the_nearest(desk: Desk) -> None:
    said = desk("presets", "diff", "official", "snap")
    assert said.code == 2
    assert "'snap' is not a preset. Did you mean 'snip'?" in said.err
