"""The answers in words, and what a reader has to know before the numbers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from prunecheck.pruning import CHECKS
from prunecheck.pruning.registry import POST_TRAINING_CHECKS
from prunecheck.reporting.answers import (
    answers,
    far_from_trained,
    general_notes,
    lead_sentence,
    study_remarks,
)
from prunecheck.reporting.check_names import PLAIN, check_name, in_plain_words
from prunecheck.reporting.data import ReportData
from prunecheck.statistics import verdict
from prunecheck.statistics.outcome import Control, control_status
from tests.reporting import sample, test_margins


def test_every_plain_name_belongs_to_a_built_in_check() -> None:
    assert set(PLAIN) <= {*CHECKS.names(), *POST_TRAINING_CHECKS.names()}
    assert check_name("my_own_check") == "my_own_check"


def test_sentence_names_the_checks_that_decide_with_their_numbers() -> None:
    data = sample.data()
    few = replace(
        data.verdict, checks=tuple(c for c in data.verdict.checks if c.check in ("random_labels", "half_dataset"))
    )
    found = {one.method: one for one in answers(replace(data, verdict=few))}
    assert found["lr_rewinding"].sentence == (
        "Loses more than the margin with random labels (+4.30 [+4.11, +4.49]) and "
        "half of the training set (+2.00 [+1.77, +2.22])."
    )
    assert found["snip"].beside.startswith("random ticket 91.")


def test_many_checks_are_named_without_their_numbers() -> None:
    found = {one.method: one.sentence for one in answers(sample.data())}
    assert found["snip"].endswith("other positions in the same layers and shuffled values in the same layers.")


WHY = "the mean is below the margin, but more corrupted than clean runs collapsed."


def test_undecided_checks_are_named_and_the_reason_of_the_verdict_is_kept() -> None:
    data = sample.data()
    method = next(m for m in data.verdict.methods if m.method == "grasp")
    changed = replace(method, verdict="INCONCLUSIVE", reasons=("One check is open.",), failed_checks=())
    answer = answers(replace(data, verdict=replace(data.verdict, methods=(changed,))))[0]
    assert "Undecided with shuffled values in the same layers (+1.08 [+0.79, +1.38])." in answer.sentence
    assert answer.notes == "One check is open."
    counted = replace(changed, sentence="1 of 2 checks depend; not decided: a.b and c.", reasons=(f"a.b: {WHY}",))
    (answer,) = answers(replace(data, verdict=replace(data.verdict, methods=(counted,))))[:1]
    assert answer.notes == f"a.b: {WHY}"


def test_remarks_of_a_method_name_the_built_in_checks_in_words() -> None:
    assert in_plain_words("layerwise_rearrange: open. my_layerwise_rearrange", ["layerwise_rearrange"]) == (
        "other positions in the same layers: open. my_layerwise_rearrange"
    )
    assert in_plain_words("identity of planted effects", ["reinit"]) == "identity of planted effects"
    data = sample.data()
    method = replace(data.verdict.methods[0], notes=("not run: half_dataset",))
    answer = answers(replace(data, verdict=replace(data.verdict, methods=(method,))))[0]
    assert answer.notes == "Not run: half of the training set."


def test_reference_of_which_only_controls_were_run_has_no_verdict() -> None:
    data = sample.data()
    only = tuple(c for c in data.verdict.checks if c.control == "aa")
    method = replace(data.verdict.methods[0], role="reference", notes=("reference: the others are compared with it",))
    answer = answers(replace(data, verdict=replace(data.verdict, methods=(method,), checks=only)))[0]
    assert (answer.verdict, answer.role, answer.notes) == (None, "reference", "")
    assert answer.sentence == "The other methods are compared with it. Only controls were run."


@pytest.mark.parametrize(
    ("statuses", "worst"), [(["ok", "ok"], "ok"), (["ok", "weak"], "weak"), (["weak", "failed"], "failed")]
)
def test_control_over_several_sparsities_is_as_good_as_its_worst(statuses: list[str], worst: str) -> None:
    (check,) = [c for c in sample.verdict().checks if c.control == "aa"]
    controls = [Control("aa", check.method, check.check, 0.1 * i, status, "") for i, status in enumerate(statuses)]  # type: ignore[arg-type]
    assert control_status(check, controls) == worst


def rows(test: float, train: float | None) -> list[dict[str, object]]:
    dense = {"method": "dense", "sparsity": None, "accuracy": test, "train_accuracy": train}
    snip = {"method": "snip", "sparsity": 0.9, "accuracy": test - 0.01}
    made: list[dict[str, object]] = []
    for seed in range(3):
        common = {"seed": seed, "n_test": 1000}
        made += [{**common, "check": "clean", **arm} for arm in (dense, snip)]
        made.append({**common, **snip, "check": "layerwise_rearrange", "accuracy": test - 0.01 - seed / 300})
    return made


@pytest.mark.parametrize(
    ("test", "train", "is_far"),
    [(0.291, 0.30, True), (0.291, 0.95, False), (0.951, 0.99, False), (0.291, None, True)],
    ids=["undertrained", "overfitted", "trained", "training accuracy unknown"],
)
def test_remark_where_the_dense_network_is_far_from_trained(test: float, train: float | None, is_far: bool) -> None:
    made = rows(test, train)
    data = ReportData("s", made, replace(verdict(made, chance=0.1), origin={"settings": {"chance": 0.1}}))
    assert bool(far_from_trained(data)) is is_far
    if is_far:
        assert "29.1% of the test images right, guessing has 10.0%" in far_from_trained(data)
        assert study_remarks(data)[0] == far_from_trained(data)
    assert far_from_trained(replace(data, verdict=replace(data.verdict, origin=None))) == ""


def test_lead_names_the_metric_where_it_is_not_accuracy() -> None:
    one = test_margins.verdict().comparisons[0]
    assert lead_sentence(one, {}, "p_correct").startswith("Lead +0.20 [-0.19, +0.35] points of p_correct (5 seeds): ")
    assert lead_sentence(one, {"snip": "92.0%", "random_ticket": "91.8%"}).startswith("92.0% against 91.8%, lead +0.20")


def test_design_and_error_rates_are_told_apart_from_remarks_on_the_study() -> None:
    made = rows(0.951, 0.99)
    judged = verdict(made)
    data = ReportData("s", made, replace(judged, notes=(*judged.notes, "3 of 100 test images are in train too.")))
    assert len(general_notes(data.verdict)) == 3
    assert study_remarks(data)[-1] == "3 of 100 test images are in train too."
    assert not set(study_remarks(data)) & set(general_notes(data.verdict))


def test_remark_where_compared_methods_had_different_numbers_of_epochs() -> None:
    made = [
        {
            "method": method,
            "check": "clean",
            "sparsity": 0.9,
            "seed": seed,
            "accuracy": 0.9 + seed / 1000,
            "n_test": 1000,
        }
        | {"epochs": 6, "mask_epochs": epochs}
        for method, epochs in (("mine", 4), ("random_ticket", None))
        for seed in range(4)
    ]
    judged = verdict(made, margin=1.0, chance=0.1)
    remark = (
        "Not at equal training: mine has 10 epochs (4 to learn masks), random_ticket 6 epochs, pretraining not counted."
    )
    assert remark in study_remarks(ReportData("s", made, judged))
    equal = [row | {"epochs": 10 if row["mask_epochs"] is None else 6} for row in made]
    told = study_remarks(ReportData("s", equal, verdict(equal, margin=1.0, chance=0.1)))
    assert not any("training" in one for one in told)
