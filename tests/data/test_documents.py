from __future__ import annotations

import json
from pathlib import Path

import pytest

from prunecheck.data.documents import Document, fingerprint, read_documents, refuse_overlap, sample
from prunecheck.errors import DataError, DataMissing

WORDS = [f"word{i}" for i in range(200)]


def text(first: int, last: int) -> str:
    return " ".join(WORDS[first:last])


def test_documents_of_a_folder_in_the_order_of_their_names(tmp_path: Path) -> None:
    (tmp_path / "b.txt").write_text("second")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.jsonl").write_text('{"text": "one"}\n\n{"text": "two"}\n')
    (tmp_path / "c.txt").write_text("  \n")
    (tmp_path / "notes.md").write_text("no document")
    found = read_documents(tmp_path)
    assert [(one.name, one.text) for one in found] == [
        ("a/x.jsonl:1", "one"),
        ("a/x.jsonl:3", "two"),
        ("b.txt", "second"),
    ]


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("before")
    before = fingerprint(read_documents(tmp_path))
    (tmp_path / "a.txt").write_text("afterwards")
    assert fingerprint(read_documents(tmp_path)) != before


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"content": "x"}', "line 1 has no text under 'text'. It has: content"),
        (b'{"text": "x"}\n{"text":', "line 2 is not JSON"),
        (b"\xff\xfe", "is not UTF-8 text (byte 0)"),
    ],
)
def test_what_is_no_text_is_refused_with_file_and_line(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "docs.jsonl").write_bytes(content)
    with pytest.raises(DataError) as error:
        read_documents(tmp_path / "docs.jsonl")
    assert message in str(error.value)


def test_a_missing_place_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "speeches").mkdir()
    with pytest.raises(DataMissing, match="Did you mean 'speeches'"):
        read_documents(tmp_path / "speechs")


def test_sample_depends_on_texts_alone_and_takes_equal_texts_once() -> None:
    every = [Document(str(i), text(i, i + 3)) for i in range(20)]
    again = [Document(f"other {one.name}", one.text) for one in reversed(every)] + every
    assert [one.text for one in sample(every, 5)] == [one.text for one in sample(again, 5)]
    assert len(sample(again, None)) == 20


def test_the_same_document_in_both_parts_is_refused_by_name() -> None:
    with pytest.raises(DataError) as error:
        refuse_overlap([Document("train.txt", "A  short\ntext")], [Document("e.txt", "a short text")])
    assert "'e.txt' is also in data.calibration (train.txt)" in str(error.value)


def test_copied_passages_are_refused_and_quotations_are_not() -> None:
    evaluated = [Document("e.txt", text(0, 100))]
    refuse_overlap([Document("quotes.txt", text(0, 25) + " unlike " + text(100, 200))], evaluated)
    with pytest.raises(DataError, match=r"shares 32% of its sequences of 13 words with other \(copy.txt\)"):
        refuse_overlap([Document("copy.txt", text(60, 100))], evaluated, "other")


def test_jsonl_with_another_field(tmp_path: Path) -> None:
    (tmp_path / "docs.jsonl").write_text(json.dumps({"content": "x y"}))
    assert read_documents(tmp_path / "docs.jsonl", "content")[0].text == "x y"
