from __future__ import annotations

from dataclasses import replace

from prunecheck.reporting.baselines import dense_sentence
from prunecheck.reporting.data import Evidence
from prunecheck.reporting.page import page
from tests.reporting import sample
from tests.reporting.payloads import PAYLOADS


def dense(**accuracies: list[float]) -> Evidence:
    base = sample.evidence()
    more = [
        {**base.rows[0], "method": method, "check": "clean", "sparsity": None, "seed": seed, "accuracy": accuracy}
        for method, found in accuracies.items()
        for seed, accuracy in enumerate(found)
    ]
    return replace(base, rows=[*base.rows, *more])


def test_a_longer_dense_network_stands_beside_the_studys_own() -> None:
    evidence = dense(dense=[0.94, 0.942], dense_2x=[0.95])
    said = "Dense networks: dense 94.10% (2 seeds) and dense_2x 95.00% (1 seed)."
    assert dense_sentence(evidence) == said
    assert said in page(evidence)


def test_the_studys_own_is_the_dotted_line_and_no_sentence() -> None:
    assert dense_sentence(dense(dense=[0.94])) == ""
    assert dense_sentence(sample.evidence()) == ""
    assert "Dense networks" not in page(sample.evidence())


def test_a_dense_network_without_a_number_is_left_out() -> None:
    assert dense_sentence(dense(dense=[0.94], dense_2x=[float("nan")])) == ""


def test_a_name_is_text() -> None:
    for payload in PAYLOADS.values():
        html = page(dense(**{"dense": [0.94], payload: [0.95]}))
        assert "<script>alert" not in html
