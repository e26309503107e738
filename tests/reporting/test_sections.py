"""The smaller sections of the report."""

from __future__ import annotations

from dataclasses import replace

from prunecheck.reporting.data import ReportData
from prunecheck.reporting.page import page
from prunecheck.reporting.sections import (
    certainties,
    cost_sentence,
    dense_sentence,
    health_sentences,
    health_table,
    published_sources,
    published_table,
)
from prunecheck.reporting.summary import arms, mean, order
from tests.reporting import sample
from tests.reporting.dom import parse
from tests.reporting.payloads import PAYLOADS


def rows(data: ReportData) -> list[tuple[str, ...]]:
    found = published_table(data, order(data))
    return list(found.rows) if found else []


def test_published_table_has_one_row_per_published_number() -> None:
    data = sample.data()
    ours = [r["accuracy"] for r in data.rows if (r["method"], r["check"], r["sparsity"]) == ("snip", "clean", 0.9)]
    su, wang, rearranged = rows(data)
    low, average, high = (f"{100 * value:.2f}%" for value in (min(ours), mean(ours), max(ours)))
    assert su[:6] == ("snip", "clean", "90%", "92.81%", "Su et al. 2020, recalled", "92.55%")
    assert su[6:] == (average, f"5: {low} to {high}", f"{100 * (mean(ours) - 0.9281):+.2f}")
    assert wang[3:5] == ("92.59%", "Wang et al. 2020, recalled")
    assert wang[8] == f"{100 * (mean(ours) - 0.9259):+.2f}"
    assert rearranged[:6] == ("snip", "layerwise_rearrange", "90%", "n/a", "n/a", "92.72%")
    assert rearranged[8] == "n/a", "a reproduction is not the publication"


def test_published_numbers_of_arms_not_run_are_not_shown() -> None:
    data = sample.data()
    assert "Unlisted source" not in dict(published_sources(data))
    assert "Unlisted" not in page(data)
    (elsewhere,) = [number for number in data.published if number.sparsity == 0.5]
    assert published_table(replace(data, published=(elsewhere,)), order(data)) is None


def test_published_sources_and_certainties_are_explained() -> None:
    data = sample.data()
    assert dict(published_sources(data)) == {
        "Su et al. 2020": "160 epochs",
        "Wang et al. 2020": "batch 128",
        "A reproduction": "one seed; or 160 epochs",
    }
    assert [word for word, _ in certainties(data)] == ["reproduction", "recalled"]
    section = next(n for n in parse(page(data)).walk() if n.attributes.get("id") == "published")
    assert "do not quote" in section.text


def test_the_dense_network_comes_first() -> None:
    data = sample.data()
    dense = {**data.rows[0], "method": "dense", "check": "clean", "sparsity": None, "accuracy": 0.941}
    number = replace(data.published[0], method="dense", sparsity=None, accuracy=0.9462)
    bigger = replace(data, rows=[*data.rows, dense], published=(*data.published, number))
    assert rows(bigger)[0][:4] == ("dense", "clean", "dense", "94.62%")
    assert rows(bigger)[0][6:] == ("94.10%", "1: 94.10% to 94.10%", "-0.52")


def test_a_page_without_published_numbers_has_no_such_section() -> None:
    assert 'id="published"' not in page(sample.plain())
    assert 'href="#published"' not in page(sample.plain())


def dense(**accuracies: list[float]) -> ReportData:
    base = sample.data()
    more = [
        {**base.rows[0], "method": method, "check": "clean", "sparsity": None, "seed": seed, "accuracy": accuracy}
        for method, found in accuracies.items()
        for seed, accuracy in enumerate(found)
    ]
    return replace(base, rows=[*base.rows, *more])


def test_dense_networks_of_other_lengths_are_listed() -> None:
    data = dense(dense=[0.94, 0.942], dense_2x=[0.95])
    said = "Dense networks: dense 94.10% (2 seeds) and dense_2x 95.00% (1 seed)."
    assert dense_sentence(data) == said
    assert said in page(data)


def test_no_sentence_where_only_the_studys_dense_network_was_trained() -> None:
    assert dense_sentence(dense(dense=[0.94])) == ""
    assert dense_sentence(sample.data()) == ""
    assert "Dense networks" not in page(sample.data())


def test_a_dense_network_without_a_number_is_left_out() -> None:
    assert dense_sentence(dense(dense=[0.94], dense_2x=[float("nan")])) == ""


def test_dense_sentence_escapes_names() -> None:
    for payload in PAYLOADS.values():
        html = page(dense(**{"dense": [0.94], payload: [0.95]}))
        assert "<script>alert" not in html


def tickets(*accuracies: float, line: float | None = None, **more: object) -> ReportData:
    rows = [
        {"method": "snip", "check": "clean", "sparsity": 0.9, "seed": i, "accuracy": a, "n_test": 10, **more}
        for i, a in enumerate(accuracies)
    ]
    return ReportData("x", rows, replace(sample.verdict(), methods=(), checks=()), collapse_line=line)


def test_runs_at_or_below_the_line_collapsed() -> None:
    found = arms(tickets(0.1, 0.11, 0.9, line=0.11, effective_sparsity=0.934))
    assert health_sentences(found) == [
        "Of 3 trained tickets, 2 collapsed to chance and 0 diverged.",
        "Collapsed most often: snip at 90%: 2 of 3.",
        "The effective sparsity, which counts weights on no path from input to output as removed, exceeds the nominal "
        "one by 3.40 points at most (snip at 90%: 93.40%).",
    ]
    table = health_table(found)
    assert table is not None
    assert table.rows[0][-2:] == ("2 of 3", "0 of 3")


def test_unknown_collapse_is_not_reported() -> None:
    found = arms(tickets(0.1, 0.9))
    assert health_sentences(found) == ["Of 2 trained tickets, 0 diverged."]
    assert health_table(found) is None


def test_collapsed_column_overrides_the_collapse_line() -> None:
    (arm,) = arms(tickets(0.1, 0.9, line=0.2, collapsed=False))
    assert arm.collapsed == 0


def test_the_cost_in_a_sentence() -> None:
    assert cost_sentence({}) == ""
    said = cost_sentence(
        {
            "trainings": 99,
            "trainings shared": 1,
            "trainings with every seed everywhere": 140,
            "trainings spared by adaptive seeds": 41,
        }
    )
    assert said == (
        "99 trainings in all. 1 more training would have been needed without sharing between arms. "
        "41 of 140 trainings were saved: seeds were only added where a verdict was open."
    )
