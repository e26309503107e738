"""What a preset, and an option that is not set, changes in a plan: only the steps that come out differently."""

from __future__ import annotations

from typing import Any

import pytest

from prunecheck.pruning.presets import PRESETS
from prunecheck.study import Plan, load_study, make_plan
from tests.study.studies import BASE

METHODS = ["snip", "grasp", "random_ticket"]


def plan_under(preset: str | None, **changes: Any) -> Plan:
    fields = BASE | {"methods": METHODS, "seeds": 1} | changes
    return make_plan(load_study(fields | ({"preset": preset} if preset else {})))


def scores(plan: Plan) -> dict[str, list[str]]:
    """Keys of the clean scores by method."""
    found: dict[str, list[str]] = {}
    for step in plan.steps.values():
        if step.kind == "score" and "corruption" not in step.params:
            found.setdefault(step.params["method"]["name"], []).append(step.key)
    return found


CHANGED = {"official": ["grasp"], "grasp": ["grasp"], "snip": ["snip"], "synflow": ["snip", "grasp"]}


@pytest.mark.parametrize("preset", PRESETS)
def test_a_score_has_another_key_only_where_the_preset_scores_another_network(preset: str) -> None:
    plain, changed = scores(plan_under(None)), scores(plan_under(preset))
    assert sorted(m for m in plain if plain[m] != changed[m]) == sorted(CHANGED.get(preset, []))


def test_the_official_random_labels_are_one_draw_unless_the_study_says_otherwise() -> None:
    def seeds(plan: Plan) -> set[Any]:
        corruptions = [s.params["corruption"]["options"] for s in plan.steps.values() if "corruption" in s.params]
        return {options.get("labels_seed", "own") for options in corruptions}

    assert seeds(plan_under(None)) == {"own"}
    assert seeds(plan_under("official")) == {12345}
    mine = {"checks": [{"name": "random_labels", "options": {"labels_seed": 7}}]}
    assert seeds(plan_under("official", **mine)) == {7}


def test_an_option_whose_default_is_none_is_in_no_key_until_it_is_set() -> None:
    def options(**allocate: Any) -> list[dict[str, Any]]:
        methods = [{"name": "random_ticket", "allocate": {"name": "smart_ratio", "options": allocate}}]
        steps = plan_under(None, methods=methods).steps.values()
        return [s.params["allocate"]["options"] for s in steps if s.kind == "mask"]

    assert all(found == {"linear": 0.3} for found in options())
    assert all(found == {"linear": 0.3, "decay": "cubic"} for found in options(decay="cubic"))
