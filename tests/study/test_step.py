"""What a key depends on, and what it does not."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prunecheck.study import Step, step
from tests.study.studies import BASE, plan


def rich(**changes: Any) -> dict[str, Any]:
    return {
        "methods": ["snip", "lottery_ticket", "random_ticket"],
        "checks": ["random_labels", "layerwise_rearrange", "layerwise_weight_shuffle"],
        "sparsities": [0.5, 0.9],
        "seeds": [0, 1],
        "controls": ["identity", "aa"],
        **changes,
    }


more_of = st.fixed_dictionaries(
    {
        "methods": st.lists(st.sampled_from(["grasp", "lr_rewinding", "weight_rewinding", "dense"]), unique=True),
        "checks": st.lists(st.sampled_from(["random_pixels", "half_dataset", "planted"]), unique=True),
        "sparsities": st.lists(st.sampled_from([0.3, 0.8, 0.98]), unique=True),
        "seeds": st.lists(st.integers(2, 9), unique=True, max_size=3),
        "controls": st.lists(st.sampled_from(["positive", "planted"]), unique=True),
    }
)
quick = settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))


@quick
@given(more_of)
def test_a_larger_study_keeps_every_key_and_arm_of_the_smaller(more: dict[str, list[Any]]) -> None:
    small = plan(**rich())
    large = plan(**{field: values + more[field] for field, values in rich().items()})
    assert small.steps.keys() <= large.steps.keys()
    assert set(small.arms) <= set(large.arms)


@quick
@given(st.randoms(use_true_random=False))
def test_the_order_of_lists_changes_no_key(random: Any) -> None:
    ordered = rich(controls=["aa", "planted", "positive"])  # not identity: it takes the seed that is named first
    shuffled = {field: random.sample(values, len(values)) for field, values in ordered.items()}
    assert plan(**shuffled).steps.keys() == plan(**ordered).steps.keys()


@quick
@given(more_of)
def test_inputs_come_first_and_exist(more: dict[str, list[Any]]) -> None:
    seen: set[str] = set()
    one = plan(**{field: values + more[field] for field, values in rich().items()})
    for key, found in one.steps.items():
        assert set(found.inputs.values()) <= seen
        assert found.key == key
        seen.add(key)
    assert one.targets <= seen


@pytest.mark.parametrize(
    ("change", "kept"),
    [
        ({"name": "other"}, "all"),
        ({"question": "why?"}, "all"),
        ({"margin": 2.0}, "all"),
        ({"max_seeds": 30}, "all"),
        ({"model": "resnet8"}, "none"),
        ({"data": {"name": "digits", "train_size": 500}}, "none"),
        ({"device": "mps"}, "none"),
        ({"training": {"lr": 0.2}}, "scores"),
        ({"scoring": {"batches": 2}}, "pretraining"),
    ],
)
def test_a_key_changes_with_what_its_artefact_depends_on_and_with_nothing_else(
    change: dict[str, Any], kept: str
) -> None:
    before, after = plan(), plan(**change)
    same = before.steps.keys() & after.steps.keys()
    if kept in ("all", "none"):
        assert same == (before.steps.keys() if kept == "all" else set())
    else:
        kinds = {before.steps[key].kind for key in same if before.steps[key].kind in ("score", "pretrain")}
        assert kinds >= {"score" if kept == "scores" else "pretrain"}
        assert len(same) < len(before.steps)


def test_another_name_of_a_model_has_the_same_keys() -> None:
    assert plan(model="cifar_resnet_20").steps.keys() == plan(model="resnet20_w16").steps.keys()


def test_titles_and_estimates_are_no_part_of_a_key() -> None:
    plain = Step("mask", {"a": 1}, {"scores": "0" * 64})
    assert plain.key == Step("mask", {"a": 1}, {"scores": "0" * 64}, "title", "class", 3.0).key
    assert plain.key != Step("mask", {"a": 2}, {"scores": "0" * 64}).key
    assert plain.key != Step("mask", {"a": 1}, {"scores": "1" * 64}).key
    assert plain.key != Step("score", {"a": 1}, {"scores": "0" * 64}).key


def test_step_json_round_trip() -> None:
    for found in plan().steps.values():
        assert Step(**json.loads(json.dumps(found.to_dict()))).key == found.key


GOLDEN = {
    "dense/clean": "b2602700b0ca748c",
    "snip/clean": "a436c774da30bdb9",
    "random_ticket/clean": "eeaaa15179f68e14",
    "lottery_ticket/clean": "1e90f0b8a2705062",
    "weight_rewinding/clean": "b3cfa93e7e5383ec",
    "lr_rewinding/clean": "eb801c0b616a5c6c",
    "snip/random_labels": "6936ee1e5f74c063",
    "snip/layerwise_rearrange": "6b4b85c94abc4fef",
    "snip/layerwise_weight_shuffle": "09fa16a5f83b6a60",
    "random_ticket/layerwise_rearrange": "f7333d885c5d8c44",
    "random_ticket/layerwise_weight_shuffle": "52b528af186a2baa",
    "lottery_ticket/random_labels": "3ca84e40832cc916",
    "lottery_ticket/layerwise_rearrange": "7b79ad8b46efbeca",
    "lottery_ticket/layerwise_weight_shuffle": "8072ea249352f577",
    "weight_rewinding/random_labels": "255420d46ca87dbf",
    "weight_rewinding/layerwise_rearrange": "b418e60b6dacad9e",
    "weight_rewinding/layerwise_weight_shuffle": "73cb6c9a8239da7c",
    "lr_rewinding/random_labels": "f6c547b5b42f84f6",
    "lr_rewinding/layerwise_rearrange": "878fe347b99717f0",
    "lr_rewinding/layerwise_weight_shuffle": "928d81a660d2c034",
    "random_ticket/identity": "1a5854ec093a652b",
}


def test_the_keys_of_a_small_study_are_pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys name what people have in their stores: a changed key means that all of it is trained again.

    So a changed key is a decision, to be declared in the changelog, never an accident. If this fails and the artefacts
    would be the same, the change is a mistake; if they would differ, raise the ``version`` of the plug-in concerned or
    ``SCHEMA``, and pin the new keys. Versions of libraries and the data's fingerprint are pinned here, since they
    differ between machines.
    """
    monkeypatch.setattr(step, "numerics", lambda _: {"torch": "2.9", "numpy": "2.3", "machine": "any", "threads": 1})
    monkeypatch.setattr("prunecheck.data.fingerprint", lambda _spec: "f" * 64)
    one = plan(
        methods=["snip", "random_ticket", "lottery_ticket", "weight_rewinding", "lr_rewinding"],
        checks=["random_labels", "layerwise_rearrange", "layerwise_weight_shuffle"],
        sparsities=[0.9],
        seeds=1,
        controls=["identity", "aa"],
        training={"recipe": "short"},
    )
    found = {f"{a.method}/{a.check}": a.train[:16] for a in one.arms}
    assert found == GOLDEN


def test_planning_needs_no_torch() -> None:
    program = (
        "import sys; from prunecheck.study import load_study, make_plan;"
        f"plan = make_plan(load_study({BASE!r}));"
        "print(len(plan.arms) > 5, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]
