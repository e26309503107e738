"""Checks the field added to the paper's: inverted scores, a fresh initialisation, signs shuffled alone; and doses."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from prunecheck.errors import PluginError
from prunecheck.pruning import CHECKS, check
from prunecheck.pruning.checks.data import corrupted_data, random_labels
from prunecheck.pruning.checks.masks import invert
from prunecheck.pruning.checks.weights import reinit, sign_shuffle
from prunecheck.pruning.masks import global_counts, keep_top, random_mask
from prunecheck.pruning.partial import run_check
from prunecheck.pruning.seeds import stream
from prunecheck.pruning.validation import validate_corruption
from tests.pruning.checks.test_checks import offers


def test_inverted_scores_keep_exactly_the_worst() -> None:
    scores = {"a": torch.randn(30, generator=torch.Generator().manual_seed(0)), "b": torch.arange(20.0) / 10}
    best = keep_top(scores, global_counts(scores, 25)).masks
    worst_scores = invert(scores=scores)
    worst = keep_top(worst_scores, global_counts(worst_scores, 25)).masks
    assert all(torch.equal(worst[name], ~best[name]) for name in scores)
    assert all(torch.equal(twice, scores[name]) for name, twice in invert(scores=worst_scores).items())


def test_reinit_puts_the_fresh_values_under_the_old_mask() -> None:
    given = offers()
    after = reinit(**{name: given[name] for name in ("weights", "masks", "initial")})
    for name, mask in given["masks"].items():
        assert torch.equal(after[name][mask], given["initial"][name][mask])
        assert not after[name][~mask].any()


def test_reinit_keeps_the_type_of_the_weights() -> None:
    weights = {"w": torch.ones(3, dtype=torch.float16)}
    masks = {"w": torch.tensor([True, False, True])}
    after = reinit(weights=weights, masks=masks, initial={"w": torch.tensor([float("inf"), 2.0, 3.0])})["w"]
    assert after.dtype == torch.float16
    assert after.tolist() == [float("inf"), 0.0, 3.0]


def test_signs_move_and_magnitudes_stay() -> None:
    mask = random_mask((40, 10), 200, stream(0, "mask"))
    weight = torch.randn(40, 10, generator=torch.Generator().manual_seed(0)) * mask
    after = sign_shuffle(weights={"w": weight}, masks={"w": mask}, rng=stream(0, "check"))["w"]
    assert torch.equal(after.abs(), weight.abs())
    assert int((after < 0).sum()) == int((weight < 0).sum())
    assert 60 < int((after.sign() != weight.sign()).sum()) < 140  # of 200, about half
    assert not after[~mask].any()


def test_every_arrangement_of_signs_is_equally_likely() -> None:
    weight, mask = torch.tensor([1.0, -2.0, 3.0, 0.0, -4.0]), torch.tensor([True, True, True, False, True])
    rng, seen = stream(0, "check"), {}
    for _ in range(1200):
        key = tuple(sign_shuffle(weights={"w": weight}, masks={"w": mask}, rng=rng)["w"].tolist())
        seen[key] = seen.get(key, 0) + 1
    assert len(seen) == 6
    assert stats.chisquare(list(seen.values())).pvalue > 1e-4


def test_the_promise_of_magnitudes_is_verified() -> None:
    @check(at="weights", preserves="magnitudes")
    def flips_and_grows(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {name: -1.5 * weight for name, weight in weights.items()}

    before = {"w": torch.tensor([1.0, -2.0])}
    with pytest.raises(PluginError, match="promised to keep the magnitudes and changed one of w"):
        validate_corruption(flips_and_grows, before, flips_and_grows(before))
    validate_corruption(flips_and_grows, before, {"w": -before["w"]})
    with pytest.raises(PluginError, match="only weights values"):
        check(at="masks", name="odd", preserves="magnitudes")(lambda masks: masks)


def test_the_official_draw_of_random_labels() -> None:
    """numpy.random.seed(12345), one uniform number a label, then choice: as their data set class draws them."""
    batches = torch.zeros(50_000, 1), torch.zeros(50_000, dtype=torch.int64)
    first = [3, 2, 7, 4, 5, 4, 1, 3, 3, 5, 0, 7, 0, 8, 7, 6, 6, 1, 2, 5]
    counts = [4973, 4902, 4971, 5078, 5103, 4877, 4957, 4942, 5151, 5046]
    for one in (random_labels, corrupted_data):
        labels = one(batches=batches, classes=10, rng=stream(0, "check"), labels_seed=12345)[1]
        assert labels[:20].tolist() == first
        assert np.bincount(labels).tolist() == counts
        assert labels.dtype == torch.int64
    hundred = random_labels(batches=batches, classes=100, rng=stream(0, "check"), labels_seed=12345)[1]
    assert hundred[:8].tolist() == [19, 2, 63, 74, 39, 68, 37, 52]
    assert not torch.equal(labels, random_labels(batches=batches, classes=10, rng=stream(0, "check"))[1])


DOSED = [one.name for one in CHECKS if one.changes and one.name != "half_dataset" and one.at != "updates"]
DOSES = (0.05, 0.5, 0.95)


def changed_share(name: str, dose: float | None, seed: int = 0) -> float:
    """Share of samples, or of weights, that the check at this dose changed."""
    one, given = CHECKS.get(name), offers(seed, samples=400)
    after = run_check(one, given, dict(one.options), dose, stream(seed, "dose"))
    if one.at == "batches":
        changed = [(a != b).reshape(400, -1).any(1) for a, b in zip(given["batches"], after, strict=True)]
        return float((changed[0] | changed[1]).float().mean())
    before = given[one.at]
    validate_corruption(one, before, after, given["masks"] if one.at == "weights" else None)
    return sum(int((before[n] != after[n]).sum()) for n in before) / sum(t.numel() for t in before.values())


@pytest.mark.parametrize("name", DOSED)
def test_a_dose_touches_at_most_its_share_and_keeps_every_promise(name: str) -> None:
    shares = [changed_share(name, dose) for dose in DOSES]
    for dose, share in zip(DOSES, shares, strict=True):
        assert 0 < share <= dose + 0.02
    assert shares == sorted(shares)
    assert shares[-1] <= changed_share(name, None) + 0.05


@pytest.mark.parametrize("name", ["layerwise_weight_shuffle", "sign_shuffle", "reinit"])
def test_a_dosed_check_of_weights_leaves_pruned_ones_at_zero(name: str) -> None:
    one, given = CHECKS.get(name), offers()
    after = run_check(one, given, dict(one.options), 0.5, stream(0, "dose"))
    assert all(not after[n][~mask].any() for n, mask in given["masks"].items())


def test_half_of_the_data_set_at_a_dose_loses_half_of_that_share() -> None:
    """Images stay paired with their labels; with fewer steps there is nothing to put in the place of the lost ones."""
    one = CHECKS.get("half_dataset")
    numbers = torch.arange(200)
    images = numbers.to(torch.uint8).reshape(-1, 1, 1, 1)
    given = {"batches": (images, numbers), "classes": 200, "rng": stream(0, "check")}
    inputs, targets = run_check(one, given, dict(one.options), 0.5, stream(0, "dose"))
    assert torch.equal(inputs.reshape(-1).long(), targets)
    assert len(set(targets.tolist())) == 150
    with pytest.raises(PluginError, match="changes the number of samples, so it cannot be applied to a fraction"):
        run_check(one, given, {"matched_steps": False}, 0.5, stream(0, "dose"))
