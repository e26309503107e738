"""What every registered method promises, on a real convolutional network with batch normalisation."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from prunecheck.pruning import ALLOCATIONS, METHODS, Method
from prunecheck.pruning.layers import layers_of
from prunecheck.pruning.masks import check_finite, counts_of, keep_top
from prunecheck.tensors import clone, fingerprint
from tests.offers import ask
from tests.pruning.methods.tiny import Scene, scene, some_batches

EVERY = [method.name for method in METHODS if method.when != "during"]
"""those that are called once; test_dynamic.py has the others"""
SCORING = [name for name in EVERY if METHODS.get(name).gives == "scores"]


def answer(method: Method, where: Scene, seed: int = 0) -> dict[str, Tensor]:
    result: dict[str, Tensor] = ask(method, **where.offers(method, seed))
    return result


def masks_of(method: Method, where: Scene, seed: int = 0) -> dict[str, Tensor]:
    given = answer(method, where, seed)
    return given if method.gives == "masks" else keep_top(given, where.counts(method, given)).masks


@pytest.mark.parametrize("name", EVERY)
def test_same_names_and_shapes_and_finite(name: str) -> None:
    method, where = METHODS.get(name), scene()
    given = answer(method, where)
    assert {n: tuple(t.shape) for n, t in given.items()} == {la.name: la.shape for la in layers_of(where.model)}
    if method.gives == "masks":
        assert all(mask.dtype == torch.bool for mask in given.values())
    else:
        check_finite(given, name)
        assert not any(score.requires_grad for score in given.values())


@pytest.mark.parametrize("name", EVERY)
def test_exact_counts(name: str) -> None:
    method, where = METHODS.get(name), scene()
    masks = masks_of(method, where)
    assert sum(counts_of(masks).values()) == where.kept(method)
    if method.gives == "masks":
        assert counts_of(masks) == where.counts(method, None)


@pytest.mark.parametrize("name", EVERY)
def test_same_rng_same_answer_and_model_and_data_untouched(name: str) -> None:
    method, where = METHODS.get(name), scene()
    state = clone(dict(where.model.state_dict()))
    batches = [(x.clone(), y.clone()) for x, y in where.batches]
    torch_state = torch.get_rng_state()
    first = fingerprint(answer(method, where))
    assert fingerprint(answer(method, where)) == first
    assert fingerprint(dict(where.model.state_dict())) == fingerprint(state)
    assert all(
        torch.equal(a, b)
        for old, new in zip(batches, where.batches, strict=True)
        for a, b in zip(old, new, strict=True)
    )
    assert all(p.grad is None and p.requires_grad for p in where.model.parameters())
    assert torch.equal(torch.get_rng_state(), torch_state)


@pytest.mark.parametrize("name", EVERY)
def test_only_a_method_that_asks_for_rng_depends_on_it(name: str) -> None:
    method, where = METHODS.get(name), scene()
    same = fingerprint(answer(method, where, 1)) == fingerprint(answer(method, where, 2))
    assert same == ("rng" not in method.asks)


@pytest.mark.parametrize("name", EVERY)
def test_only_a_method_that_asks_for_data_depends_on_it(name: str) -> None:
    method, where = METHODS.get(name), scene()
    other = Scene(where.model, some_batches(9))
    same = fingerprint(answer(method, where)) == fingerprint(answer(method, other))
    assert same == (not {"loss", "batches", "train_loader"} & set(method.asks))


@pytest.mark.parametrize("name", [name for name in SCORING if ALLOCATIONS.get(METHODS.get(name).allocate).pool])
def test_sparser_masks_are_nested_under_a_global_threshold(name: str) -> None:
    method, where = METHODS.get(name), scene()
    some, few = (masks_of(method, Scene(where.model, where.batches, s)) for s in (0.7, 0.9))
    assert all(bool((some[n] | ~few[n]).all()) for n in some)


@pytest.mark.parametrize("name", SCORING)
def test_a_layer_the_loss_does_not_touch_is_scored_too(name: str) -> None:
    """Auxiliary heads are part of the model and of the count, and get no gradient."""
    method, where = METHODS.get(name), scene()

    class WithHead(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.head = where.model, nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.body(x)
            return out

    given = answer(method, Scene(WithHead(), where.batches))
    assert given["head.weight"].shape == (4, 4)
    check_finite(given, name)


@pytest.mark.parametrize("name", METHODS.names())
def test_the_description_is_complete(name: str) -> None:
    method = METHODS.get(name)
    assert method.summary
    assert method.paper or name == "dense"
    assert ALLOCATIONS.get(method.allocate)
    for alias in method.aliases:
        assert METHODS.get(alias) is method


FIELDS = {
    # (allocate, when, rewind, retrain, rounds): the table of what each method is
    "dense": ("nothing", "init", "init", "full", 1),
    "random_ticket": ("smart_ratio", "init", "init", "full", 1),
    "magnitude_init": ("global", "init", "init", "full", 1),
    "snip": ("global", "init", "init", "full", 1),
    "grasp": ("global", "init", "init", "full", 1),
    "lottery_ticket": ("global_conv", "trained", "init", "full", 1),
    "weight_rewinding": ("global", "trained", "epoch", "rest", 1),
    "lr_rewinding": ("global", "trained", "nothing", "rest", 1),
    "hybrid_ticket": ("smart_ratio", "trained", "nothing", "rest", 1),
    "set": ("erk", "during", "init", "none", 1),
    "rigl": ("erk", "during", "init", "none", 1),
}


@pytest.mark.parametrize("name", FIELDS)
def test_the_papers_methods_are_these_products_of_choices(name: str) -> None:
    m = METHODS.get(name)
    assert (m.allocate, m.when, m.rewind, m.retrain, m.rounds) == FIELDS[name]
