from __future__ import annotations

import json
import math

import numpy as np
import pytest

from prunecheck.statistics.language import DenseModel, LanguageArms, LanguageVerdict, judge_language

DOCUMENTS, DRAWS = 30, 5
DENSE = DenseModel((3.0,) * DOCUMENTS, 6.0, (100,) * DOCUMENTS)


def judged(**drops: float) -> LanguageVerdict:
    """One method whose checks cost so many nats per token. The clean arm is at 4.0."""
    return judge_language("s", arms(drops))


def arms(drops: dict[str, float], dense: DenseModel = DENSE, level: float = 4.0) -> LanguageArms:
    rng = np.random.default_rng(0)
    documents = rng.normal(0, 0.5, DOCUMENTS)
    nll = {("wanda", "clean", 0.5): {s: level + documents + rng.normal(0, 0.01, DOCUMENTS) for s in range(DRAWS)}}
    for check, drop in drops.items():
        nll["wanda", check, 0.5] = {
            s: level + drop + documents + rng.normal(0, 0.01) + rng.normal(0, 0.02, DOCUMENTS) for s in range(DRAWS)
        }
    return LanguageArms(dense, nll, {0.5: 0.1}, "rule.", "rearranged_rows", "aa", frozenset({"rearranged_rows"}))


def answers(verdict: LanguageVerdict) -> dict[str, str]:
    return {check.check: check.verdict for check in verdict.checks}


def test_a_check_that_costs_more_than_the_margin_and_one_that_costs_less() -> None:
    verdict = judged(random_tokens=0.4, shuffled_tokens=0.0, other_text=0.1, rearranged_rows=9.0)
    assert answers(verdict) == {
        "random_tokens": "DEPENDS",
        "shuffled_tokens": "DOES NOT DEPEND",
        "other_text": "INCONCLUSIVE",
        "rearranged_rows": "DEPENDS",
    }
    (method,) = verdict.methods
    assert (method.verdict, method.failed_checks) == ("FAILS", ("shuffled_tokens",))
    assert "needs what random_tokens destroys" in method.sentence


def test_nothing_is_called_unneeded_where_the_positive_control_is_not_hurt() -> None:
    verdict = judged(shuffled_tokens=0.0, rearranged_rows=0.0)
    assert answers(verdict)["shuffled_tokens"] == "UNINFORMATIVE"
    (control,) = verdict.controls
    assert (control.role, control.status) == ("positive", "weak")


def test_a_dense_model_no_better_than_token_frequencies_withholds_every_verdict() -> None:
    broken = DenseModel((6.5,) * DOCUMENTS, 6.0, (100,) * DOCUMENTS)
    verdict = judge_language("s", arms({"random_tokens": 0.4}, broken))
    assert verdict.banner is not None
    assert "no better (6.50 nats per token)" in verdict.banner
    assert set(answers(verdict).values()) == {"UNINFORMATIVE"}


def test_arms_that_are_both_ruined_say_nothing() -> None:
    verdict = judge_language("s", arms({"random_tokens": 0.4}, level=7.0))
    assert answers(verdict) == {"random_tokens": "UNINFORMATIVE"}
    assert "nothing is left to lose" in verdict.checks[0].notes[0]


def test_two_draws_that_should_be_alike_and_are_not_withhold_the_other_verdicts() -> None:
    fine, failed = judged(aa=0.0, random_tokens=0.4), judged(aa=0.5, random_tokens=0.4)
    assert [control.status for verdict in (fine, failed) for control in verdict.controls] == ["ok", "failed"]
    assert answers(fine)["random_tokens"] == "DEPENDS"
    assert answers(failed)["random_tokens"] == "UNINFORMATIVE"


def test_two_draws_give_no_verdict() -> None:
    few = arms({"random_tokens": 0.4})
    nll = {place: {s: v for s, v in found.items() if s < 2} for place, found in few.nll.items()}
    verdict = judge_language("s", LanguageArms(DENSE, nll, {0.5: 0.1}, "rule.", "rearranged_rows", "aa"))
    assert answers(verdict) == {"random_tokens": "INCONCLUSIVE"}


def test_methods_are_compared_by_their_clean_arms() -> None:
    both = arms({})
    nll = {
        **both.nll,
        ("magnitude", "clean", 0.5): {s: np.asarray(v) + 0.5 for s, v in both.nll["wanda", "clean", 0.5].items()},
    }
    pairs = (("wanda", "magnitude"), ("magnitude", "wanda"))
    verdict = judge_language("s", LanguageArms(DENSE, nll, {0.5: 0.1}, "r.", "rearranged_rows", "aa", compare=pairs))
    assert [one.verdict for one in verdict.comparisons] == ["BETTER", "WORSE"]


def test_json_has_nats_and_no_accuracy() -> None:
    text = json.dumps(judged(random_tokens=0.4).to_dict(), allow_nan=False)
    assert "accuracy" not in text
    assert json.loads(text)["metric"] == "nll"


def test_perplexity_is_over_all_tokens() -> None:
    dense = DenseModel((1.0, 3.0), 6.0, (300, 100))
    assert dense.perplexity == pytest.approx(math.exp((300 + 300) / 400))
