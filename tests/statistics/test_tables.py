"""Reading tables: what programs write, and what must be refused, with the line it stands on."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunecheck.errors import StudyError
from prunecheck.statistics.rows import Row, unique
from prunecheck.statistics.tables import Reading, Table, read_rows, read_table

HEAD = "method,check,sparsity,seed,accuracy,n_test"
CLEAN = "snip,clean,0.98,0,0.9,1000"
LABELS = "snip,random_labels,98%,0,0.85,1000"
ALL = " (Where all are percent: --percent, or percent=True in Python.)"


def written(tmp_path: Path, *lines: str, end: str = "\n", encoding: str = "utf-8") -> Path:
    path = tmp_path / "results.csv"
    path.write_bytes(end.join(lines).encode(encoding))
    return path


def refused(tmp_path: Path, *lines: str) -> str:
    path = written(tmp_path, *lines)
    with pytest.raises(StudyError) as caught:
        read_rows(path)
    message = str(caught.value)
    assert message.count("\n") < 3
    return message.replace(str(path), "results.csv")


def values(**changes: object) -> dict[str, object]:
    row = {"method": "snip", "check": "clean", "sparsity": 0.98, "seed": 0, "accuracy": 0.9, "n_test": 1000}
    return {**row, **changes}


def test_reads_a_csv_in_any_order(tmp_path: Path) -> None:
    rows = read_rows(written(tmp_path, HEAD, LABELS, CLEAN, "dense,,,1,0.94,1000"))
    assert rows == (
        Row("dense", "clean", None, 1, 0.94, 1000),
        Row("snip", "clean", 0.98, 0, 0.9, 1000),
        Row("snip", "random_labels", 0.98, 0, 0.85, 1000),
    )


def test_bom_crlf_blank_lines_spaces_and_extra_columns_are_fine(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "seed, method,check,sparsity,accuracy,n_test,comment",
        "0, snip,clean , 0.98,0.9,1000,fine",
        "",
        ",,,,,,",
        "0,snip,random_labels,98%,0.85,1000.0,",
        end="\r\n",
        encoding="utf-8-sig",
    )
    assert read_rows(path) == (
        Row("snip", "clean", 0.98, 0, 0.9, 1000),
        Row("snip", "random_labels", 0.98, 0, 0.85, 1000),
    )
    assert read_rows(str(path)) == read_rows(path)


def test_optional_columns(tmp_path: Path) -> None:
    rows = read_rows(
        written(
            tmp_path,
            HEAD + ",kept,diverged,collapsed,overlap",
            CLEAN + ",200,no,False,",
            LABELS + ",0,Yes,1,0.25",
            "snip,clean,0.98,1,0.9,1000,,,nan,NaN",
        )
    )
    assert rows[0] == Row("snip", "clean", 0.98, 0, 0.9, 1000, 200, False, False, None)
    assert rows[1] == Row("snip", "clean", 0.98, 1, 0.9, 1000, None, False, None, None)
    assert rows[2] == Row("snip", "random_labels", 0.98, 0, 0.85, 1000, 0, True, True, 0.25)


def test_epochs_are_read_where_masks_were_learned_and_only_there(tmp_path: Path) -> None:
    learned = read_rows(
        written(tmp_path, HEAD + ",epochs,mask_epochs", CLEAN + ",6,2.5", LABELS + ",6,", "dense,clean,,0,0.9,1000,8,")
    )
    assert [(row.epochs, row.mask_epochs) for row in learned] == [(8, None), (6, 2.5), (6, None)]
    assert read_rows(learned) == learned
    others = read_rows(written(tmp_path, HEAD + ",epochs", CLEAN + ",until it stopped", LABELS + ",6"))
    assert {row.epochs for row in others} == {None}
    says = refused(tmp_path, HEAD + ",epochs,mask_epochs", CLEAN + ",6,-1")
    assert "line 2: mask_epochs is -1" in says


def test_dicts_rows_and_numpy_values_are_the_same() -> None:
    plain = read_rows([values(), values(check="random_labels", accuracy=0.85)])
    numpy = [
        values(sparsity=np.float64(0.98), seed=np.int64(0), accuracy=np.float64(0.9)),
        values(check="random_labels", sparsity="98%", accuracy="0.85", diverged=None, collapsed=float("nan")),
    ]
    assert read_rows(numpy) == plain
    assert read_rows(plain) == plain
    assert read_rows(iter(plain)) == plain


def test_exact_duplicates_count_once_and_contradictions_are_refused(tmp_path: Path) -> None:
    assert len(read_rows(written(tmp_path, HEAD, CLEAN, LABELS, CLEAN))) == 2
    assert refused(tmp_path, HEAD, CLEAN, LABELS, CLEAN.replace("0.9,", "0.91,")) == (
        "results.csv, line 4: snip x clean at 98%, seed 0 was already given at results.csv, line 2 with other values "
        "(accuracy 0.9, now 0.91). Which one is it?"
    )
    assert refused(tmp_path, HEAD, "dense,clean,,1,.9,10", "dense,,,1,.8,10").startswith(
        "results.csv, line 3: dense x clean, seed 1 was already"
    )


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "snip,clean,0.98,0,93.4,9",
            "accuracy is a fraction; 93.4 looks like percent: did you mean 0.934?" + ALL,
        ),
        ("snip,clean,0.98,0,100,9", "accuracy is a fraction; 100 looks like percent: did you mean 1?" + ALL),
        ("snip,clean,0.98,0,101,9", "accuracy is a fraction; 101 is above 1."),
        ("snip,clean,0.98,0,-0.1,9", "accuracy is a fraction; -0.1 is below 0."),
        (
            "snip,clean,0.98,0,nan,9",
            "accuracy is nan. A diverged run still has a test accuracy: give that one.",
        ),
        ("snip,clean,0.98,0,,9", "accuracy is empty."),
        ("snip,clean,0.98,0,good,9", "accuracy 'good' is not a number."),
        ("snip,clean,0.98,0.5,0.9,9", "seed 0.5 is not a whole number."),
        ("snip,clean,0.98,inf,0.9,9", "seed inf is not a whole number."),
        ("snip,clean,0.98,0,0.9,0", "n_test 0 must be at least 1."),
        (
            "snip,clean,97.5,0,0.9,9",
            "sparsity 97.5 is outside (0, 1): it is the fraction of weights removed. Did you mean 0.975?",
        ),
        ("snip,labels,,0,0.9,9", "sparsity is empty."),
        ("snip,clean,x%,0,0.9,9", "'x%' is not a sparsity. Write 0.98 or \"98%\"."),
        (",clean,0.9,0,0.9,9", "method is empty."),
        ("snip,,0.9,0,0.9,9", "check is empty."),
        ("snip,clean,0,98,0,0,9,9", "more values than columns. A decimal comma? Write 0.934, not 0,934."),
        ("snip,clean,0.98,0", "4 values for 6 columns. Is one missing?"),
    ],
)
def test_refuses_what_is_no_result(tmp_path: Path, line: str, message: str) -> None:
    assert refused(tmp_path, HEAD, CLEAN, line) == f"results.csv, line 3: {message}"


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("kept", "-1", "kept -1 must be at least 0."),
        ("diverged", "maybe", "diverged 'maybe' is neither true nor false."),
        ("overlap", "2", "overlap is a fraction; 2 looks like percent: did you mean 0.02?"),
        ("overlap", "inf", "overlap is inf."),
    ],
)
def test_refuses_wrong_options(tmp_path: Path, column: str, value: str, message: str) -> None:
    assert refused(tmp_path, f"{HEAD},{column}", f"{CLEAN},{value}") == f"results.csv, line 2: {message}"


def test_missing_columns_name_the_nearest(tmp_path: Path) -> None:
    assert refused(tmp_path, "method,check,sparsity,seed,acuracy,n_test", CLEAN) == (
        "results.csv: no column 'accuracy'. Is it 'acuracy'? Call it 'accuracy'."
    )
    assert refused(tmp_path, "a,b", "1,2") == "results.csv: no column 'method'. There are: a, b."
    with pytest.raises(StudyError, match=r"^row 2: no column 'seed'. Is it 'sed'\? Call it 'seed'.$"):
        read_rows([values(), {**{k: v for k, v in values().items() if k != "seed"}, "sed": 1}])
    with pytest.raises(StudyError, match=r"^row 1: no column 'method'. There are: none.$"):
        read_rows([{}])


def test_nothing_to_read(tmp_path: Path) -> None:
    assert refused(tmp_path) == "results.csv holds no results: a row is needed for every retrained network."
    assert "holds no results" in refused(tmp_path, HEAD)
    with pytest.raises(StudyError, match=r"^the list of rows holds no results"):
        read_rows([])
    with pytest.raises(
        StudyError, match=r"^row 1 is neither a Row nor a dict with method, check, sparsity, seed, accuracy, n_test\.$"
    ):
        read_rows([3])  # type: ignore[list-item]


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"nowhere.csv does not exist\.$"):
        read_rows(tmp_path / "nowhere.csv")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(StudyError, match=r"binary.csv is not UTF-8 text: save the table as CSV \(UTF-8\).$"):
        read_rows(tmp_path / "binary.csv")
    (tmp_path / "torn.csv").write_text(HEAD + '\n"snip,clean')
    with pytest.raises(StudyError, match=r"torn.csv is not a CSV file: "):
        read_rows(tmp_path / "torn.csv")


def test_a_corrupted_arm_needs_a_clean_one(tmp_path: Path) -> None:
    assert refused(tmp_path, HEAD, CLEAN, LABELS, "snip,random_labels,0.9,0,0.85,1000") == (
        "results.csv, line 4: snip x random_labels at 90%, seed 0 has nothing to be compared with: "
        "no row with check 'clean' for this method and sparsity."
    )
    assert "line 3: grasp" in refused(tmp_path, HEAD, CLEAN, LABELS.replace("snip", "grasp"))


def test_perfect_and_hopeless_accuracies_are_accuracies() -> None:
    assert [row.accuracy for row in read_rows([values(accuracy=1), values(accuracy=0, seed=1)])] == [1.0, 0.0]


FULL = [
    "method,check,sparsity,seed,accuracy,n_test",
    *(f"dense,clean,,{s},{a},10000" for s, a in enumerate(("0.9412", "0.9398", "0.9405"))),
    *(f"theirs,clean,0.9,{s},{a},10000" for s, a in enumerate(("0.9312", "0.9298", "0.9331"))),
    *(f"theirs,shuffled,0.9,{s},{a},10000" for s, a in enumerate(("0.9308", "0.9301", "0.9326"))),
]


def table_of(tmp_path: Path, text: str, encoding: str = "utf-8", reading: Reading | None = None) -> Table:
    path = tmp_path / "results.csv"
    path.write_bytes(text.encode(encoding))
    return read_table(path, reading)


@pytest.fixture
def plain(tmp_path: Path) -> Table:
    return table_of(tmp_path, "\n".join(FULL))


def in_percent(sign: str = "", head: str = "accuracy") -> str:
    cells = [line.split(",") for line in FULL[1:]]
    lines = [",".join([*c[:4], f"{Decimal(c[4]) * 100:.2f}{sign}", c[5]]) for c in cells]
    return "\n".join([FULL[0].replace("accuracy", head), *lines])


@pytest.mark.parametrize("separator", [";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_other_separators_and_encodings_are_read_with_a_remark(
    tmp_path: Path, plain: Table, separator: str, encoding: str
) -> None:
    table = table_of(tmp_path, "\r\n".join(FULL).replace(",", separator), encoding)
    assert table.rows == plain.rows
    assert [remark.split(" by ")[0] for remark in table.remarks] == ["Read as columns separated"]
    assert plain.remarks == ()


def test_a_separator_line_and_comments_above_the_header_are_skipped(tmp_path: Path, plain: Table) -> None:
    assert table_of(tmp_path, "sep=;\n" + "\n".join(FULL).replace(",", ";")).rows == plain.rows
    table = table_of(tmp_path, "# exported 2024\n\n" + "\n".join(FULL))
    assert (table.rows, table.remarks) == (plain.rows, ())
    with pytest.raises(StudyError, match=r"line 3: accuracy 'x' is not a number"):
        table_of(tmp_path, "# above\n" + FULL[0] + "\n" + FULL[1].replace("0.9412", "x"))


def test_decimal_commas_are_read_with_a_remark(tmp_path: Path, plain: Table) -> None:
    table = table_of(tmp_path, "\n".join(FULL).replace(",", ";").replace(".", ","))
    assert table.rows == plain.rows
    assert "Decimal commas were read as points." in table.remarks
    quoted = [FULL[0], *(",".join(f'"{c.replace(".", ",")}"' for c in line.split(",")) for line in FULL[1:])]
    assert table_of(tmp_path, "\n".join(quoted)).rows == plain.rows


@pytest.mark.parametrize("number", ["10.000", "10,000", "10'000"])
def test_a_number_of_images_with_thousands_separators_is_refused(tmp_path: Path, number: str) -> None:
    with pytest.raises(StudyError, match=r"line 2: n_test .* can be read in two ways: did you mean 10000\?$"):
        table_of(tmp_path, "\n".join(FULL).replace(",", ";").replace("10000", number))


@pytest.mark.parametrize(
    ("sign", "head"), [("%", "accuracy"), (" %", "accuracy"), ("", "Accuracy (%)"), ("", "accuracy[%]")]
)
def test_percent_that_says_so_is_the_same_number(tmp_path: Path, plain: Table, sign: str, head: str) -> None:
    table = table_of(tmp_path, in_percent(sign, head))
    assert (table.rows, table.remarks) == (plain.rows, ())
    assert table.records[0]["accuracy"] == 0.9412


def test_percent_is_recognised_where_every_value_is_above_1(tmp_path: Path, plain: Table) -> None:
    table = table_of(tmp_path, in_percent())
    assert table.rows == plain.rows
    assert table.remarks == ("Every accuracy is above 1: read as percent.",)
    assert table_of(tmp_path, in_percent(), reading=Reading(percent=True)).remarks == ()


def test_percent_with_a_collapsed_run_needs_to_be_told(tmp_path: Path) -> None:
    text = in_percent().replace("93.26", "0.97")
    with pytest.raises(StudyError, match=r"line 2: accuracy is a fraction; 94.12 looks like percent.*--percent"):
        table_of(tmp_path, text)
    assert table_of(tmp_path, text, reading=Reading(percent=True)).rows[-1].accuracy == 0.0097
    with pytest.raises(StudyError, match="has percent signs, but was said to be fractions"):
        table_of(tmp_path, in_percent("%"), reading=Reading(percent=False))
    with pytest.raises(StudyError, match="line 10: accuracy has no percent sign, but other rows have one"):
        table_of(tmp_path, in_percent("%").replace("93.26%", "93.26"))
    with pytest.raises(StudyError, match=r"line 2: accuracy is in percent; 194\.12 is above 100"):
        table_of(tmp_path, in_percent("%").replace("94.12", "194.12"))


def test_capitals_are_read_with_a_remark_and_two_spellings_are_refused(tmp_path: Path, plain: Table) -> None:
    text = "\n".join(FULL).replace("dense", "Dense").replace("clean", "Clean").replace("method,check", "Method,CHECK")
    table = table_of(tmp_path, text)
    assert table.rows == plain.rows
    assert table.remarks == ("The method 'Dense' was read as 'dense'.", "The check 'Clean' was read as 'clean'.")
    with pytest.raises(StudyError, match=r"method is spelled 'Dense' and 'dense'\. Write 'dense' in every"):
        table_of(tmp_path, "\n".join(FULL).replace("dense", "Dense", 1))


def test_a_repeated_column_is_refused(tmp_path: Path) -> None:
    lines = [f"{line},0.1" for line in FULL]
    for again in ("accuracy", " Accuracy", "accuracy (%)"):
        lines[0] = f"{FULL[0]},{again}"
        with pytest.raises(StudyError, match=r"results.csv: two columns are called .*: delete or rename one"):
            table_of(tmp_path, "\n".join(lines))
    with pytest.raises(StudyError, match=r"^row 1: two columns are called 'seed'"):
        read_table([{"seed": 1, "Seed": 2}])


def test_columns_that_are_missing_name_the_remedy(tmp_path: Path, plain: Table) -> None:
    without = [line.rsplit(",", 1)[0] for line in FULL]
    with pytest.raises(StudyError, match=r"no column 'n_test'\. Add the number of test examples, or give it: --n-test"):
        table_of(tmp_path, "\n".join(without))
    assert table_of(tmp_path, "\n".join(without), reading=Reading(n_test=10_000)).rows == plain.rows
    with pytest.raises(StudyError, match="n_test 0 must be at least 1"):
        table_of(tmp_path, "\n".join(without), reading=Reading(n_test=0))
    no_seed = [",".join([*line.split(",")[:3], *line.split(",")[4:]]) for line in FULL]
    with pytest.raises(StudyError, match=r"no column 'seed'\. Number the runs of every arm; or give columns mean, std"):
        table_of(tmp_path, "\n".join(no_seed))
    arms = [",".join([line.split(",")[0], *line.split(",")[2:]]) for line in FULL[:7]]
    table = table_of(tmp_path, "\n".join(arms))
    assert {row.check for row in table.rows} == {"clean"}
    assert table.remarks == ("There is no column 'check': every row was taken for a clean arm.",)


def test_dense_has_no_checks(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="line 2: the unpruned network 'dense' has no check 'shuffled'"):
        table_of(tmp_path, "\n".join(FULL).replace("dense,clean", "dense,shuffled", 1))


def test_unpruned_networks_of_other_names_are_left_out_with_a_remark(tmp_path: Path, plain: Table) -> None:
    table = table_of(tmp_path, "\n".join(FULL).replace("dense", "unpruned"))
    assert table.rows == plain.rows[3:]
    assert table.remarks == (
        "Not judged: 3 rows without a sparsity (unpruned). "
        "The unpruned network is read where its method is called 'dense'.",
    )


@pytest.mark.parametrize(
    ("column", "value", "chance"), [("classes", "10", 0.1), ("chance", "0.1", 0.1), ("chance", "10%", 0.1)]
)
def test_chance_may_stand_in_a_column(tmp_path: Path, column: str, value: str, chance: float) -> None:
    head = f"{FULL[0]},{column}"
    assert table_of(tmp_path, "\n".join([head, *(f"{line},{value}" for line in FULL[1:])])).chance == chance
    assert table_of(tmp_path, "\n".join([head, *(f"{line}," for line in FULL[1:])])).chance is None
    other = "5" if column == "classes" else "0.2"
    with pytest.raises(StudyError, match=r"line 3: chance accuracy differs from .*line 2"):
        table_of(tmp_path, "\n".join([head, f"{FULL[1]},{value}", f"{FULL[2]},{other}"]))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"PK\x03\x04....", "a workbook or another archive: save the table as CSV"),
        (b"PAR1....", "a Parquet file: read it with pandas or polars"),
        (b"\x1f\x8b....", "compressed: unpack it first"),
        ("méthode".encode("latin-1"), "not UTF-8 text: save the table as CSV"),
        ("method,check".encode("utf-16-le"), "null characters"),
    ],
)
def test_files_that_are_no_text_name_the_remedy(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "results.csv").write_bytes(content)
    with pytest.raises(StudyError, match=says):
        read_table(tmp_path / "results.csv")


class Pandas:
    """What a DataFrame of pandas answers to, as far as it is asked."""

    def __init__(self, records: list[dict[str, object]], index: str | None = None) -> None:
        self.columns = [c for c in records[0] if c != index]
        self.index = SimpleNamespace(names=[index])
        self._records = records

    def reset_index(self) -> Pandas:
        return Pandas(self._records)

    def to_dict(self, kind: str) -> list[dict[str, object]]:
        assert kind == "records"
        return [{c: record[c] for c in self.columns} for record in self._records]


def records_of(rows: tuple[Row, ...]) -> list[dict[str, object]]:
    """As a DataFrame holds them: seeds are floats, nothing is NaN."""
    nan = float("nan")
    return [
        values(
            method=r.method, check=r.check, sparsity=nan if r.sparsity is None else r.sparsity,
            seed=float(r.seed), accuracy=np.float64(r.accuracy), n_test=float(r.n_test),
        )
        for r in rows
    ]  # fmt: skip


def test_frames_and_columns_are_read_as_rows(plain: Table) -> None:
    records = records_of(plain.rows)
    assert read_table(records).rows == plain.rows
    assert read_table(Pandas(records)).rows == plain.rows
    assert read_table(Pandas(records, index="seed")).rows == plain.rows
    assert read_table(SimpleNamespace(to_dicts=lambda: records)).rows == plain.rows
    assert read_table(SimpleNamespace(to_pylist=lambda: records)).rows == plain.rows
    assert read_table({c: [record[c] for record in records] for c in records[0]}).rows == plain.rows
    with pytest.raises(StudyError, match="a dict of columns needs a list for every column, all of one length"):
        read_table({"method": ["snip"], "seed": [1, 2]})
    with pytest.raises(StudyError, match="a path, a DataFrame or rows as dicts, not as int"):
        read_table(3)
    twice = Pandas(records)
    twice.columns.append("seed")
    with pytest.raises(StudyError, match="the DataFrame has two columns called 'seed'"):
        read_table(twice)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_real_frames_are_read(plain: Table, library: str) -> None:
    frames = pytest.importorskip(library)
    assert read_table(frames.DataFrame(records_of(plain.rows))).rows == plain.rows


def test_seeds_of_many_digits_stay_apart() -> None:
    seeds = [2**63 - 1, 2**63 - 2, 2**53 + 1]
    rows = read_rows([values(seed=seed) for seed in seeds])
    assert sorted(row.seed for row in rows) == sorted(seeds)
    with pytest.raises(StudyError, match="seed 1e999999999 is not a whole number"):
        read_rows([values(seed="1e999999999")])


def test_names_are_safe_to_print() -> None:
    assert str(Row("sn\x1b[31mip", "clean", None, 3, 0.5, 10)) == "sn\ufffd[31mip x clean, seed 3"


@given(st.permutations(range(8)), st.lists(st.integers(0, 7), max_size=5))
def test_order_and_duplicates_change_nothing(order: list[int], again: list[int]) -> None:
    rows = [Row("m", check, k, s, 0.5, 10) for check in ("clean", "x") for k in (0.9, 0.5) for s in (0, 1)]
    shuffled = [("here", rows[i]) for i in [*order, *again]]
    assert unique(shuffled) == tuple(sorted(rows, key=lambda row: row.place))


def test_another_unpruned_network_is_context_and_no_party() -> None:
    row = {"method": "snip", "check": "clean", "sparsity": 0.9, "seed": 0, "accuracy": 0.9, "n_test": 100}
    longer = {**row, "method": "dense_2x", "sparsity": None}
    assert read_rows([row, longer]) == read_rows([row])
