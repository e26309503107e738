from __future__ import annotations

import csv
import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

import prunecheck
from prunecheck.reporting import export
from prunecheck.statistics import Row
from tests.cli.command import Cli, files, run
from tests.runner import tiny
from tests.statistics.makers import full

COLUMNS = ["method", "check", "sparsity", "seed", "accuracy", "n_test"]


def table(folder: Path, rows: list[Row], name: str = "results.csv") -> Path:
    """The rows as a CSV file of results."""
    path = folder / name
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows([getattr(row, column) for column in COLUMNS] for row in rows)
    return path


@pytest.mark.parametrize(("drop", "strictly", "answer"), [(5.0, 0, "PASSES"), (0.0, 1, "FAILS")])
def test_verdict_of_a_csv_file(cli: Cli, tmp_path: Path, drop: float, strictly: int, answer: str) -> None:
    path = table(tmp_path, full(snip=drop))
    said = cli("verdict", path, "--json")
    assert (said.code, said.err) == (0, "")
    document = json.loads(said.out)
    assert document == prunecheck.verdict(path).to_dict()
    (snip,) = [method for method in document["methods"] if method["method"] == "snip"]
    assert snip["verdict"] == answer
    assert cli("verdict", path, "--strict").code == strictly
    assert f"snip: {answer.lower()}" in cli("verdict", path).out


def test_open_verdict_exits_with_4_when_strict(cli: Cli, tmp_path: Path) -> None:
    path = table(tmp_path, full(snip=0.6, seeds=3))
    assert cli("verdict", path, "--strict", "--margin", "0.5").code == 4
    assert cli("verdict", path, "--margin", "0.5").code == 0


def test_margin_option_is_used(cli: Cli, tmp_path: Path) -> None:
    path = table(tmp_path, full(snip=5.0))
    document = json.loads(cli("verdict", path, "--json", "--margin", "0.75").out)
    assert document["margin"] == 0.75
    assert document == prunecheck.verdict(path, margin=0.75).to_dict()
    for margin in ("0", "-1", "nan", "inf"):
        said = cli("verdict", path, "--margin", margin)
        assert (said.code, said.out) == (2, ""), margin
        assert "margin" in said.err


def test_margin_in_terms_of_clean_runs_is_written_with_its_origin(cli: Cli, tmp_path: Path) -> None:
    dense = [Row("dense", "clean", None, seed, accuracy, 10_000) for seed, accuracy in enumerate((0.93, 0.94, 0.935))]
    path = table(tmp_path, dense + [row for row in full(snip=5.0) if row.method != "dense"])
    said = cli("verdict", path, "--margin", "2 sd", "--chance", "10%", "--out", "judged")
    assert said.code == 0, said.err
    document = json.loads((tmp_path / "judged" / "verdicts.json").read_text())
    assert "2 standard deviations between seeds" in document["margin_rule"]
    assert document["origin"]["settings"]["chance"] == 0.1
    again = json.loads(cli("verdict", tmp_path / "judged" / "results.csv", "--json").out)
    assert (again["margin"], again["margin_rule"]) == (document["margin"], document["margin_rule"])
    refused = cli("verdict", path, "--margin", "a bit")
    assert (refused.code, refused.out) == (2, "")
    assert "margin 'a bit': write points (0.5)" in refused.err


def test_chance_is_a_fraction_or_percent(cli: Cli, tmp_path: Path) -> None:
    path = table(tmp_path, full(snip=5.0))
    answers = [json.loads(cli("verdict", path, "--json", "--chance", text).out) for text in ("0.1", "10%", " 10 % ")]
    assert answers[0] == answers[1] == answers[2]


def test_the_page_and_the_junit_file(cli: Cli, tmp_path: Path) -> None:
    path = table(tmp_path, full(snip=0.0))
    said = cli("verdict", path, "--out", "here", "--junit", "verdicts.xml")
    assert said.code == 0
    assert said.err.strip() == f"report: {Path('here') / 'index.html'}"
    assert "snip" in (tmp_path / "here" / "index.html").read_text("utf-8")
    assert json.loads((tmp_path / "here" / "verdicts.json").read_text()) == prunecheck.verdict(path).to_dict()
    suite = ElementTree.parse(tmp_path / "verdicts.xml").getroot()
    assert suite.tag in ("testsuite", "testsuites")
    assert suite.findall(".//failure")


def test_report_into_an_unwritable_folder_is_a_store_error(cli: Cli, tmp_path: Path) -> None:
    path = table(tmp_path, full(snip=0.0))
    (tmp_path / "file").write_text("")
    before = files(tmp_path)
    assert cli("verdict", path, "--out", "file").code == 74
    assert cli("verdict", path, "--junit", tmp_path / "nowhere" / "x.xml").code == 74
    assert files(tmp_path) == before


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "results.csv"),
        (b"method,check\nsnip,clean\n", "sparsity"),
        (b"method,check,sparsity,seed,accuracy,n_test\n", "results.csv"),
        (b"method,check,sparsity,seed,accuracy,n_test\nsnip,clean,0.9,0,91.2,100\nsnip,x,0.9,0,0.9,100\n", "0.912"),
        (b"method,check,sparsity,seed,accuracy,n_test\nsnip,clean,90,0,0.9,100\n", "0.9"),
        (b"method,check,sparsity,seed,accuracy,n_test\nsnip,clean,0.9,zero,0.9,100\n", "seed"),
        (b"\xff\xfe\x00", "results.csv"),
        (bytes(range(256)) * 10, "results.csv"),
    ],
    ids=["empty", "columns missing", "no rows", "percent", "sparsity in percent", "no seed", "no text", "binary"],
)
def test_file_that_is_not_a_table_is_refused(cli: Cli, tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "results.csv"
    path.write_bytes(content)
    said = cli("verdict", path, "--out", "here")
    assert (said.code, said.out) == (2, "")
    assert says in said.err
    assert len(said.err.splitlines()) <= 3
    assert files(tmp_path) == [path]


def test_hostile_names_in_a_table_are_harmless(cli: Cli, tmp_path: Path) -> None:
    rows = full(snip=0.0)
    for name in ("sn\x1b[31mip", "[red]snip", "[/]snip", "\x1b]0;title\x07"):
        named = [Row(name if row.method == "snip" else row.method, *_rest(row)) for row in rows]
        said = cli("verdict", table(tmp_path, named), "--out", "here")
        assert said.code in (0, 2), name
        assert not {"\x1b", "\x07"} & set(said.out + said.err), name


def _rest(row: Row) -> tuple[str, float | None, int, float, int]:
    return row.check, row.sparsity, row.seed, row.accuracy, row.n_test


def test_verdict_without_colour_and_into_a_closed_pipe(tmp_path: Path) -> None:
    path = table(tmp_path, full(snip=0.0))
    coloured = run("verdict", path, env={"FORCE_COLOR": "1", "NO_COLOR": "", "TERM": "xterm-256color"})
    plain = run("verdict", path, env={"FORCE_COLOR": "1", "NO_COLOR": "1", "TERM": "xterm-256color"})
    assert "\x1b[3" in coloured.stdout
    assert "\x1b[3" not in plain.stdout.replace("\x1b[3m", "")  # italics are no colour
    piped = run("verdict", path, env={"NO_COLOR": "", "FORCE_COLOR": ""})
    assert "\x1b" not in piped.stdout


FILES = ["accuracy.tex", "effects.svg", "methods.tex", "references.bib", "results.csv", "tables.md", "verdicts.tex"]


def test_paper_folder_from_a_csv_file(cli: Cli, tmp_path: Path) -> None:
    path = table(tmp_path, full(snip=5.0))
    said = cli("paper", path, "--to", "paper", "--formats", "svg", "--parquet")
    assert said.code == 0, said.err
    written = sorted(one.name for one in (tmp_path / "paper").iterdir())
    assert written == sorted([*FILES, "accuracy.svg", "results.parquet"])
    assert sorted(Path(line).name for line in said.out.split()) == written
    assert r"\input{verdicts}" in said.err
    with (tmp_path / "paper" / "results.csv").open(encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    from pyarrow.parquet import read_table

    rows = read_table(tmp_path / "paper" / "results.parquet").to_pylist()
    assert [(r["method"], r["check"], r["seed"], r["accuracy"]) for r in rows] == [
        (r["method"], r["check"], int(r["seed"]), float(r["accuracy"])) for r in lines
    ]


def test_paper_of_a_csv_file_takes_the_options_of_verdict(cli: Cli, tmp_path: Path) -> None:
    path = table(tmp_path, full(snip=5.0))
    bare = tmp_path / "bare.csv"
    with path.open(encoding="utf-8") as file:
        lines = [{key: value for key, value in row.items() if key != "n_test"} for row in csv.DictReader(file)]
    with bare.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(lines[0]))
        writer.writeheader()
        writer.writerows(lines)
    said = cli("paper", bare, "--to", "paper", "--formats", "svg")
    assert (said.code, "give it: --n-test 10000" in said.err) == (2, True)
    given = ("--n-test", 10_000, "--classes", 10, "--looks", "3,5")
    assert cli("paper", bare, "--to", "paper", "--formats", "svg", *given).code == 0
    assert "10,000 samples" in (tmp_path / "paper" / "methods.tex").read_text()
    assert "after 3 and 5 seeds" in (tmp_path / "paper" / "methods.tex").read_text()


def test_paper_of_a_study_refuses_the_options_of_a_table(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text("")
    said = cli("paper", "study.toml", "--to", "paper", "--n-test", 100, "--percent")
    assert (said.code, said.err) == (2, "prunecheck: paper: --percent and --n-test are for a CSV file.\n")


def test_paper_of_a_study_that_was_not_run_is_refused(cli: Cli, tmp_path: Path) -> None:
    from prunecheck.study.toml import to_toml

    (tmp_path / "study.toml").write_text(to_toml(tiny.study()))
    said = cli("paper", "study.toml", "--to", "paper")
    assert said.code == 2
    assert "run it first" in said.err
    assert not (tmp_path / "paper").exists()


def test_wrong_options_are_refused_before_anything_is_written(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = table(tmp_path, full(snip=5.0))
    said = cli("paper", path, "--to", "paper", "--formats", "svg,pgn")
    assert (said.code, "Did you mean 'png'?" in said.err) == (2, True)
    monkeypatch.setattr(export, "find_spec", lambda _name: None)
    said = cli("paper", path, "--to", "paper", "--parquet")
    assert (said.code, "pip install 'prunecheck[parquet]'" in said.err) == (2, True)
    assert not (tmp_path / "paper").exists()


def test_the_table_written_beside_a_verdict_is_judged_the_same_again(cli: Cli, tmp_path: Path) -> None:
    path = table(tmp_path, full(snip=0.3))
    path.write_text(path.read_text().replace(",", ";").replace("dense", "Dense"))
    options = ("--margin", "0.5", "--looks", "3,5,10", "--against", "random_ticket")
    assert cli("verdict", path, *options, "--out", "judged").code == 0
    first = json.loads((tmp_path / "judged" / "verdicts.json").read_text())
    again = json.loads(cli("verdict", tmp_path / "judged" / "results.csv", "--json").out)
    assert first["looks"] == [3, 5, 10]
    assert {key for key in first if first[key] != again[key]} == {"notes"}  # the remarks on how the table was read


def test_options_of_a_table_are_refused_in_one_line(cli: Cli, tmp_path: Path) -> None:
    path = table(tmp_path, full(snip=0.0))
    for option, value, says in (
        ("--chance", "x", "--chance 'x' is not an accuracy. Write 0.1 or 10%."),
        ("--looks", "3;5", "--looks '3;5': write numbers of seeds, such as 3,5,7,10."),
        ("--against", "snipp", "against: 'snipp' is not a method with a clean arm. Did you mean 'snip'?"),
        ("--classes", "1", "classes 1 must be at least 2."),
    ):
        answer = cli("verdict", path, option, value)
        assert (answer.code, answer.out) == (2, "")
        assert answer.err.strip() == f"prunecheck: {says}"


RUNS = Path(__file__).parents[1] / "statistics" / "lm_eval_runs"


def test_verdict_of_samples_of_lm_evaluation_harness(cli: Cli, tmp_path: Path) -> None:
    arms = ("--samples", f"clean={RUNS / 'clean-0'}", f"placebo={RUNS / 'placebo-0'}", "--sparsity", "50%")
    said = cli(
        "verdict", *arms, "--margin", "0.05", "--metric", "byte_perplexity", "--task", "tiny_text", "--out", "here"
    )
    assert said.code == 0
    assert "margin 0.05 nats" in said.out
    assert "Documents alone, placebo" in said.out
    document = json.loads((tmp_path / "here" / "verdicts.json").read_text())
    assert document["metric"] == "nll"
    assert (
        cli("verdict", *arms, "--margin", "0.05", "--metric", "byte_perplexity", "--task", "tiny_text", "--strict").code
        == 4
    )
    for words, message in (
        (("verdict",), "give a table of results"),
        (("verdict", "--samples", "clean", "--sparsity", "50%"), "write NAME=FOLDER"),
        (("verdict", *arms[:3]), "--sparsity 50%"),
        (("verdict", "table.csv", *arms), "not both"),
        (("verdict", "table.csv", "--task", "one"), "are for --samples"),
    ):
        refused = cli(*words)
        assert refused.code == 2
        assert message in refused.err
