from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from prunecheck.statistics.rows import CLEAN, DENSE
from prunecheck.study import Arm, Plan, Step, load_study, make_plan
from tests.data.makers import images, labels, write_parquet
from tests.study.studies import BASE, plan

REWINDERS = ["lottery_ticket", "weight_rewinding", "lr_rewinding", "hybrid_ticket"]
DATA_CHECKS = ["random_labels", "random_pixels", "corrupted_data", "half_dataset"]
MASK_CHECKS = ["layerwise_rearrange", "layerwise_weight_shuffle"]


def of_kind(plan: Plan, kind: str) -> list[Step]:
    return [found for found in plan.steps.values() if found.kind == kind]


def arm(plan: Plan, method: str, check: str = CLEAN, sparsity: float = 0.9, seed: int = 0) -> Arm:
    (found,) = [a for a in plan.arms if (a.method, a.check, a.sparsity, a.seed) == (method, check, sparsity, seed)]
    return found


def upstream(plan: Plan, key: str) -> set[str]:
    """A step and everything it is made from."""
    return {key}.union(*(upstream(plan, parent) for parent in plan.steps[key].inputs.values()))


def steps_behind(plan: Plan, key: str) -> list[Step]:
    return [plan.steps[key] for key in upstream(plan, key)]


def corrupted(steps: Iterable[Step]) -> list[str]:
    """The kinds of the steps that work on corrupted data."""
    return sorted(found.kind for found in steps if "corruption" in found.params)


# what is shared


def test_one_pretraining_per_seed_serves_all_later_steps() -> None:
    many = plan(methods=REWINDERS, sparsities=[0.5, 0.9, 0.98], checks=MASK_CHECKS, seeds=3)
    pretrainings = of_kind(many, "pretrain")
    assert sorted(found.params["seed"] for found in pretrainings) == [0, 1, 2]
    dense = {a.train for a in many.arms if a.method == DENSE}
    assert dense == {found.key for found in pretrainings}
    for found in many.arms:
        assert dense & upstream(many, found.train)


def test_data_check_adds_one_pretraining_per_seed() -> None:
    many = plan(methods=REWINDERS, sparsities=[0.5, 0.9], checks=["random_labels", "half_dataset"], seeds=2)
    assert len(of_kind(many, "pretrain")) == 2 * (1 + 2)


def test_one_score_serves_every_sparsity() -> None:
    for method in ("snip", "grasp", "lr_rewinding"):
        assert len(of_kind(plan(methods=[method], sparsities=[0.5], checks=MASK_CHECKS, seeds=1), "score")) == 1
        many = plan(methods=[method], sparsities=[0.5, 0.9, 0.98], checks=MASK_CHECKS, seeds=1)
        assert len(of_kind(many, "score")) == 1
        assert len({a.mask for a in many.arms if a.check == CLEAN and a.mask}) == 3


def test_repeated_requests_of_a_step_are_counted() -> None:
    many = plan(methods=REWINDERS, sparsities=[0.5, 0.9], seeds=2)
    assert many.trainings == len(of_kind(many, "pretrain")) + len(of_kind(many, "train"))
    assert many.trainings_requested > many.trainings
    assert many.requests > len(many.steps)


# what a check touches


@pytest.mark.parametrize("method", [*REWINDERS, "snip", "grasp"])
@pytest.mark.parametrize("check", DATA_CHECKS)
def test_a_data_check_corrupts_what_is_pruned_from_and_never_the_ticket(method: str, check: str) -> None:
    both = plan(methods=[method], checks=[check], seeds=1)
    found = arm(both, method, check)
    assert "corruption" not in both.steps[found.train].params
    behind = steps_behind(both, found.train)
    assert corrupted(behind) == (["score"] if method in ("snip", "grasp") else ["pretrain"])
    assert all(one.params["corruption"]["name"] == check for one in behind if "corruption" in one.params)
    assert [one.kind for one in behind if one.kind == "corrupt"] == []
    assert not upstream(both, arm(both, method).train) & {one.key for one in behind if "corruption" in one.params}


@pytest.mark.parametrize("method", [*REWINDERS, "snip", "random_ticket"])
@pytest.mark.parametrize("check", MASK_CHECKS)
def test_a_mask_or_weight_check_is_one_step_and_everything_before_it_is_the_clean_arms(method: str, check: str) -> None:
    both = plan(methods=[method], checks=[check], seeds=1)
    clean, found = arm(both, method), arm(both, method, check)
    extra = upstream(both, found.train) - upstream(both, clean.train)
    assert sorted(both.steps[key].kind for key in extra) == ["corrupt", "train"]
    assert corrupted(both.steps.values()) == []
    (corruption,) = of_kind(both, "corrupt")
    assert corruption.params["check"]["name"] == check
    if check == "layerwise_rearrange":
        assert both.steps[found.train].inputs["masks"] == corruption.key == found.mask
        assert corruption.inputs == {"masks": clean.mask}
    else:
        assert both.steps[found.train].inputs == {"masks": clean.mask, "start": corruption.key}
        assert found.mask == clean.mask


def test_corrupted_weights_are_those_the_ticket_would_have_started_from() -> None:
    for method, parent, file in [
        ("snip", None, ""),
        ("lottery_ticket", None, ""),
        ("weight_rewinding", "pretrain", "rewind"),
        ("lr_rewinding", "pretrain", "final"),
    ]:
        both = plan(methods=[method], checks=["layerwise_weight_shuffle"], seeds=1)
        (corruption,) = of_kind(both, "corrupt")
        assert corruption.params["file"] == file
        start = corruption.inputs.get("start")
        assert (both.steps[start].kind if start else None) == parent


def test_a_method_that_sees_no_data_gets_no_data_check() -> None:
    both = plan(methods=["random_ticket", "magnitude_init"], checks=[*DATA_CHECKS, *MASK_CHECKS], seeds=1)
    assert {a.check for a in both.arms} == {CLEAN, *MASK_CHECKS}
    assert corrupted(both.steps.values()) == []


def test_a_random_ticket_with_the_counts_of_a_method_that_sees_data_gets_them() -> None:
    method = {"name": "random_ticket", "allocate": {"name": "counts_of", "method": "snip"}}
    both = plan(methods=[method], checks=["random_labels"], seeds=1)
    found = arm(both, "random_ticket", "random_labels")
    assert corrupted(steps_behind(both, found.train)) == ["mask", "score"]
    assert "score" not in {
        one.kind for one in steps_behind(plan(methods=["random_ticket"]), _some_train("random_ticket"))
    }


def _some_train(method: str) -> str:
    return arm(plan(methods=[method]), method).train


def test_every_mask_that_a_check_changes_is_compared_with_the_clean_one_of_its_seed() -> None:
    both = plan(methods=["snip", "lr_rewinding"], checks=[*DATA_CHECKS, *MASK_CHECKS], sparsities=[0.5, 0.9], seeds=2)
    for found in both.arms:
        if found.check in (CLEAN, "layerwise_weight_shuffle"):
            assert found.compare is None
            continue
        assert found.compare is not None
        assert found.sparsity is not None
        clean = arm(both, found.method, CLEAN, found.sparsity, found.seed)
        assert both.steps[found.compare].inputs == {"clean": clean.mask, "corrupted": found.mask}


def test_steps_of_different_seeds_are_separate() -> None:
    many = plan(methods=[*REWINDERS, "snip", "random_ticket"], checks=[*DATA_CHECKS, *MASK_CHECKS], seeds=[3, 5])
    for found in many.arms:
        seeds = {one.params["seed"] for one in steps_behind(many, found.train) if "seed" in one.params}
        assert seeds == {found.seed}


# starts, rewinding, rounds


def test_tickets_start_and_resume_where_their_papers_say() -> None:
    recipe = {"epochs": 6, "rewind_epoch": 2}
    for method, parent, file, first in [
        ("lottery_ticket", None, "", 0),
        ("weight_rewinding", "pretrain", "rewind", 2),
        ("lr_rewinding", "pretrain", "final", 2),
        ("hybrid_ticket", "pretrain", "final", 2),
        ("snip", None, "", 0),
        ("random_ticket", None, "", 0),
    ]:
        one = plan(methods=[method], training=recipe, seeds=1)
        train = one.steps[arm(one, method).train]
        start = train.inputs.get("start")
        assert (one.steps[start].kind if start else None) == parent
        assert (train.params["file"], train.params["first"]) == (file, first)


def test_another_rewind_epoch_is_another_stop_of_the_same_training() -> None:
    late = {"name": "weight_rewinding", "label": "late", "rewind_epoch": 1}
    both = plan(
        methods=["weight_rewinding", late], checks=MASK_CHECKS, training={"epochs": 6, "rewind_epoch": 2}, seeds=1
    )
    train = both.steps[arm(both, "late").train]
    stopped = both.steps[train.inputs["start"]]
    assert (train.params["first"], train.params["file"]) == (1, "final")
    assert (stopped.kind, stopped.params["until"], stopped.params["recipe"]["rewind_epoch"]) == ("pretrain", 1, 2)
    assert len(of_kind(both, "pretrain")) == 2


def test_a_data_check_corrupts_the_weights_that_are_rewound_to() -> None:
    late = {"name": "weight_rewinding", "rewind_epoch": 1}
    both = plan(methods=[late], checks=["random_labels"], seeds=1)
    train = both.steps[arm(both, "weight_rewinding", "random_labels").train]
    stopped = both.steps[train.inputs["start"]]
    assert stopped.params["until"] == 1
    assert stopped.params["corruption"]["name"] == "random_labels"


def chain(plan: Plan, key: str) -> list[str]:
    """The kinds of steps met when going from a mask to the mask of the round before, and so on; latest first."""
    kinds = []
    while key:
        mask = plan.steps[key]
        scores = plan.steps[mask.inputs["scores"]]
        kinds.append(plan.steps[scores.inputs["weights"]].kind)
        assert scores.inputs.get("previous") == mask.inputs.get("previous")
        key = mask.inputs.get("previous", "")
    return kinds


def test_rounds_are_a_chain_of_masks_each_scored_on_the_ticket_before() -> None:
    method = {"name": "weight_rewinding", "rounds": 3}
    one = plan(methods=[method], sparsities=[0.488], seeds=1)
    found = arm(one, "weight_rewinding", sparsity=0.488)
    assert found.mask
    assert chain(one, found.mask) == ["train", "train", "pretrain"]
    masks = [step for step in steps_behind(one, found.train) if step.kind == "mask"]
    assert sorted(round(mask.params["sparsity"], 3) for mask in masks) == [0.2, 0.36, 0.488]
    trainings = [step for step in steps_behind(one, found.train) if step.kind == "train"]
    assert len(trainings) == 3
    assert {one.steps[step.inputs["start"]].kind for step in trainings} == {"pretrain"}


def test_rounds_of_one_share_serve_every_sparsity() -> None:
    method = {"name": "weight_rewinding", "per_round": 0.2}
    one = plan(methods=[method], sparsities=[0.5, 0.6], seeds=1, checks=["layerwise_rearrange"])
    masks = [round(step.params["sparsity"], 6) for step in of_kind(one, "mask")]
    assert sorted(masks) == [0.2, 0.36, 0.488, 0.5, 0.5904, 0.6]  # 0.2, 0.36 and 0.488 once


def test_data_check_of_an_iterative_method_corrupts_all_trainings_but_the_last() -> None:
    method = {"name": "weight_rewinding", "rounds": 3}
    one = plan(methods=[method], checks=["random_labels"], seeds=1)
    found = arm(one, "weight_rewinding", "random_labels")
    assert corrupted(steps_behind(one, found.train)) == ["pretrain", "train", "train"]
    assert "corruption" not in one.steps[found.train].params


def test_mask_check_of_an_iterative_method_applies_to_the_last_round() -> None:
    one = plan(methods=[{"name": "weight_rewinding", "rounds": 3}], checks=["layerwise_rearrange"], seeds=1)
    found = arm(one, "weight_rewinding", "layerwise_rearrange")
    extra = upstream(one, found.train) - upstream(one, arm(one, "weight_rewinding").train)
    assert sorted(one.steps[key].kind for key in extra) == ["corrupt", "train"]


# controls


def test_the_identity_control_is_one_seed_of_one_ticket() -> None:
    found = [a for a in plan(controls=["identity"], seeds=3).arms if a.check == "identity"]
    assert [(a.method, a.seed) for a in found] == [("random_ticket", 0)]


def test_the_aa_control_is_the_random_ticket_against_its_own_rearrangement() -> None:
    found = [a for a in plan(controls=["aa"], seeds=3).arms if a.method == "random_ticket"]
    assert sorted((a.check, a.seed) for a in found) == sorted(
        (check, seed) for check in (CLEAN, "layerwise_rearrange") for seed in range(3)
    )


def test_the_positive_control_puts_lr_rewinding_through_every_check() -> None:
    one = plan(methods=["snip"], controls=["positive"], checks=["random_labels", "layerwise_rearrange"])
    assert {a.check for a in one.arms if a.method == "lr_rewinding"} == {CLEAN, "random_labels", "layerwise_rearrange"}


def test_planted_control_has_four_fractions() -> None:
    one = plan(methods=["snip"], controls=["planted"], seeds=1)
    doses = {"planted_0.1": 0.1, "planted_0.25": 0.25, "planted_0.5": 0.5, "planted_1": 1.0}
    assert {a.check for a in one.arms if a.method == "lr_rewinding"} == {CLEAN, *doses}
    for label, share in doses.items():
        mask = arm(one, "lr_rewinding", label).mask
        assert mask
        assert one.steps[mask].params["check"]["options"] == {"share": share}


def test_a_control_that_is_methods_under_test_anyway_costs_nothing() -> None:
    ours = {"methods": ["lr_rewinding", "random_ticket"], "checks": ["layerwise_rearrange", "random_labels"]}
    without, with_them = plan(**ours), plan(**ours, controls=["aa", "positive"])
    assert without.steps.keys() == with_them.steps.keys()
    assert without.arms == with_them.arms


# more seeds, doses, longer tickets, masks only


def test_more_seeds_for_one_pair_add_its_clean_arm_only() -> None:
    study = load_study({**BASE, "methods": ["snip", "grasp"]})
    usual, more = make_plan(study), make_plan(study, {("snip", "random_labels"): range(4)})
    assert usual.steps.keys() < more.steps.keys()
    added = {(a.method, a.check, a.seed) for a in more.arms} - {(a.method, a.check, a.seed) for a in usual.arms}
    assert added == {("snip", check, seed) for check in (CLEAN, "random_labels") for seed in (2, 3)}


def test_partial_check_has_its_own_label() -> None:
    both = plan(methods=["snip"], checks=["random_labels", {"name": "random_labels", "dose": 0.25}], seeds=1)
    scores = of_kind(both, "score")
    assert sorted(one.params.get("corruption", {}).get("label", "") for one in scores) == [
        "",
        "random_labels",
        "random_labels@0.25",
    ]
    assert [one.params["corruption"].get("dose") for one in scores if "corruption" in one.params] == [None, 0.25]
    assert {a.check for a in both.arms} == {CLEAN, "random_labels", "random_labels@0.25"}


def test_a_longer_ticket_trains_longer_on_the_same_mask() -> None:
    longer = {"name": "snip", "label": "longer", "epochs": 12}
    both = plan(methods=["snip", longer], checks=["layerwise_rearrange"], seeds=1)
    ours, theirs = both.steps[arm(both, "snip").train], both.steps[arm(both, "longer").train]
    assert (ours.params["recipe"]["epochs"], theirs.params["recipe"]["epochs"]) == (6, 12)
    assert len(of_kind(both, "pretrain")) == 1


def test_masks_only_leaves_out_every_training() -> None:
    study = load_study({**BASE, "methods": ["snip", "lr_rewinding", "random_ticket"], "controls": ["aa", "positive"]})
    masks = make_plan(study, train=False)
    assert masks.trainings == 0
    assert {a.method for a in masks.arms} == {"snip", "random_ticket"}
    assert masks.steps.keys() < make_plan(study).steps.keys()


def test_shared_steps_are_planned_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    original = Step.__post_init__

    def counting(self: Step) -> None:
        original(self)
        made.append(self.key)

    monkeypatch.setattr(Step, "__post_init__", counting)
    checks = [*MASK_CHECKS, "random_labels"]
    many = plan(methods=[*REWINDERS, "snip"], sparsities=[0.5, 0.9, 0.98], checks=checks, seeds=4, controls=[])
    assert many.requests > 1.5 * len(many.steps)
    assert len(made) < 1.1 * len(many.steps)
    recipes = {id(found.params["recipe"]) for found in of_kind(many, "train")}
    assert len(recipes) == 1


def test_plan_repr_shows_its_size() -> None:
    found = plan(methods=["snip"], checks=["layerwise_rearrange"])
    trainings = f"Plan: {found.trainings} trainings for {len(found.arms)} arms"
    assert repr(found) == f"{trainings}, {len(found.steps)} steps"
    rewinding = plan(methods=["lr_rewinding"], checks=["layerwise_rearrange"])
    shared = rewinding.trainings_requested - rewinding.trainings
    assert f" arms ({shared} more without sharing), " in repr(rewinding)
    assert f'<th scope="row">score</th><td>{len(of_kind(found, "score"))}</td>' in found._repr_html_()


def test_columns_of_a_parquet_table_are_in_the_key_only_where_they_are_named(tmp_path: Path) -> None:
    for name in ("train", "test"):
        write_parquet(tmp_path / f"{name}.parquet", images(20, side=8), labels(20, 2), image="img", label="kind")
    base = {"name": "parquet", "root": str(tmp_path)}
    plain = plan(data=base)
    named = plan(data=base | {"label": "kind"})
    assert not set(plain.steps) & set(named.steps)
    (described,) = {str(step.params["data"]) for step in plain.steps.values() if "data" in step.params}
    assert "label" not in described


LEARNED = {"name": "edge_popup", "options": {"mask_epochs": 5}}


def learned_mask(check: str = CLEAN, **changes: object) -> Step:
    found = plan(**{"methods": [LEARNED], "checks": ["random_labels"]} | changes)
    return found.steps[arm(found, "edge_popup", check).mask or ""]


def test_key_of_a_learned_mask_depends_on_how_it_is_learned_and_not_on_how_its_ticket_is_trained() -> None:
    key = learned_mask().key
    assert learned_mask("random_labels").key != key
    assert learned_mask(methods=["edge_popup"]).key != key
    for other in ({"batch_size": 16}, {"pad": 2}, {"flip": True}, {"label_smoothing": 0.1}):
        assert learned_mask(training=other).key != key, other
    for same in ({"lr": 0.3}, {"epochs": 3}, {"momentum": 0.5}):
        assert learned_mask(training=same).key == key, same


def test_learning_is_counted_and_costs_its_epochs() -> None:
    found = plan(methods=[LEARNED, {"name": "movement", "options": {"mask_epochs": 2}}, "snip"], seeds=1)
    learning = [step for step in found.steps.values() if "train_loader" in step.params]
    # edge_popup clean and under random labels; movement's scores likewise
    assert sorted(step.title.partition(" · ")[0] for step in learning) == ["learn mask"] * 2 + ["learn scores"] * 2
    assert found.mask_epochs == 2 * 5 + 2 * 2
    (mask,) = {step.cost_units for step in learning if step.kind == "mask"}
    (scores,) = {step.cost_units for step in learning if step.kind == "score"}
    assert mask / scores == 5 / 2
    assert plan().mask_epochs == 0


def test_learned_masks_are_left_out_where_nothing_is_to_be_trained() -> None:
    study = load_study(BASE | {"methods": ["edge_popup", "snip"]})
    assert {found.method for found in make_plan(study, train=False).arms} == {"snip"}
