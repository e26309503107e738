"""Finished tables: a fixed design, chance, head to head, a study's own table, tables of means."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

import prunecheck
from prunecheck.errors import StudyError
from prunecheck.statistics import Row, Settings, exit_code, judge, junit
from prunecheck.statistics.summaries import Spread
from tests.statistics.makers import arm, clean, dense, full, hurt

THEIRS = (
    [Row("dense", "clean", None, s, a, 10_000) for s, a in enumerate((0.9412, 0.9398, 0.9405, 0.9420, 0.9401))]
    + [Row("theirs", "clean", 0.9, s, a, 10_000) for s, a in enumerate((0.9312, 0.9298, 0.9331, 0.9305, 0.9320))]
    + [
        Row("theirs", "layerwise_rearrange", 0.9, s, a, 10_000)
        for s, a in enumerate((0.9338, 0.9271, 0.9346, 0.9270, 0.9357))
    ]
)


def written(folder: Path, rows: list[Row], name: str = "results.csv") -> Path:
    path = folder / name
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(asdict(rows[0])))
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)
    return path


def test_a_finished_table_is_a_fixed_design_at_any_number_of_seeds(tmp_path: Path) -> None:
    found = prunecheck.verdict(written(tmp_path, THEIRS), classes=10)
    (cell,) = found.checks[0].cells
    drops = [100 * (a.accuracy - b.accuracy) for a, b in zip(THEIRS[5:10], THEIRS[10:], strict=True)]
    reach = stats.t.ppf(0.95, 4) * np.std(drops, ddof=1) / np.sqrt(5)
    assert (found.design, found.looks) == ("fixed", ())
    assert found.margin == pytest.approx(0.841, abs=5e-4)
    assert (cell.n, cell.low_level, cell.high_level) == (5, 0.05, 0.05)
    assert (cell.low, cell.high) == pytest.approx((np.mean(drops) - reach, np.mean(drops) + reach))
    assert found.methods[0].verdict == "FAILS"
    for n in range(3, 15):
        rows = dense() + clean("m", seeds=n) + arm("m", "x", 0.9, [90 - 0.01 * (s % 3) for s in range(n)])
        judged = prunecheck.verdict([asdict(row) for row in rows], 1.0)
        assert [c.n for c in judged.checks[0].cells] == [n]


def test_a_sequential_design_only_where_it_is_said(tmp_path: Path) -> None:
    path = written(tmp_path, THEIRS)
    said = prunecheck.verdict(path, classes=10, looks=(3, 5))
    assert (said.design, said.looks) == ("sequential", (3, 5))
    fixed, sequential = prunecheck.verdict(path, classes=10).checks[0].cells[0], said.checks[0].cells[0]
    assert sequential.high - sequential.low > fixed.high - fixed.low
    with pytest.raises(StudyError, match="looks"):
        prunecheck.verdict(path, classes=10, looks=(5, 3))


def test_chance_decides_a_verdict_of_two_classes() -> None:
    """Ten seeds, a dense network of 95 %, a drop of 0.6: without chance the margin would be twice too large."""
    points = [90.0 + 0.02 * (s % 3) for s in range(10)]
    rows = [Row("dense", "clean", None, s, 0.95, 10_000) for s in range(3)]
    rows += arm("m", "clean", 0.9, points) + arm(
        "m", "x", 0.9, [p - 0.6 - 0.01 * (i % 2) for i, p in enumerate(points)]
    )
    table = [asdict(row) for row in rows]
    for given in ({"chance": 0.5}, {"classes": 2}):
        found = prunecheck.verdict(table, **given)  # type: ignore[arg-type]
        assert (found.margin, found.checks[0].verdict) == (pytest.approx(0.45), "DEPENDS")
    assert prunecheck.verdict([{**row, "classes": 2} for row in table]).checks[0].verdict == "DEPENDS"
    without = prunecheck.verdict(table)
    assert (without.margin, without.checks[0].verdict) == (pytest.approx(0.95), "DOES NOT DEPEND")
    assert any("--classes" in note for note in without.notes)


def test_chance_that_is_given_twice_must_agree() -> None:
    table = [{**asdict(row), "classes": 10} for row in THEIRS]
    assert prunecheck.verdict(table, chance=0.1).margin == prunecheck.verdict(table, classes=10).margin
    with pytest.raises(StudyError, match=r"chance accuracy is 0\.5 by chance and 0\.1 by the table"):
        prunecheck.verdict(table, chance=0.5)
    with pytest.raises(StudyError, match="classes 1 must be at least 2"):
        prunecheck.verdict(table, classes=1)


def test_two_methods_with_clean_arms_only_are_compared_by_seed(tmp_path: Path) -> None:
    lead = [1.61, 1.15, 1.93, 1.49, 1.72]
    rows = dense() + arm("ours", "clean", 0.9, [90 + lead[s] + s for s in range(5)])
    rows += arm("random_ticket", "clean", 0.9, [90.0 + s for s in range(5)])
    found = prunecheck.verdict(written(tmp_path, rows), classes=10)
    (one,) = found.comparisons
    assert (one.first, one.second, one.verdict) == ("ours", "random_ticket", "BETTER")
    assert one.pooled is not None
    reach = stats.t.ppf(0.95, 4) * np.std(lead, ddof=1) / np.sqrt(5)
    assert (one.pooled.low, one.pooled.high) == pytest.approx((np.mean(lead) - reach, np.mean(lead) + reach))
    assert (found.methods, found.checks, exit_code(found)) == ((), (), 0)
    assert not any("control" in note for note in found.notes)
    swapped = prunecheck.verdict(written(tmp_path, rows), classes=10, against="ours").comparisons[0]
    assert (swapped.first, swapped.second, swapped.verdict) == ("random_ticket", "ours", "WORSE")
    assert '<failure message="random_ticket against ours: WORSE' in junit(
        prunecheck.verdict(written(tmp_path, rows), classes=10, against="ours")
    )


def test_a_lead_within_the_margin_is_not_better_and_equivalent() -> None:
    rows = dense() + arm("ours", "clean", 0.9, [90.02, 90.01, 89.99, 90.0]) + clean("random_ticket", seeds=4)
    (one,) = prunecheck.verdict([asdict(row) for row in rows], 0.5).comparisons
    assert (one.verdict, one.equivalent) == ("NOT BETTER", True)
    rows = dense() + arm("ours", "clean", 0.9, [93, 90, 87, 90.0]) + clean("random_ticket", seeds=4)
    (one,) = prunecheck.verdict([asdict(row) for row in rows], 0.5).comparisons
    assert one.verdict == "INCONCLUSIVE"


def test_against_names_are_checked_and_several_are_taken() -> None:
    table = [asdict(row) for row in dense() + clean("a", seeds=3) + clean("b", seeds=3) + clean("c", seeds=3)]
    found = prunecheck.verdict(table, 1.0, against=("c", "a"))
    assert [(one.first, one.second) for one in found.comparisons] == [("a", "c"), ("b", "c"), ("b", "a"), ("c", "a")]
    with pytest.raises(StudyError, match="against: 'randomticket' is not a method with a clean arm"):
        prunecheck.verdict(table, 1.0, against="randomticket")
    with pytest.raises(StudyError, match=r"every row is of a clean arm.*--against METHOD .*one of a, b, c"):
        prunecheck.verdict(table, 1.0)
    with pytest.raises(StudyError, match="there is no method besides 'a'"):
        prunecheck.verdict([asdict(row) for row in dense() + clean("a", seeds=3)], 1.0, against="a")


def test_methods_are_compared_with_the_random_ticket_by_default() -> None:
    rows = full(snip=0.0) + arm("random_ticket", "clean", 0.8, [90.0] * 3)
    found = prunecheck.verdict([asdict(row) for row in rows], 0.5)
    assert [(one.first, one.second) for one in found.comparisons] == [("snip", "random_ticket")]


def study_folder(folder: Path, rows: list[Row], settings: Settings) -> Path:
    """What a study leaves: results.csv and verdicts.json."""
    own = judge(rows, study="mine", settings=settings)
    (folder / "verdicts.json").write_text(json.dumps(own.to_dict()), encoding="utf-8")
    return written(folder, rows)


SETTINGS = Settings(
    design="sequential",
    looks=(3, 5, 10),
    margin=0.77,
    margin_rule="The rule.",
    chance=0.12,
    compare=(("snip", "random_ticket"),),
)


def test_a_studys_own_table_gives_the_studys_own_verdict_to_the_digit(tmp_path: Path) -> None:
    path = study_folder(tmp_path, full(snip=0.7), SETTINGS)
    own = json.loads((tmp_path / "verdicts.json").read_text())
    assert prunecheck.verdict(path).to_dict() == own
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], *reversed(lines[1:])]).replace(",", ";"), encoding="utf-16")
    again = prunecheck.verdict(path).to_dict()
    assert again.pop("notes")[1:] == own["notes"]  # but for the remark on the separator
    assert again == {key: value for key, value in own.items() if key != "notes"}


def test_another_table_is_never_judged_with_a_studys_settings(tmp_path: Path) -> None:
    path = study_folder(tmp_path, full(snip=0.7), SETTINGS)
    lines = path.read_text().splitlines()
    lines[-1] = lines[-1].replace(",0.9,9,0.", ",0.9,9,0.0")
    path.write_text("\n".join(lines))
    found = prunecheck.verdict(path, classes=10)
    assert found.design == "fixed"
    assert found.margin != 0.77
    assert any("of other rows" in note for note in found.notes)
    (tmp_path / "verdicts.json").write_text("{")
    assert any("cannot be read" in note for note in prunecheck.verdict(path, classes=10).notes)


def test_what_is_given_comes_before_the_settings_of_a_study(tmp_path: Path) -> None:
    path = study_folder(tmp_path, full(snip=0.7), SETTINGS)
    found = prunecheck.verdict(path, 0.5)
    assert found.margin == 0.5
    assert "0.77" in found.margin_rule
    assert found.looks == (3, 5, 10)


def test_a_verdict_of_another_version_is_told(tmp_path: Path) -> None:
    path = study_folder(tmp_path, full(snip=0.7), SETTINGS)
    own = json.loads((tmp_path / "verdicts.json").read_text())
    own["origin"]["settings"]["unheard_of"] = 1
    (tmp_path / "verdicts.json").write_text(json.dumps(own))
    assert any("of another version" in note for note in prunecheck.verdict(path, classes=10).notes)


def test_the_metric_is_judged_in_its_own_points() -> None:
    def both(row: Row, p: float) -> dict[str, object]:
        return {**asdict(row), "p_correct": p, "brier": 0.5 + p / 2}

    rows = [both(row, row.accuracy - 0.1) for row in dense(94, 94.1, 94.2)]
    rows += [both(row, 0.8 + 0.0001 * row.seed) for row in clean("m")] + [
        both(row, 0.7 + 0.0002 * row.seed) for row in hurt("m", "x", 0.0)
    ]
    accuracy, p = prunecheck.verdict(rows, classes=10), prunecheck.verdict(rows, classes=10, metric="p_correct")
    assert (accuracy.checks[0].verdict, p.checks[0].verdict) == ("DOES NOT DEPEND", "DEPENDS")
    assert (accuracy.metric, p.metric) == ("accuracy", "p_correct")
    assert p.margin == pytest.approx(0.01 * (84.1 - 10))
    assert p.dense_accuracy == accuracy.dense_accuracy
    assert "points of p_correct" in repr(p)
    with pytest.raises(StudyError, match="has no brier, which is the metric to be judged"):
        prunecheck.verdict([{k: v for k, v in row.items() if k != "brier"} for row in rows], metric="brier")


MEANS = [
    {"method": "dense", "check": "clean", "sparsity": "", "mean": "94.1", "std": "0.1", "n": 3, "n_test": 10_000},
    {"method": "ours", "check": "clean", "sparsity": 0.9, "mean": "92.8", "std": "0.3", "n": 3, "n_test": 10_000},
    {"method": "ours", "check": "moved", "sparsity": 0.9, "mean": "92.6", "std": "0.4", "n": 3, "n_test": 10_000},
    {"method": "random_ticket", "check": "clean", "sparsity": 0.9, "mean": "91.1", "std": "0.3", "n": 3,
     "n_test": 10_000},
]  # fmt: skip


def test_a_table_of_means_is_judged_unpaired_and_marked_so() -> None:
    found = prunecheck.verdict(MEANS, 0.84)
    (check,) = found.checks
    assert check.verdict == "INCONCLUSIVE"
    assert check.cells[0].p_not == pytest.approx(0.090, abs=5e-4)
    (lead,) = found.comparisons
    assert (lead.first, lead.second, lead.verdict) == ("ours", "random_ticket", "BETTER")
    assert found.basis == "summaries"
    sentences = [
        check.sentence,
        lead.sentence,
        *(m.sentence for m in found.methods),
        *(c.sentence for c in check.cells),
    ]
    assert all("(summary, unpaired)" in sentence for sentence in [*sentences, repr(found).splitlines()[0]])
    assert any("sample standard deviation" in note for note in found.notes)


def test_wide_margins_fail_a_method_and_large_drops_pass_it() -> None:
    found = prunecheck.verdict(MEANS, 2.0)
    assert found.methods[0].verdict == "FAILS"
    assert "(unguarded)" in found.checks[0].sentence
    moved = [{**row, "mean": "60.0"} if row["check"] == "moved" else row for row in MEANS]
    assert prunecheck.verdict(moved, 0.84).methods[0].verdict == "PASSES"
    assert prunecheck.verdict([{**row, "n": 1, "std": ""} for row in moved], 0.84).methods[0].verdict == "INCONCLUSIVE"


def test_a_control_that_is_not_hurt_forbids_independence() -> None:
    control = [{**row, "method": "lr_rewinding"} for row in MEANS if row["method"] == "ours"]
    assert prunecheck.verdict([*MEANS, *control], 2.0).checks[1].verdict == "UNINFORMATIVE"
    hurt_one = [{**row, "mean": "60.0"} if row["check"] == "moved" else row for row in control]
    found = prunecheck.verdict([*MEANS, *hurt_one], 2.0)
    assert {(c.method, c.verdict) for c in found.checks} == {("ours", "DOES NOT DEPEND"), ("lr_rewinding", "DEPENDS")}
    assert "(unguarded)" not in found.checks[1].sentence


def test_plus_minus_in_one_cell_is_the_same_table() -> None:
    cells = [{**row, "accuracy": f"{row['mean']}±{row['std']}"} for row in MEANS]
    cells = [{k: v for k, v in row.items() if k not in ("mean", "std")} for row in cells]
    # as text: NaN does not equal itself in the fields of dataclasses from Python 3.13 on
    read = [[asdict(check) for check in prunecheck.verdict(table, 0.84).checks] for table in (cells, MEANS)]
    assert repr(read[0]) == repr(read[1])
    percent = [
        {**row, "accuracy": f"{float(str(r['mean'])) / 100:.3f}±{float(str(r['std'])) / 100:.3f}"}
        for row, r in zip(cells, MEANS, strict=True)
    ]
    same = prunecheck.verdict(percent, 0.84).checks[0].cells[0]
    assert same.p_not == pytest.approx(prunecheck.verdict(MEANS, 0.84).checks[0].cells[0].p_not)


def test_tables_of_means_that_cannot_be_judged_are_refused() -> None:
    for changes, says in (
        ({"n": None}, "n is empty"),
        ({"std": "-0.1"}, "std is -0.1: it must be a number of at least 0"),
        ({"n": 1}, "one run has no spread, but the table gives 0.3"),
        ({"mean": "x"}, "mean 'x' is not a number"),
    ):
        broken = [{**row, **changes} if row["method"] == "ours" else row for row in MEANS]
        with pytest.raises(StudyError, match=says):
            prunecheck.verdict(broken, 0.84)
    with pytest.raises(StudyError, match=r"no column 'n'\. Add the number of runs .*--runs 3"):
        prunecheck.verdict([{k: v for k, v in row.items() if k != "n"} for row in MEANS], 0.84)
    assert prunecheck.verdict([{k: v for k, v in row.items() if k != "n"} for row in MEANS], 0.84, runs=3).checks
    with pytest.raises(StudyError, match="'std' and 'se' both give a spread"):
        prunecheck.verdict([{**row, "se": 0.1} for row in MEANS], 0.84)
    with pytest.raises(StudyError, match="cannot be judged as a sequential study"):
        prunecheck.verdict(MEANS, 0.84, looks=(3, 5))
    with pytest.raises(StudyError, match="is a standard error"):
        prunecheck.verdict(
            [{("se" if k == "std" else k): v for k, v in row.items()} for row in MEANS], 0.84, spread="std"
        )


def test_the_kind_of_spread_changes_the_answer() -> None:
    kinds: tuple[Spread, ...] = ("std", "population", "se")
    p = [prunecheck.verdict(MEANS, 0.84, spread=kind).checks[0].cells[0].p_not for kind in kinds]
    assert p == sorted(p)
    assert len(set(p)) == 3
