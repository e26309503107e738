"""Exports for a paper."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from prunecheck.errors import StoreError, StudyError
from prunecheck.reporting import ReportData, language_paper
from prunecheck.reporting.data import REFERENCES
from prunecheck.reporting.export import latex_accuracies, results_parquet
from prunecheck.reporting.foreign import data_of_table
from prunecheck.reporting.markdown import markdown_tables
from prunecheck.reporting.paper import PAPERS_OF, PROCEDURE, bibtex, entries, methods_paragraph, papers, write_paper
from prunecheck.reporting.print_figures import draw, write_figures
from prunecheck.reporting.summary import mean
from tests.reporting import sample

MAGIC = {".svg": b"<?xml", ".pdf": b"%PDF", ".png": b"\x89PNG"}


def small() -> ReportData:
    """Two methods, two checks and one sparsity of layers: enough to draw every figure."""
    full = sample.data()
    methods, checks = ("snip", "lr_rewinding"), ("clean", *sample.CHECKS[:2])
    judged = replace(
        full.verdict,
        methods=tuple(m for m in full.verdict.methods if m.method in methods),
        checks=tuple(c for c in full.verdict.checks if c.method in methods and c.check in checks),
    )
    rows = [r for r in full.rows if r["method"] in methods and r["check"] in checks]
    tables = tuple(t for t in full.layers if t.sparsity == 0.9 and t.method in (*methods, *REFERENCES))
    return ReportData("small", rows, judged, layers=tables)


def test_three_figures_in_three_formats_and_twice_the_same_bytes(tmp_path: Path) -> None:
    first = write_figures(small(), tmp_path / "a", ("svg", "pdf", "png"))
    again = write_figures(small(), tmp_path / "b", ("svg", "pdf", "png"))
    assert sorted(p.name for p in first) == sorted(
        f"{stem}.{form}" for stem in ("accuracy", "keep-shares", "effects") for form in ("svg", "pdf", "png")
    )
    for one, other in zip(first, again, strict=True):
        assert one.read_bytes().startswith(MAGIC[one.suffix])
        assert one.read_bytes() == other.read_bytes(), one.name


def test_figures_name_what_they_show(tmp_path: Path) -> None:
    for path in write_figures(small(), tmp_path, ("svg",)):
        text = "".join(ElementTree.parse(path).getroot().itertext())
        wanted = ["lr rewinding"] if path.stem != "keep-shares" else ["lr rewinding", "smart ratio", "erk"]
        assert all(word in text for word in wanted), path.name


def test_panels_keep_their_height_with_many_names_in_the_legend() -> None:
    few = small()
    first = next(t for t in few.layers if t.method == "snip")
    many = replace(few, layers=(*few.layers, *[replace(first, method=f"method_{i}") for i in range(10)]))
    heights = []
    for data in (few, many):
        figure = draw(data, "keep-shares")
        figure.draw_without_rendering()
        heights.append(figure.axes[0].get_window_extent().height)
    assert heights[1] > 0.9 * heights[0]


def test_figures_of_arms_whose_accuracies_are_all_equal(tmp_path: Path) -> None:
    """The mean of [.1, .1, .1] is 0.10000000000000002, outside of its values."""
    equal = replace(small(), rows=[{**row, "accuracy": 0.1} for row in small().rows])
    assert mean([0.1] * 3) > 0.1
    assert len(write_figures(equal, tmp_path, ("svg",))) == 3


def test_figures_without_data_are_not_written(tmp_path: Path) -> None:
    assert [p.name for p in write_figures(sample.plain(), tmp_path, ("svg",))] == ["accuracy.svg", "effects.svg"]


def test_hostile_names_are_drawn_as_text(tmp_path: Path) -> None:
    data = replace(sample.hostile("$\\frac{x$_<b>\u202e字"), curves=())
    for path in write_figures(data, tmp_path, ("svg",)):
        assert not [e for e in ElementTree.parse(path).iter() if e.tag.endswith("}b")]


def test_an_unknown_format_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"'pgn' is not a figure format\. Did you mean 'png'"):
        write_figures(sample.plain(), tmp_path / "new", ("svg", "pgn"))
    assert not (tmp_path / "new").exists()


def test_a_folder_that_is_a_file_is_a_disk_error(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("x")
    with pytest.raises(StoreError, match="taken"):
        write_figures(sample.plain(), tmp_path / "taken", ("svg",))


def test_methods_paragraph_states_the_study_and_cites_only_known_papers() -> None:
    text = methods_paragraph(sample.data())
    for said in (
        "margin of 0.84 points",
        "5 seeds",
        r"90\%, 95\% and 98\%",
        "10,000 samples",
        r"snip~\citep{lee2019snip}",
    ):
        assert said in text
    cited = {key for group in re.findall(r"\\cite[pt]\{([^}]*)\}", text) for key in group.split(",")}
    assert cited <= set(re.findall(r"@\w+\{(\w+),", bibtex(sample.data())))


def test_paragraph_on_a_table_claims_nothing_about_its_training() -> None:
    """How the runs of a table were made is not known."""
    ours = methods_paragraph(sample.data())
    foreign = methods_paragraph(replace(sample.data(), study_toml=""))
    assert "share initialisation" in ours
    assert "initialisation" not in foreign
    assert "runs of a seed are compared in pairs" in foreign
    assert "after the last epoch" in ours
    assert "after the last epoch" in latex_accuracies(sample.data())
    assert "epoch" not in foreign + latex_accuracies(replace(sample.data(), study_toml=""))


HEAD = "method,check,sparsity,seed,accuracy,n_test\n"
DENSE = "".join(f"dense,clean,,{seed},0.9{seed},1000\n" for seed in range(3))


def table(folder: Path, *arms: tuple[str, str, float, list[float]], first_seed: int = 0) -> ReportData:
    """The report of a CSV file with the accuracies of *arms*; corrupted arms begin with *first_seed*."""
    lines = [
        f"{method},{check},{sparsity},{seed},{accuracy},1000\n"
        for method, check, sparsity, accuracies in arms
        for seed, accuracy in enumerate(accuracies, 0 if check == "clean" else first_seed)
    ]
    (folder / "table.csv").write_text(HEAD + DENSE + "".join(lines), encoding="utf-8")
    return data_of_table(folder / "table.csv")


@pytest.mark.parametrize(
    "arms",
    [
        [("m", "clean", 0.98, [0.1] * 3), ("m", "layerwise_rearrange", 0.98, [0.1] * 3)],
        [("m", "clean", 0.98, [0.0] * 3), ("m", "layerwise_rearrange", 0.98, [0.0] * 3)],
        [("m", "clean", 0.98, [1.0] * 3), ("m", "layerwise_rearrange", 0.98, [1.0] * 3)],
        [("m", "clean", 0.9, [0.85]), ("m", "layerwise_rearrange", 0.9, [0.8])],
        [
            ("m", "clean", 0.9, [0.85, 0.86]),
            ("m", "clean", 0.98, [0.7]),
            ("m", "layerwise_rearrange", 0.98, [0.7]),
            ("other", "clean", 0.5, [0.88]),
            ("other", "layerwise_rearrange", 0.5, [0.88]),
        ],
    ],
    ids=["collapsed", "zero", "perfect", "one seed", "sparsities of one method each"],
)
def test_every_figure_is_drawn_of_equal_accuracies_single_seeds_and_missing_sparsities(
    arms: list[tuple[str, str, float, list[float]]], tmp_path: Path
) -> None:
    written = {path.name for path in write_paper(table(tmp_path, *arms), tmp_path / "paper", ("svg",))}
    assert {"accuracy.svg", "effects.svg", "verdicts.tex", "accuracy.tex", "methods.tex"} <= written
    for name in ("verdicts.tex", "accuracy.tex", "methods.tex", "tables.md"):
        assert not re.search(r"\b(nan|inf|None)\b", (tmp_path / "paper" / name).read_text(encoding="utf-8")), name


def test_figures_of_rows_without_accuracy_or_sparsity(tmp_path: Path) -> None:
    rows = small().rows
    for i, gap in enumerate(({"accuracy": float("nan")}, {"accuracy": None}, {"sparsity": None})):
        some = replace(small(), rows=[{**row, **(gap if j % 2 else {})} for j, row in enumerate(rows)])
        assert len(write_figures(some, tmp_path / str(i), ("svg",))) == 3
        none = replace(small(), rows=[{**row, **gap} for row in rows])
        assert [path.stem for path in write_figures(none, tmp_path / f"none{i}", ("svg",))] == [
            "keep-shares",
            "effects",
        ]


def test_paragraph_on_clean_arms_alone_names_no_checks(tmp_path: Path) -> None:
    arms = [("snip", "clean", 0.9, [0.8, 0.81, 0.82]), ("random_ticket", "clean", 0.9, [0.8, 0.81, 0.83])]
    data = table(tmp_path, *arms)
    text = methods_paragraph(data)
    assert text.startswith(r"We compared snip~\citep{lee2019snip} with random ticket~\citep{su2020sanity} at 90\%")
    assert "with 3 seeds" in text
    assert "A lead counts" in text
    assert "corrupted" not in text
    assert "Holm" not in text
    written = {path.name for path in write_paper(data, tmp_path / "paper", ("svg",))}
    assert "verdicts.tex" not in written
    assert "accuracy.tex" in written


def test_paragraph_counts_seeds_that_both_arms_have(tmp_path: Path) -> None:
    arms = [("m", "clean", 0.9, [0.8, 0.81, 0.82]), ("m", "x", 0.9, [0.7, 0.71, 0.72])]
    assert "with 3 seeds" in methods_paragraph(table(tmp_path, *arms))
    assert "with 1 seed." in methods_paragraph(table(tmp_path, *arms, first_seed=2))


def test_paragraph_calls_a_missing_control_not_run(tmp_path: Path) -> None:
    arms = [("m", "clean", 0.9, [0.8, 0.81, 0.82]), ("m", "x", 0.9, [0.7, 0.71, 0.72])]
    assert "Controls: positive not run and A/A not run." in methods_paragraph(table(tmp_path, *arms))


def test_table_of_means_has_no_latex_table_of_single_runs(tmp_path: Path) -> None:
    means = "dense,clean,,0.9,0.01,3,1000\nm,clean,0.9,0.8,0.01,3,1000\nm,x,0.9,0.7,0.01,3,1000\n"
    (tmp_path / "means.csv").write_text("method,check,sparsity,mean,std,n,n_test\n" + means, encoding="utf-8")
    written = {path.name for path in write_paper(data_of_table(tmp_path / "means.csv"), tmp_path / "paper", ("svg",))}
    assert "accuracy.tex" not in written
    assert "verdicts.tex" in written


def test_paragraph_on_summaries_names_welchs_test_and_no_pairs() -> None:
    made = replace(sample.verdict(), basis="summaries", notes=("Chance accuracy was not given and counts as 0.",))
    data = replace(sample.data(), rows=[], verdict=made, study_toml="")
    text = methods_paragraph(data)
    assert "without pairing" in text
    assert "compared in pairs" not in text
    assert "with 5 seeds" in text
    assert r"90\%, 95\% and 98\% sparsity" in text
    assert made.margin_rule.replace("%", r"\%") not in text, "the chance accuracy that it names was not given"
    cited = {key for group in re.findall(r"\\cite[pt]\{([^}]*)\}", text) for key in group.split(",")}
    assert "welch1947generalization" in cited
    assert cited <= set(re.findall(r"@\w+\{(\w+),", bibtex(data)))


def test_references_are_those_of_the_methods_used() -> None:
    keys = re.findall(r"@\w+\{(\w+),", bibtex(sample.data()))
    assert keys == sorted(keys)
    assert {"lee2019snip", "wang2020picking", "renda2020comparing", *PROCEDURE} <= set(keys)
    assert "tanaka2020pruning" not in keys


def test_every_citation_has_an_entry_with_balanced_braces() -> None:
    of_methods = {key for table in (PAPERS_OF, language_paper.PAPERS_OF) for keys in table.values() for key in keys}
    of_procedures = {*PROCEDURE, *language_paper.PROCEDURE, "welch1947generalization", "berger1982multiparameter"}
    assert of_methods | of_procedures | {"yin2024outlier"} == set(entries())
    for key, entry in entries().items():
        assert re.match(rf"@\w+\{{{key},", entry)
        assert entry.count("{") == entry.count("}")
        assert all(field in entry for field in ("title", "author", "year"))


@pytest.mark.parametrize(
    ("method", "cited"),
    [("snip", "lee2019snip"), ("LR-rewinding", "renda2020comparing"), ("lr_rewinding_imp", "renda2020comparing")],
)
def test_variants_cite_their_stem(method: str, cited: str) -> None:
    assert papers(method) == (cited,)


def test_unknown_method_has_no_citation() -> None:
    assert papers("my_method") == ()
    assert papers("lt2") == ()


@pytest.mark.parametrize("text", ["\\input{/etc/passwd} $x^2$ %_&#{}~", "a\r\nb", "\ud800\u202e", "]{x}\\end{table}"])
def test_latex_and_markdown_escape_hostile_names(text: str) -> None:
    bad, innocent = sample.hostile(text, sample.small()), sample.hostile("harmless", sample.small())
    for write in (latex_accuracies, methods_paragraph):
        said, plain = write(bad), write(innocent)
        said.encode("utf-8")
        escapes = {r"\textbackslash", r"\textasciitilde", r"\textasciicircum"}
        assert set(re.findall(r"\\[a-zA-Z]+", said)) <= set(re.findall(r"\\[a-zA-Z]+", plain)) | escapes
        assert said.count("\n") == plain.count("\n")
        assert said.count("{") - said.count(r"\{") == said.count("}") - said.count(r"\}")
    assert markdown_tables(bad).count("\n") == markdown_tables(innocent).count("\n")


def test_parquet_takes_whatever_a_row_holds() -> None:
    arrow = pytest.importorskip("pyarrow.parquet")
    import io

    rows = [
        {"method": "a\ud800", "check": "clean", "sparsity": 0.9, "seed": 1, "accuracy": 0.5, "n_test": 9, "x": [1, 2]},
        {"method": "a", "check": "clean", "sparsity": None, "seed": "one", "accuracy": 0.6, "n_test": 9, "x": True},
    ]
    first, second = arrow.read_table(io.BytesIO(results_parquet(rows))).to_pylist()
    assert (first["method"], first["sparsity"], first["seed"], first["x"]) == ("a", None, "one", "true")
    assert (second["method"], second["sparsity"], second["seed"], second["x"]) == ("a\ufffd", 0.9, "1", "1;2")


def test_the_same_evidence_gives_the_same_folder(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    for name in ("a", "b"):
        write_paper(sample.small(), tmp_path / name, ("svg",), parquet=True)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name
