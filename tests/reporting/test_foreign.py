"""A CSV from another program as report data."""

from __future__ import annotations

from pathlib import Path

from prunecheck.reporting.foreign import data_of_table
from prunecheck.reporting.page import page
from prunecheck.reporting.summary import arms
from tests.reporting.dom import parse

HEAD = " method ,check,sparsity,seed,accuracy,n_test,note,collapsed\n"


def test_numbers_are_numbers_and_the_page_has_the_accuracies(tmp_path: Path) -> None:
    path = tmp_path / "theirs.csv"
    lines = [f"12,clean,90%,{s},0.9{s},1000,x,false\n12,shuffle,0.9,{s},0.8{s},1000,,true\n" for s in range(3)]
    path.write_text(HEAD + "dense,,,0,0.95,1000,,\n\n" + "".join(lines), encoding="utf-8")
    data = data_of_table(path, margin=1.0)
    assert data.rows[0] == {
        "method": "dense", "check": "clean", "sparsity": None, "seed": 0, "accuracy": 0.95, "n_test": 1000,
        "note": None, "collapsed": None,
    }  # fmt: skip
    clean, shuffled = arms(data)
    assert (clean.method, clean.sparsity, clean.n, clean.collapsed) == ("12", 0.9, 3, 0)
    assert (shuffled.low, shuffled.high, shuffled.collapsed) == (0.8, 0.82, 3)
    assert parse(page(data)).by_id("accuracy").all("svg")
