# ruff: noqa: ARG001 (what a plug-in asks for, it need not use)
from __future__ import annotations

from typing import Any

import pytest

from prunecheck.errors import PluginError
from prunecheck.pruning import ALLOCATIONS, CHECKS, METHODS, allocation, check, method
from prunecheck.pruning.plugins import (
    ALLOCATION_OFFERS,
    AT_POINT,
    CHECK_OFFERS,
    METHOD_OFFERS,
    POINTS,
    UPDATE_OFFERS,
)


def test_what_a_function_asks_for_and_its_own_options() -> None:
    @method(rounds=3, aliases=("m",), paper="Me 2024")
    def mine(weights: Any, loss: Any, temperature: float = 2.0, *, power: int = 1) -> Any:
        """First line.

        Second paragraph.
        """
        return weights, loss, temperature, power

    assert mine.asks == ("weights", "loss")
    assert dict(mine.options) == {"temperature": 2.0, "power": 1}
    assert (mine.rounds, mine.summary, mine.paper) == (3, "First line.", "Me 2024")
    assert mine(weights=1, loss=2) == (1, 2, 2.0, 1)
    assert METHODS.get("m") is mine


@pytest.mark.parametrize("budget", [None, 0, True, 2.5])
def test_method_that_learns_masks_must_have_a_whole_number_of_epochs(budget: object) -> None:
    with pytest.raises(PluginError, match=r"asks for 'train_loader', so it must say .* add the option mask_epochs"):

        @method(name="endless")
        def endless(train_loader, mask_epochs=budget):  # type: ignore[no-untyped-def]
            return {}


def test_only_a_method_that_asks_for_the_training_set_learns() -> None:
    @method(name="learning")
    def learning(train_loader, mask_epochs=3):  # type: ignore[no-untyped-def]
        return {}

    @method(name="not_learning")
    def not_learning(batches, mask_epochs=3):  # type: ignore[no-untyped-def]
        return {}

    assert (learning.learns, not_learning.learns) == (True, False)


def test_a_plugin_may_ask_for_everything_that_is_offered() -> None:
    assert "counts" in METHOD_OFFERS

    @method(gives="masks", name="all_of_it")
    def everything(  # type: ignore[no-untyped-def]
        weights,
        model,
        batches,
        loss,
        train_loader,
        layers,
        input_shape,
        counts,
        pattern,
        masks,
        sparsity,
        rng,
        mask_epochs=1,
    ):
        return masks

    @allocation(name="alloc_all_of_it")
    def alloc(layers, scores, sparsity, given, family):  # type: ignore[no-untyped-def]
        return {}

    @check(at="weights", name="check_all_of_it")
    def corrupt(weights, masks, layers, classes, initial, rng):  # type: ignore[no-untyped-def]
        return weights

    @method(when="during", name="update_all_of_it", every=50)
    def update(weights, gradients, momentum, masks, layers, fraction, progress, rng, drop=0.5):  # type: ignore[no-untyped-def]
        return weights, gradients

    assert everything.asks == tuple(METHOD_OFFERS)
    assert update.asks == tuple(UPDATE_OFFERS)
    assert dict(update.options) == {"every": 50, "until": 0.75, "drop": 0.5, "decay": "cosine"}
    assert (update.allocate, update.retrain) == ("erk", "none")
    assert ALLOCATIONS.get("alloc_all_of_it").asks == tuple(ALLOCATION_OFFERS)
    assert corrupt.asks == AT_POINT["weights"]
    assert {name for at in POINTS for name in AT_POINT[at]} == set(CHECK_OFFERS)


def test_a_misspelt_request_is_refused_with_the_nearest_and_nothing_is_registered() -> None:
    with pytest.raises(PluginError) as caught:

        @method
        def mine(wieghts: Any) -> Any:
            return wieghts

    assert "method mine() asks for 'wieghts', which is not offered. Did you mean 'weights'?" in str(caught.value)
    assert "its own options need a default" in str(caught.value)
    assert "mine" not in METHODS.names()


def test_a_check_is_offered_other_things_than_a_method() -> None:
    with pytest.raises(PluginError, match=r"check mine\(\) asks for 'loss', which is not offered"):

        @check(at="masks")
        def mine(masks: Any, loss: Any) -> Any:
            return masks, loss


def lift_all() -> list[Any]:
    return [method, allocation, check(at="masks")]


@pytest.mark.parametrize("lift", lift_all())
def test_stars_are_refused(lift: Any) -> None:
    def positional(*args: Any) -> Any:
        return args

    def keywords(**offers: Any) -> Any:
        return offers

    for function, name in ((positional, "args"), (keywords, "offers")):
        with pytest.raises(PluginError, match=rf"\*{name} is not allowed; ask for what you need by name"):
            lift(function)


def test_a_positional_only_parameter_cannot_be_asked_for_by_name() -> None:
    with pytest.raises(PluginError, match="weights is positional-only"):

        @method
        def mine(weights: Any, /) -> Any:
            return weights


def test_a_check_must_ask_for_its_joint() -> None:
    with pytest.raises(PluginError, match=r"sits at 'masks' and must ask for it; it asks for \['rng'\]"):

        @check(at="masks")
        def mine(rng: Any) -> Any:
            return rng


@pytest.mark.parametrize(
    ("at", "absent"),
    [("batches", "masks"), ("batches", "weights"), ("scores", "masks"), ("masks", "weights"), ("weights", "scores")],
)
def test_a_check_cannot_see_what_is_not_there_at_its_joint(at: Any, absent: str) -> None:
    space: dict[str, Any] = {}
    exec(f"def mine({at}, {absent}):\n    return {at}", space)
    with pytest.raises(PluginError, match=f"{at} check mine.. asks for '{absent}', which is not offered"):
        check(at=at)(space["mine"])


@pytest.mark.parametrize(
    ("at", "preserves"), [("batches", "counts"), ("scores", "values"), ("masks", "values"), ("weights", "counts")]
)
def test_a_promise_that_nothing_at_the_joint_can_keep(at: Any, preserves: Any) -> None:
    space: dict[str, Any] = {}
    exec(f"def mine({at}):\n    return {at}", space)
    with pytest.raises(PluginError, match="only masks have counts and only weights values"):
        check(at=at, preserves=preserves)(space["mine"])


def test_a_joint_that_does_not_exist() -> None:
    with pytest.raises(PluginError, match=r"mine: at = 'mask' is not a valid at\. Did you mean 'masks'"):

        @check(at="mask")  # type: ignore[arg-type]
        def mine(masks: Any) -> Any:
            return masks


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"gives": "mask"}, "Did you mean 'masks'"),
        ({"when": "after"}, "is not a valid when"),
        ({"rewind": "epocs"}, "Did you mean 'epoch'"),
        ({"retrain": "fully"}, "Did you mean 'full'"),
        ({"when": "init", "rewind": "epoch"}, "nothing was trained, so rewind must be 'init'"),
        ({"when": "during", "rewind": "nothing"}, "it trains from the initial weights, so rewind must be 'init'"),
        ({"when": "during", "retrain": "rest"}, "retrain = .*'rest'"),
        ({"retrain": "none"}, "retrain = .*'none'"),
        ({"when": "during", "rounds": 2}, "it changes its mask during one training, so rounds must be 1"),
        ({"when": "during", "every": 0}, "every = 0 must be a number of steps of at least 1"),
        ({"when": "during", "until": 1.5}, "until = 1.5 must be a fraction"),
        ({"when": "during", "decay": "linear"}, "decay = 'linear' must be 'cosine' or 'constant'"),
        ({"every": 50}, 'every is for methods with when="during"'),
    ],
)
def test_choices_of_a_method(choices: dict[str, Any], message: str) -> None:
    with pytest.raises(PluginError, match=message):
        method(**choices)(lambda weights: weights)


def test_only_a_method_that_gives_masks_sees_the_counts() -> None:
    with pytest.raises(PluginError, match="asks for 'counts', which only a method with gives=\"masks\" may"):

        @method
        def mine(weights: Any, counts: Any) -> Any:
            return weights, counts


def test_the_name_is_the_functions_unless_given() -> None:
    @check(at="masks", name="other", changes=False, preserves="counts", destroys="this", keeps="that", version=4)
    def mine(masks: Any) -> Any:
        return masks

    assert CHECKS.get("other") is mine
    assert (mine.changes, mine.preserves, mine.destroys, mine.keeps, mine.version) == (
        False,
        "counts",
        "this",
        "that",
        4,
    )
    with pytest.raises(PluginError):
        CHECKS.get("mine")
