"""JUnit XML for continuous integration."""

from __future__ import annotations

from xml.etree import ElementTree as Xml

from prunecheck.statistics import Settings, judge, junit
from tests.statistics.makers import THREE, arm, clean, full, hurt, study

HALF = Settings(margin=0.5, chance=0.1)


def suites(text: str) -> dict[str, Xml.Element]:
    root = Xml.fromstring(text)
    assert root.tag == "testsuites"
    return {suite.attrib["name"]: suite for suite in root}


def counts(suite: Xml.Element) -> tuple[str, ...]:
    return tuple(suite.attrib[key] for key in ("tests", "failures", "errors", "skipped"))


def test_verdicts_become_tests() -> None:
    rows = full(snip=0.0, seeds=10) + clean("half") + hurt("half", "random_labels", 0.5)
    text = junit(judge(rows, study="mine", settings=HALF))
    assert text.startswith("<?xml version='1.0' encoding=")
    assert text.endswith("</testsuites>\n")
    assert Xml.fromstring(text).attrib["name"] == "mine"
    found = suites(text)
    assert list(found) == ["half", "lr_rewinding", "random_ticket", "snip", "comparisons", "controls"]
    assert [case.attrib["name"] for case in found["comparisons"]] == [
        "half against random_ticket",
        "snip against random_ticket",
    ]
    assert counts(found["snip"]) == ("3", "3", "0", "0")
    assert counts(found["lr_rewinding"]) == ("3", "0", "0", "0")
    assert counts(found["random_ticket"]) == ("0", "0", "0", "0")
    assert counts(found["half"]) == ("1", "0", "0", "1")
    assert counts(found["controls"]) == ("4", "0", "0", "0")
    case = found["snip"][1]
    assert case.attrib == {"name": "snip x random_labels", "classname": "snip"}
    failure, said = case.find("failure"), case.find("system-out")
    assert failure is not None
    assert said is not None
    assert failure.attrib["message"] == said.text
    assert failure.attrib["message"].startswith("snip x random_labels: DOES NOT DEPEND.")
    skipped = found["half"][0].find("skipped")
    assert skipped is not None
    assert skipped.attrib["message"].startswith("half x random_labels: INCONCLUSIVE.")
    control = found["controls"][0]
    assert control.attrib == {
        "name": "positive: lr_rewinding x layerwise_rearrange at 0.9",
        "classname": "controls",
    }


def test_controls_that_did_not_work() -> None:
    broken = clean("random_ticket") + hurt("random_ticket", THREE[0], 3.0)
    found = suites(junit(judge(broken, settings=HALF)))
    assert counts(found["controls"]) == ("2", "0", "1", "1")
    error = found["controls"].find("testcase/error")
    assert error is not None
    assert "where by construction there is none" in error.attrib["message"]
    names = [case.attrib["name"] for case in found["controls"]]
    assert names == ["aa: random_ticket x layerwise_rearrange at 0.9", "positive: lr_rewinding x "]
    failed = suites(junit(judge(study({"lr_rewinding": {"a": 0.0}}), settings=HALF)))
    assert counts(failed["controls"]) == ("2", "0", "0", "2")


def test_odd_names_stay_legal_xml() -> None:
    rows = clean("a<b>\x00&") + arm("a<b>\x00&", 'c"\x1b', 0.9, [90.0] * 10)
    found = suites(junit(judge(rows, study="\x07", settings=HALF)))
    assert "a<b>\ufffd&" in found
