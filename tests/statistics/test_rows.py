"""Reading rows: what people write, and what must be refused, with the line it stands on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunecheck.errors import StudyError
from prunecheck.statistics.rows import Row, read_rows, unique

HEAD = "method,check,sparsity,seed,accuracy,n_test"
CLEAN = "snip,clean,0.98,0,0.9,1000"
LABELS = "snip,random_labels,98%,0,0.85,1000"


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
    assert refused(tmp_path, HEAD, "dense,x,,1,.9,10", "dense,,,1,.8,10").startswith(
        "results.csv, line 3: dense x clean, seed 1 was already"
    )


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("snip,clean,0.98,0,93.4,9", "accuracy is a fraction; 93.4 looks like percent: did you mean 0.934?"),
        ("snip,clean,0.98,0,100,9", "accuracy is a fraction; 100 looks like percent: did you mean 1?"),
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
        ("snip,clean,0.98,0", "accuracy is empty."),
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
    with pytest.raises(StudyError, match=r"nowhere.csv cannot be read: No such file or directory\.$"):
        read_rows(tmp_path / "nowhere.csv")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(StudyError, match=r"binary.csv is not a text file \(UTF-8\): results are read from CSV.$"):
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
