"""Controls: what they strike out, and what they say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from prunecheck.statistics import Control, Row, Settings, StudyVerdict, exit_code, judge, open_checks
from tests.statistics.makers import THREE, WOBBLE, arm, clean, full, hurt, study


def judged(rows: Sequence[Row], **changes: object) -> StudyVerdict:
    return judge(rows, settings=Settings(**{"margin": 0.5, "chance": 0.1, **changes}))  # type: ignore[arg-type]


def controls(verdict: StudyVerdict, role: str) -> list[Control]:
    return [one for one in verdict.controls if one.role == role]


def verdicts(verdict: StudyVerdict, method: str) -> Mapping[str, str]:
    return {one.check: one.verdict for one in verdict.checks if one.method == method}


def test_a_study_whose_control_is_not_hurt_cannot_tell() -> None:
    verdict = judged(full(snip=0.0, control=0.0))
    assert verdicts(verdict, "snip") == dict.fromkeys(THREE, "UNINFORMATIVE")
    assert verdicts(verdict, "lr_rewinding") == dict.fromkeys(THREE, "UNINFORMATIVE")
    assert {one.method: one.verdict for one in verdict.methods if one.role is None} == {"snip": "UNINFORMATIVE"}
    assert {one.status for one in controls(verdict, "positive")} == {"failed"}
    assert verdict.banner is None
    assert exit_code(verdict) == 4
    assert open_checks(verdict) == frozenset()
    cell = next(one for one in verdict.checks if one.method == "snip").cells[0]
    assert cell.verdict == "UNINFORMATIVE"
    assert cell.notes == ("the positive control is shown to lose less than the margin here, too",)


def test_a_difference_found_stands_without_the_control() -> None:
    verdict = judged(full(snip=3.0, control=0.0))
    assert verdicts(verdict, "snip") == dict.fromkeys(THREE, "DEPENDS")
    assert next(one for one in verdict.methods if one.method == "snip").verdict == "PASSES"


def test_the_control_guards_check_by_check_and_sparsity_by_sparsity() -> None:
    rows = study({"snip": {"a": 0.0, "b": 0.0}, "lr_rewinding": {"a": 5.0}}, (0.9,))
    rows += clean("snip", 0.5) + hurt("snip", "a", 0.0, 0.5) + clean("lr_rewinding", 0.5)
    rows += hurt("lr_rewinding", "a", 0.0, 0.5)
    verdict = judged(rows)
    a = next(one for one in verdict.checks if (one.method, one.check) == ("snip", "a"))
    b = next(one for one in verdict.checks if (one.method, one.check) == ("snip", "b"))
    assert [(cell.sparsity, cell.verdict) for cell in a.cells] == [(0.5, "UNINFORMATIVE"), (0.9, "DOES NOT DEPEND")]
    assert a.verdict == "DOES NOT DEPEND"
    assert not a.everywhere
    assert a.pooled is not None
    assert a.pooled.sparsity == 0.9
    assert a.cells[1].notes == ()
    assert b.cells[0].notes == ("(unguarded)",)
    assert [one.status for one in controls(verdict, "positive")] == ["failed", "ok"]


def test_an_a_a_difference_makes_the_stratum_invalid() -> None:
    for drop in (3.0, -3.0):
        rows = full(sparsities=(0.9,)) + clean("random_ticket", 0.5) + hurt("random_ticket", THREE[0], drop, 0.5)
        rows += clean("snip", 0.5) + hurt("snip", "random_labels", 2.0, 0.5)
        verdict = judged(rows)
        assert [(one.sparsity, one.status) for one in controls(verdict, "aa")] == [(0.5, "failed"), (0.9, "ok")]
        assert verdict.banner is not None
        assert verdict.banner.startswith(
            f"STUDY INVALID. A/A (random_ticket x layerwise_rearrange) at 50%: mean drop {drop:+.1f}"
        )
        assert verdict.banner.endswith("where by construction there is none. Nothing at 50% counts.")
        labels = next(one for one in verdict.checks if (one.method, one.check) == ("snip", "random_labels"))
        assert [(cell.sparsity, cell.verdict) for cell in labels.cells] == [
            (0.5, "UNINFORMATIVE"),
            (0.9, "DOES NOT DEPEND"),
        ]
        assert labels.cells[0].notes == ("a control failed at this sparsity",)
        assert labels.verdict == "DOES NOT DEPEND"
        assert ("random_ticket", "layerwise_rearrange") not in open_checks(verdict)


def test_a_study_invalid_everywhere_answers_nothing_and_asks_for_nothing() -> None:
    rows = study({"snip": {"a": 3.0, "aa": 3.0}}, seeds=5)
    verdict = judged(rows)
    assert verdict.banner is not None
    assert verdicts(verdict, "snip") == {"a": "UNINFORMATIVE", "aa": "UNINFORMATIVE"}
    assert exit_code(verdict) == 4
    assert open_checks(verdict) == frozenset()


def test_identity_must_be_equal_to_the_bit() -> None:
    same = clean("snip", 0.9, 3) + arm("snip", "identity", 0.9, [90.0] * 3) + hurt("snip", "a", 0.0, 0.9, 3)
    verdict = judged(same)
    assert [one.status for one in controls(verdict, "identity")] == ["ok"]
    assert controls(verdict, "identity")[0].sentence == "Identity (snip) at 90%: equal to the bit, 3 seeds: ok."
    assert verdicts(verdict, "snip")["identity"] == "DOES NOT DEPEND"
    assert next(one for one in verdict.checks if one.check == "identity").cells[0].notes == ("equal to the bit",)
    assert ("snip", "identity") not in open_checks(verdict)

    one_off = clean("snip", 0.9, 3) + arm("snip", "identity", 0.9, [90.0, 90.0, 90.01]) + hurt("snip", "a", 0.0, 0.9, 3)
    verdict = judged(one_off)
    assert verdict.banner == (
        "STUDY INVALID. Identity (snip) at 90%: the same arm trained twice differs at seed 2. "
        "Training is not deterministic."
    )
    assert set(verdicts(verdict, "snip").values()) == {"UNINFORMATIVE"}
    assert next(one for one in verdict.checks if one.check == "identity").cells[0].notes == ("not deterministic",)


def test_identity_without_a_pair_says_nothing() -> None:
    rows = [*clean("snip", 0.9, 3), Row("snip", "identity", 0.9, 7, 0.5, 10_000), *hurt("snip", "a", 0.0, 0.9, 3)]
    verdict = judged(rows)
    assert [one.status for one in controls(verdict, "identity")] == ["missing"]
    assert verdicts(verdict, "snip")["identity"] == "INCONCLUSIVE"
    assert verdict.banner is None


def test_the_identity_arm_lends_no_variance() -> None:
    rows = study({"snip": {"a": 0.0, "b": 0.0, "c": 0.2}}, seeds=5)
    almost = [90 + 1e-4 * w for w in WOBBLE[:5]]
    with_identity = judged([*rows, *arm("snip", "identity", 0.9, almost)])
    for one in judged(rows).checks:
        twin = next(two for two in with_identity.checks if two.check == one.check)
        assert twin.cells[0].borrowed_sd == one.cells[0].borrowed_sd


def test_planted_damage_names_the_smallest_drop_found() -> None:
    doses = {"planted_0": 0.0, "planted_0.1": 0.2, "planted_0.25": 1.2, "planted_0.5": 2.5, "planted_1": 5.0}
    verdict = judged(study({"lr_rewinding": doses, "snip": {"a": 0.0}}))
    [found] = controls(verdict, "planted")
    assert (found.status, found.check, found.sparsity) == ("ok", "planted_0.25", 0.9)
    assert found.sentence == (
        "Planted damage to lr_rewinding at 90%: the smallest drop found is 1.20 points (25% of the mask)."
    )
    assert all(one.control == "planted" for one in verdict.checks if one.method == "lr_rewinding")
    assert open_checks(verdict) == frozenset()


def test_a_control_without_pairs() -> None:
    rows = [*clean("lr_rewinding", 0.9, 3), Row("lr_rewinding", "a", 0.9, 7, 0.5, 10_000)]
    [one] = controls(judged(rows), "positive")
    assert one.status == "weak"
    assert "at 90%: no pair of runs yet, not shown to depend yet" in one.sentence


def test_a_collapsed_control_is_no_control() -> None:
    rows = clean("lr_rewinding", at=10.0) + arm("lr_rewinding", "a", 0.9, [10.0] * 10)
    rows += clean("snip") + hurt("snip", "a", 0.0)
    verdict = judged(rows)
    [one] = controls(verdict, "positive")
    assert one.status == "failed"
    assert (
        "(10 of 10 corrupted and 10 of 10 clean runs collapsed: neither arm learned, so that no difference could show)"
        in one.sentence
    )
    assert verdicts(verdict, "snip") == {"a": "UNINFORMATIVE"}


def test_a_control_with_unequal_budgets_is_no_control() -> None:
    rows = arm("lr_rewinding", "clean", 0.9, [90.0] * 5, kept=100) + arm("lr_rewinding", "a", 0.9, [80.0] * 5, kept=50)
    rows += clean("snip", 0.9, 5) + hurt("snip", "a", 0.0, 0.9, 5)
    verdict = judged(rows)
    assert [one.status for one in controls(verdict, "positive")] == ["failed"]
    assert verdicts(verdict, "snip") == {"a": "UNINFORMATIVE"}


def test_the_smallest_planted_drop_counts_not_the_smallest_dose() -> None:
    [found] = controls(judged(study({"lr_rewinding": {"planted_0.25": 3.0, "planted_0.5": 2.0}})), "planted")
    assert found.check == "planted_0.5"


def test_missing_controls_are_named() -> None:
    named = [(one.method, one.check) for one in judged(study({"snip": {"a": 0.0}})).controls]
    assert named == [("lr_rewinding", ""), ("random_ticket", "layerwise_rearrange")]
