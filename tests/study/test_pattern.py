"""The pattern of a study: which methods it applies to, which keys it enters, what is refused."""

from __future__ import annotations

from typing import Any

import pytest

import prunecheck
from prunecheck.errors import StudyError
from prunecheck.study import Plan, load_study, make_plan
from tests.study.studies import BASE

PLAIN: dict[str, Any] = BASE | {
    "sparsities": [0.5],
    "seeds": 1,
    "methods": ["snip", "random_ticket", "lr_rewinding"],
    "checks": ["random_labels", "invert", "layerwise_rearrange", "unstructured_rearrange", "sign_shuffle"],
    "controls": ["aa", "planted"],
}


def planned(**changes: Any) -> Plan:
    return make_plan(load_study(PLAIN | changes))


def patterns(plan: Plan, kind: str) -> dict[str, Any]:
    """``{title: pattern in the parameters}``"""
    return {s.title.split(" · ", 1)[1]: s.params.get("pattern") for s in plan.steps.values() if s.kind == kind}


def keys(plan: Plan, *kinds: str) -> set[str]:
    return {step.key for step in plan.steps.values() if step.kind in kinds}


def test_scores_and_pretrainings_are_shared_with_the_study_without_a_pattern() -> None:
    plain, structured = planned(), planned(pattern="2:4")
    assert keys(plain, "score", "pretrain") == keys(structured, "score", "pretrain")
    assert not keys(plain, "mask", "train") & keys(structured, "mask", "train")


def test_a_study_without_a_pattern_has_none_in_its_steps() -> None:
    assert all("pattern" not in step.params for step in planned().steps.values())
    assert keys(planned(), "mask", "corrupt", "train") == keys(planned(pattern="none"), "mask", "corrupt", "train")


def test_every_mask_has_the_pattern_and_only_checks_that_keep_it_know_it() -> None:
    plan = planned(pattern="02:04")
    assert set(patterns(plan, "mask").values()) == {"2:4"}
    for title, pattern in patterns(plan, "corrupt").items():
        keeps = "layerwise_rearrange" in title or "planted" in title
        assert pattern == ("2:4" if keeps else None)


def test_the_pattern_of_a_method_takes_precedence() -> None:
    free = {"name": "snip", "label": "free", "pattern": "none"}
    rows = {"name": "snip", "label": "by_rows", "pattern": "rows"}
    plan = planned(pattern="2:4", methods=["snip", free, rows], controls=[])
    found = patterns(plan, "mask")
    assert found["snip · clean · 50% · seed 0"] == "2:4"
    assert found["by_rows · clean · 50% · seed 0"] == "rows"
    assert found["free · clean · 50% · seed 0"] is None


def test_counts_are_taken_from_a_method_under_the_same_pattern() -> None:
    lent = {"name": "random_ticket", "pattern": "rows", "allocate": {"name": "counts_of", "method": "snip"}}
    plan = planned(methods=[lent], controls=[], checks=["invert"])
    assert set(patterns(plan, "mask").values()) == {"rows"}


def test_only_masks_of_plug_ins_are_searched_for_patterns() -> None:
    @prunecheck.method(gives="masks", name="whole_rows")
    def whole_rows(masks: Any) -> Any:
        return masks

    @prunecheck.check(at="masks", name="plain_check")
    def plain_check(masks: Any) -> Any:
        return masks

    checks = ["layerwise_rearrange", "unstructured_rearrange", "plain_check"]
    found = patterns(planned(methods=["whole_rows", "snip"], checks=checks, controls=["aa"]), "corrupt")
    assert {title for title, pattern in found.items() if pattern is not None} == {
        "whole_rows · layerwise_rearrange · 50% · seed 0"
    }
    assert found["whole_rows · layerwise_rearrange · 50% · seed 0"] == "recognised"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pattern": "4:2"}, "pattern = '4:2': '4:2': of every M inputs N stay"),
        ({"pattern": "2:4", "sparsities": [0.5, 0.9]}, "pattern = '2:4': 2:4 removes that share itself: the sparsity"),
        ({"pattern": "rows", "preset": "official"}, "pattern = 'rows': preset 'official' selects single weights"),
        (
            {"methods": ["snip", {"name": "dense", "label": "d", "pattern": "rows"}]},
            r"methods\[1\]\.pattern = 'rows': 'dense' chooses masks itself",
        ),
        (
            {"methods": [{"name": "snip", "pattern": "1:2", "allocate": "erk"}]},
            r"methods\[0\]\.pattern = '1:2': 1:2 says itself how many weights each layer keeps: leave allocate out",
        ),
        ({"methods": [{"name": "snip", "pattern": "2:4"}], "sparsities": [0.9]}, "must be 0.5, not 0.9"),
    ],
)
def test_contradictions_are_refused_by_field(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(StudyError, match=message):
        load_study(PLAIN | changes)
