from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from prunecheck.errors import PluginError
from prunecheck.pruning import temporary_plugins
from prunecheck.pruning.post_training import post_training_check, post_training_method
from prunecheck.pruning.post_training.walk import corrupt_tokens
from prunecheck.pruning.registry import POST_TRAINING_CHECKS, POST_TRAINING_METHODS
from prunecheck.pruning.seeds import stream
from tests.pruning.post_training.nets import Net, masks_of, pruned, weights_of

TOKENS = torch.arange(60).reshape(4, 15) % 50


def _corrupted(check: str, **how: Any) -> torch.Tensor:
    return corrupt_tokens(POST_TRAINING_CHECKS.get(check), TOKENS, vocabulary=50, **how)


def test_random_tokens_are_drawn_from_the_whole_vocabulary_and_follow_the_seed() -> None:
    many = corrupt_tokens(
        POST_TRAINING_CHECKS.get("random_tokens"), torch.zeros(40, 50, dtype=torch.long), vocabulary=50
    )
    counts = torch.bincount(many.flatten(), minlength=50)
    assert counts.min() > 15
    assert counts.max() < 75
    assert torch.equal(_corrupted("random_tokens", seed=3), _corrupted("random_tokens", seed=3))
    assert not torch.equal(_corrupted("random_tokens", seed=3), _corrupted("random_tokens", seed=4))


def test_shuffled_tokens_keep_the_tokens_of_every_sequence() -> None:
    shuffled = _corrupted("shuffled_tokens")
    assert torch.equal(shuffled.sort(dim=1).values, TOKENS.sort(dim=1).values)
    assert not torch.equal(shuffled, TOKENS)


def test_few_tokens_and_other_text_give_what_they_say() -> None:
    assert torch.equal(_corrupted("few_tokens", options={"sequences": 2}), TOKENS[:2])
    other = TOKENS.flip(0)
    assert torch.equal(_corrupted("other_text", other=other), other)
    with pytest.raises(PluginError, match="sequences = 4"):
        _corrupted("few_tokens", options={"sequences": 4})
    with pytest.raises(PluginError, match="needs sequences of another text"):
        _corrupted("other_text")
    with pytest.raises(PluginError, match="unchanged"):
        _corrupted("other_text", other=TOKENS)


def test_permuted_norms_permute_norms_and_products_alike() -> None:
    norms = torch.arange(6.0)
    gram = norms[:, None] * norms + torch.eye(6)
    check = POST_TRAINING_CHECKS.get("permuted_norms")
    other, product = check(norms, gram, stream(0, "test"))
    assert sorted(other.tolist()) == norms.tolist()
    torch.testing.assert_close(product, other[:, None] * other + torch.eye(6))
    assert check(norms, None, stream(0, "test"))[1] is None


@pytest.mark.parametrize("method", ["wanda", "sparsegpt"])
@pytest.mark.parametrize("pattern", [None, "2:4"])
@pytest.mark.parametrize("check", ["rearranged_rows", "layerwise_rearrange", "planted"])
def test_checks_of_masks_keep_the_counts_and_nothing_of_later_blocks_changes(
    method: str, pattern: str | None, check: str
) -> None:
    clean, other = (masks_of(pruned(method, pattern=pattern, check=one)[1]) for one in (None, check))
    net, _ = pruned(method, pattern=pattern, check=check)
    dense, weights = weights_of(Net()), weights_of(net)
    for name, mask in other.items():
        assert not torch.equal(mask, clean[name])
        rows = int(mask.sum()) == int(clean[name].sum())
        if check != "layerwise_rearrange":
            rows = torch.equal(mask.sum(dim=1), clean[name].sum(dim=1))
        assert rows
        assert not weights[name][~mask].any()
        if pattern is not None:
            assert (mask.reshape(-1, 4).sum(dim=1) == 2).all()
        if method == "wanda":
            assert torch.equal(weights[name], dense[name] * mask)


def test_planted_exchanges_the_given_share_of_every_row() -> None:
    clean, other = (masks_of(pruned("wanda", check=one)[1]) for one in (None, "planted"))
    for name, mask in other.items():
        moved = (clean[name] & ~mask).sum(dim=1)
        assert (moved == round(0.1 * int(clean[name][0].sum()))).all()


def test_the_walk_goes_on_with_the_uncorrupted_block() -> None:
    results = pruned("sparsegpt")[1]
    for check in ("update_withheld", "update_shuffled", "rowwise_weight_shuffle"):
        _, others = pruned("sparsegpt", check=check)
        assert all(torch.equal(mask, masks_of(others)[name]) for name, mask in masks_of(results).items())


def test_checks_of_the_update_keep_its_mask_and_its_changes() -> None:
    clean, results = pruned("sparsegpt")
    withheld, shuffled = (
        weights_of(pruned("sparsegpt", check=f"update_{what}")[0]) for what in ("withheld", "shuffled")
    )
    dense, weights = weights_of(Net()), weights_of(clean)
    for name, mask in masks_of(results).items():
        assert torch.equal(withheld[name], dense[name] * mask)
        changes = [(weight[name] - dense[name])[mask].sort().values for weight in (weights, shuffled)]
        torch.testing.assert_close(changes[0], changes[1], atol=1e-5, rtol=1e-4)
        assert not torch.equal(shuffled[name], weights[name])


def test_values_are_shuffled_inside_their_row() -> None:
    clean, other = weights_of(pruned("wanda")[0]), weights_of(pruned("wanda", check="rowwise_weight_shuffle")[0])
    for name, weight in clean.items():
        assert torch.equal(weight != 0, other[name] != 0)
        assert torch.equal(weight.sort(dim=1).values, other[name].sort(dim=1).values)
        assert not torch.equal(weight, other[name])


def test_permuted_statistics_change_later_blocks_too() -> None:
    clean, other = (masks_of(pruned("wanda", check=one)[1]) for one in (None, "permuted_norms"))
    assert all(int(mask.sum()) == int(clean[name].sum()) for name, mask in other.items())
    assert not torch.equal(clean["layers.0.query.weight"], other["layers.0.query.weight"])


def test_checks_of_ratios_keep_the_total() -> None:
    arms = [pruned("wanda", ratios="owl", check=check)[1] for check in (None, "permuted_ratios", "uniform_ratios")]
    totals = {sum(int(mask.sum()) for mask in masks_of(results).values()) for results in arms}
    assert len(totals) == 1
    shares = [[round(result.share, 3) for result in results] for results in arms]
    assert sorted(shares[0]) == sorted(shares[1]) != shares[2]
    assert shares[0] != shares[1]
    assert shares[2] == [0.5] * 3


def test_permuted_ratios_never_give_the_same_order() -> None:
    check, ratios = POST_TRAINING_CHECKS.get("permuted_ratios"), np.array([0.4, 0.6])
    assert all(check(ratios, stream(seed, "test")).tolist() == [0.6, 0.4] for seed in range(20))


@pytest.mark.parametrize(
    ("check", "method", "reason"),
    [
        ("update_withheld", "wanda", "does not change"),
        ("permuted_norms", "magnitude", "does not ask for statistics"),
        ("random_tokens", "magnitude", "does not look at calibration tokens"),
        ("uniform_ratios", "wanda", "already keeps the same share"),
    ],
)
def test_a_check_says_why_it_tests_nothing_of_a_method(check: str, method: str, reason: str) -> None:
    why = POST_TRAINING_CHECKS.get(check).why_not(POST_TRAINING_METHODS.get(method))
    assert why is not None
    assert reason in why.sentence
    assert why.method in ("", method)
    assert not POST_TRAINING_CHECKS.get("layerwise_rearrange").why_not(POST_TRAINING_METHODS.get(method))


def test_ratios_make_checks_of_tokens_meaningful_for_every_method() -> None:
    assert not POST_TRAINING_CHECKS.get("random_tokens").why_not(POST_TRAINING_METHODS.get("magnitude"), "owl")


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda mask: mask.logical_not_(), "changed the mask"),
        (lambda mask: torch.ones_like(mask), "keeps"),
        (lambda mask: mask.float(), "must be bool"),
        (lambda mask: mask, "unchanged"),
    ],
)
def test_a_check_of_masks_that_breaks_its_promise_is_refused(function: Any, message: str) -> None:
    with temporary_plugins():
        post_training_check(at="masks", name="broken")(lambda mask: function(mask))
        with pytest.raises(PluginError, match=message):
            pruned("wanda", 0.25, check="broken")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: post_training_check(at="mask")(lambda mask: mask), "masks"),
        (lambda: post_training_check(at="masks", name="odd")(lambda rng: rng), "must ask for 'mask'"),
        (lambda: post_training_check(at="masks", name="odd", needs_update=True)(lambda mask: mask), "weights"),
        (lambda: post_training_method(name="odd")(lambda weight, select: select(weight)), "gives="),
        (lambda: post_training_method(name="odd")(lambda weight, norm: weight * norm), "norms"),
        (lambda: post_training_method(name="odd", granularity="rows")(lambda weight: weight), "row"),
        (
            lambda: post_training_method(name="odd", gives="weights", granularity="global")(lambda weight: weight),
            "layer by layer",
        ),
        (lambda: post_training_method(name="wanda")(lambda weight: weight), "already a post-training method"),
    ],
)
def test_plugins_that_cannot_be_are_refused_when_they_are_defined(make: Any, message: str) -> None:
    with temporary_plugins(), pytest.raises(PluginError, match=message):
        make()
