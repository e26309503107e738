from __future__ import annotations

from typing import Any

import pytest

from prunecheck.runner.report_data import published_for
from prunecheck.study import Study, load_study
from tests.resources.offered import on_trust

BASE: dict[str, Any] = {
    "model": "resnet32_w32",
    "data": "cifar10",
    "methods": ["snip", "lt", "random_ticket"],
    "checks": ["layerwise_rearrange"],
    "sparsities": [0.9],
}


def study(**changes: Any) -> Study:
    return load_study(BASE | changes)


@pytest.fixture(autouse=True)
def _on_trust(monkeypatch: pytest.MonkeyPatch) -> None:
    on_trust(monkeypatch)


def methods(**changes: Any) -> set[str]:
    return {number.method for number in published_for(study(**changes))}


def test_a_model_is_found_under_any_of_its_names() -> None:
    assert methods() >= {"snip", "lottery_ticket", "random_ticket", "dense"}


@pytest.mark.parametrize("field", ["size", "train_size", "test_size"])
def test_a_smaller_data_set_was_not_published(field: str) -> None:
    assert methods(data={"name": "cifar10", field: 16}) == set()


def test_a_method_with_options_of_its_own_is_another_one() -> None:
    altered = [{"name": "lt", "allocate": "global"}, {"name": "snip", "label": "mine", "rounds": 3}, "random_ticket"]
    assert "lottery_ticket" not in methods(methods=altered)
    assert "snip" in methods(methods=altered), "under a label of its own it cannot be mistaken"


def test_a_check_with_options_of_its_own_is_another_one() -> None:
    one = study(checks=[{"name": "corrupted_data", "options": {"labels_seed": 1}}])
    assert "corrupted_data" in {number.check for number in published_for(study())}
    assert "corrupted_data" not in {number.check for number in published_for(one)}
