from __future__ import annotations

from dataclasses import replace

from prunecheck.reporting.data import Evidence
from prunecheck.reporting.page import page
from prunecheck.reporting.published import certainties, sources, table
from prunecheck.reporting.summary import mean, order
from tests.reporting import sample
from tests.reporting.dom import parse


def rows(evidence: Evidence) -> list[tuple[str, ...]]:
    found = table(evidence, order(evidence))
    return list(found.rows) if found else []


def test_an_arm_stands_beside_all_that_was_published_of_it() -> None:
    evidence = sample.evidence()
    ours = [r["accuracy"] for r in evidence.rows if (r["method"], r["check"], r["sparsity"]) == ("snip", "clean", 0.9)]
    su, wang, rearranged = rows(evidence)
    low, average, high = (f"{100 * value:.2f}%" for value in (min(ours), mean(ours), max(ours)))
    assert su[:6] == ("snip", "clean", "90%", "92.81%", "Su et al. 2020, recalled", "92.55%")
    assert su[6:] == (average, f"5: {low} to {high}", f"{100 * (mean(ours) - 0.9281):+.2f}")
    assert wang[3:5] == ("92.59%", "Wang et al. 2020, recalled")
    assert wang[8] == f"{100 * (mean(ours) - 0.9259):+.2f}"
    assert rearranged[:6] == ("snip", "layerwise_rearrange", "90%", "n/a", "n/a", "92.72%")
    assert rearranged[8] == "n/a", "a reproduction is not the publication"


def test_what_we_did_not_run_is_not_shown() -> None:
    evidence = sample.evidence()
    assert "Nobody's business" not in dict(sources(evidence))
    assert "Nobody" not in page(evidence)
    (elsewhere,) = [number for number in evidence.published if number.sparsity == 0.5]
    assert table(replace(evidence, published=(elsewhere,)), order(evidence)) is None


def test_every_source_says_how_it_trained_and_every_word_of_certainty_what_it_means() -> None:
    evidence = sample.evidence()
    assert dict(sources(evidence)) == {
        "Su et al. 2020": "160 epochs",
        "Wang et al. 2020": "batch 128",
        "A reproduction": "one seed; or 160 epochs",
    }
    assert [word for word, _ in certainties(evidence)] == ["reproduction", "recalled"]
    section = next(n for n in parse(page(evidence)).walk() if n.attributes.get("id") == "published")
    assert "do not quote" in section.text


def test_the_dense_network_comes_first() -> None:
    evidence = sample.evidence()
    dense = {**evidence.rows[0], "method": "dense", "check": "clean", "sparsity": None, "accuracy": 0.941}
    number = replace(evidence.published[0], method="dense", sparsity=None, accuracy=0.9462)
    bigger = replace(evidence, rows=[*evidence.rows, dense], published=(*evidence.published, number))
    assert rows(bigger)[0][:4] == ("dense", "clean", "dense", "94.62%")
    assert rows(bigger)[0][6:] == ("94.10%", "1: 94.10% to 94.10%", "-0.52")


def test_a_page_without_published_numbers_has_no_such_section() -> None:
    assert 'id="published"' not in page(sample.plain())
    assert 'href="#published"' not in page(sample.plain())
