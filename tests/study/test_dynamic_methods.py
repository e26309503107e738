"""What a study says of methods that change their mask during training."""

from __future__ import annotations

from typing import Any

import pytest

from prunecheck.errors import StudyError
from prunecheck.study import load_study, make_plan

from .studies import BASE


def load(method: dict[str, Any], **changes: Any) -> Any:
    return load_study(BASE | {"methods": [{"name": "rigl"} | method]} | changes)


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ({"retrain": "rest"}, r'methods\[0\]\.retrain: rigl has "none" .* and "full"'),
        ({"name": "snip", "retrain": "none"}, r'methods\[0\]\.retrain = "none" is for methods that change their mask'),
        ({"rounds": 3}, r"methods\[0\]\.rounds: rigl changes its mask during one training; it has no rounds"),
        ({"per_round": 0.2}, r"methods\[0\]\.per_round: rigl changes its mask during one training"),
        ({"rewind": "nothing"}, r"methods\[0\] = 'rigl' trains from the initial weights: there is nothing to rewind"),
        ({"allocate": "global"}, r"methods\[0\]\.allocate = 'global' needs scores, and rigl starts from a random mask"),
        ({"options": {"every": 0}}, r"methods\[0\]\.options\.every = 0 must be a number of steps of at least 1"),
        ({"options": {"until": 2.0}}, r"methods\[0\]\.options\.until = 2.0 must be a fraction in \(0, 1\]"),
        ({"options": {"decay": "linear"}}, r"methods\[0\]\.options\.decay = 'linear' must be 'cosine' or 'constant'"),
        ({"options": {"evry": 5}}, "Did you mean 'every'"),
    ],
)
def test_choices_it_does_not_have_are_refused(method: dict[str, Any], message: str) -> None:
    with pytest.raises(StudyError, match=message):
        load(method)


def test_a_check_of_updates_has_no_dose() -> None:
    with pytest.raises(StudyError, match=r"checks\[0\]\.dose: random_growth corrupts the updates of a mask"):
        load({}, checks=[{"name": "random_growth", "dose": 0.5}])


def test_checks_of_updates_leave_other_methods_alone() -> None:
    study = load_study(BASE | {"methods": ["snip", "lr_rewinding"], "checks": ["random_growth"]})
    assert {arm.check for arm in make_plan(study).arms} == {"clean"}


def test_masks_only_leaves_out_what_is_found_by_training() -> None:
    plan = make_plan(load({}), train=False)
    assert plan.trainings == 0
    assert not plan.arms


def test_judged_and_retrained_share_the_training_that_finds_the_mask() -> None:
    both = [{"name": "rigl"}, {"name": "rigl", "label": "retrained", "retrain": "full"}]
    fields = BASE | {"checks": ["frozen_topology"], "seeds": 1}
    judged, two = (make_plan(load_study(fields | {"methods": methods})) for methods in (both[:1], both))
    # the dense network, the clean and the frozen arm; retraining adds one training for each of the two arms
    assert (judged.trainings, two.trainings) == (3, 5)
