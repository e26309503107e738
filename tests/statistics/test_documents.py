"""Whole verdicts over documents and draws: the rules of a study with documents as a second source of noise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from prunecheck.errors import StudyError
from prunecheck.statistics import Row, Settings, StudyVerdict, judge
from prunecheck.statistics.margin_terms import ShareOfLoss, clean_runs, derive_margin, parse_margin
from prunecheck.statistics.origin import fingerprint

Place = tuple[str, str, float, int]
CHECKS = {"random_tokens": 0.5, "shuffled_tokens": 0.0}
SETTINGS = Settings(metric="nll", margin=0.1, positive_control=None)


def losses(
    checks: Mapping[str, float] = CHECKS, draws: int = 5, documents: int = 24, noise: float = 0.03, seed: int = 0
) -> dict[Place, np.ndarray]:
    """Losses of one method whose checks lose so many nats, with noise of documents, draws and the rest."""
    rng = np.random.default_rng(seed)
    base = 4 + rng.standard_normal(documents)
    found = {}
    for check, lost in {"clean": 0.0, **checks}.items():
        of_documents = noise * rng.standard_normal(documents)
        for draw in range(draws):
            rest = noise * (rng.standard_normal() + rng.standard_normal(documents))
            found["wanda", check, 0.5, draw] = base + lost + of_documents + rest
    return found


def rows(single: Mapping[Place, np.ndarray]) -> list[Row]:
    return [Row(*place, accuracy=0.3, n_test=3000, nll=float(values.mean())) for place, values in single.items()]


def judged(single: Mapping[Place, np.ndarray], settings: Settings = SETTINGS) -> StudyVerdict:
    return judge(rows(single), settings=settings, documents=single)


def test_checks_are_decided_in_nats_and_name_documents_and_seeds() -> None:
    found = judged(losses())
    answers = {check.check: check for check in found.checks}
    assert answers["random_tokens"].verdict == "DEPENDS"
    assert answers["shuffled_tokens"].verdict == "DOES NOT DEPEND"
    cell = answers["random_tokens"].cells[0]
    assert cell.unit == "nats"
    assert cell.mean_drop == pytest.approx(0.5, abs=0.1)
    assert cell.documents is not None
    assert cell.documents.documents == 24
    assert 4 <= cell.documents.dof <= 23
    assert "nats, 90% interval" in answers["random_tokens"].sentence
    assert "5 seeds x 24 documents" in answers["random_tokens"].sentence
    assert "points" not in " ".join([*(check.sentence for check in found.checks), found.margin_rule])
    assert any("24 documents and the seeds both count as samples" in note for note in found.notes)


def test_bounds_with_documents_are_wider_than_those_of_the_means_of_draws() -> None:
    single = losses(noise=0.2)
    for place in single:  # the draws hardly differ, so that the choice of documents is all the noise
        if place[1] != "clean":
            single[place] = single["wanda", "clean", 0.5, place[3]] + 0.5 * np.sign(np.arange(24) % 2 - 0.4)
    cell = judged(single).checks[0].cells[0]
    means = judge(rows(single), settings=SETTINGS).checks[0].cells[0]
    assert cell.mean_drop == pytest.approx(means.mean_drop)
    assert cell.high - cell.low > 10 * (means.high - means.low)


@pytest.mark.parametrize("draws", [1, 2])
def test_one_or_two_draws_give_no_verdict(draws: int) -> None:
    found = judged(losses({"random_tokens": 5.0}, draws=draws))
    assert found.checks[0].verdict == "INCONCLUSIVE"
    assert "needs at least 3 seeds" in found.checks[0].sentence


def test_sequential_studies_and_comparisons_use_documents_too() -> None:
    single = losses(draws=7)
    single |= {("random", *place[1:]): values + 2.0 for place, values in single.items() if place[1] == "clean"}
    settings = replace(SETTINGS, design="sequential", max_seeds=7, looks=(3, 5, 7), compare=(("wanda", "random"),))
    found = judged(single, settings)
    (pair,) = found.comparisons
    assert pair.verdict == "BETTER"
    assert pair.pooled is not None
    assert pair.pooled.documents is not None
    assert pair.pooled.mean_drop == pytest.approx(2.0)
    assert "lead +2.000 nats" in pair.sentence.lower()
    assert found.checks[0].verdict == "DEPENDS"


def test_failed_aa_control_is_found_by_documents_and_draws() -> None:
    fine, broken = losses({"aa": 0.0}), losses({"aa": 0.4})
    assert judged(fine).banner is None
    assert "A/A (wanda x aa)" in str(judged(broken).banner)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda single: single.pop(("wanda", "clean", 0.5, 1)), "wanda x clean at 50%, seed 1 has no values"),
        (lambda single: single.update({("wanda", "clean", 0.5, 1): np.ones(23)}), "same documents"),
        (lambda single: single.update({("wanda", "clean", 0.5, 1): np.ones(24)}), "mean 1 over documents, and nll"),
        (lambda single: single.update({("wanda", "clean", 0.5, 1): np.full(24, np.nan)}), "finite values"),
    ],
)
def test_documents_that_do_not_belong_to_the_rows_are_errors(change: object, message: str) -> None:
    single = losses()
    table = rows(single)
    change(single)  # type: ignore[operator]
    with pytest.raises(StudyError, match=message):
        judge(table, settings=SETTINGS, documents=single)


def test_margin_as_share_of_the_loss_of_a_method() -> None:
    table = [
        *(Row("dense", "clean", None, seed, 0.5, 3000, nll=3.7) for seed in range(3)),
        *(Row("magnitude", "clean", 0.5, seed, 0.1, 3000, nll=5.7) for seed in range(3)),
    ]
    term = parse_margin("10% of loss of magnitude")
    assert term == ShareOfLoss(0.1, "magnitude")
    margin = derive_margin(term, clean_runs(table, "nll"))
    assert margin.points == pytest.approx(0.2)
    assert "0.200 nats is 10% of what magnitude loses against the dense network (2.000 nats)" in margin.rule
    with pytest.raises(StudyError, match="Did you mean"):
        derive_margin(ShareOfLoss(0.1, "magnitud"), clean_runs(table, "nll"))
    with pytest.raises(StudyError, match="loses nothing"):
        derive_margin(term, clean_runs([*table[:3], replace(table[3], nll=3.0)], "nll"))


def test_margin_of_losses_follows_from_no_rule() -> None:
    with pytest.raises(StudyError, match="nats per token"):
        judged(losses(), replace(SETTINGS, margin=None))


def test_hash_of_rows_without_losses_is_what_it_was() -> None:
    row = Row("snip", "clean", 0.9, 0, 0.9, 100)
    assert fingerprint([row]) == "c5a8818b78468a95d80509750e9899db0e11101d293defcf13b3d84e4b5e7afa"
    assert fingerprint([replace(row, nll=1.0)]) != fingerprint([row])


def test_rate_of_false_answers_of_whole_studies_without_a_difference() -> None:
    """A/A: the clean arm against another draw of itself is never far above the level in either direction."""
    wrong = 0
    for seed in range(25):
        found = judged(losses({"again": 0.0}, seed=seed), replace(SETTINGS, margin=0.001))
        wrong += found.checks[0].verdict == "DEPENDS"
    assert wrong <= 5
