"""Verdicts as JUnit XML, for continuous integration: a method is a suite, a check is a test."""

from __future__ import annotations

from xml.etree import ElementTree as Xml

from prunecheck.statistics.outcome import CheckVerdict, StudyVerdict
from prunecheck.text import printable


def junit(verdict: StudyVerdict) -> str:
    """A JUnit document. DOES NOT DEPEND is a failure, an open or uninformative verdict is skipped, an invalid study
    is an error. Comparisons of methods are a suite of their own, in which a method that is not better fails; so are
    controls."""
    root = Xml.Element("testsuites", name=_safe(verdict.study))
    for method in verdict.methods:
        checks = [check for check in verdict.checks if check.method == method.method and _methods_under_test(check)]
        suite = Xml.SubElement(root, "testsuite", name=_safe(method.method))
        for check in checks:
            case = _case(suite, f"{method.method} x {check.check}", method.method, check.sentence)
            if check.verdict == "DOES NOT DEPEND":
                Xml.SubElement(case, "failure", message=_safe(check.sentence))
            elif check.verdict != "DEPENDS":
                Xml.SubElement(case, "skipped", message=_safe(check.sentence))
        _count(suite)
    if verdict.comparisons:
        suite = Xml.SubElement(root, "testsuite", name="comparisons")
        for one in verdict.comparisons:
            case = _case(suite, f"{one.first} against {one.second}", "comparisons", one.sentence)
            if one.verdict in ("NOT BETTER", "WORSE"):
                Xml.SubElement(case, "failure", message=_safe(one.sentence))
            elif one.verdict != "BETTER":
                Xml.SubElement(case, "skipped", message=_safe(one.sentence))
        _count(suite)
    suite = Xml.SubElement(root, "testsuite", name="controls")
    for control in verdict.controls:
        where = "" if control.sparsity is None else f" at {control.sparsity:g}"
        case = _case(suite, f"{control.role}: {control.method} x {control.check}{where}", "controls", control.sentence)
        if control.status == "failed" and control.role != "positive":
            Xml.SubElement(case, "error", message=_safe(control.sentence))
        elif control.status != "ok":
            Xml.SubElement(case, "skipped", message=_safe(control.sentence))
    _count(suite)
    Xml.indent(root)
    return Xml.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _methods_under_test(check: CheckVerdict) -> bool:
    return check.control in (None, "positive")


def _case(suite: Xml.Element, name: str, group: str, sentence: str) -> Xml.Element:
    case = Xml.SubElement(suite, "testcase", name=_safe(name), classname=_safe(group))
    Xml.SubElement(case, "system-out").text = _safe(sentence)
    return case


def _count(suite: Xml.Element) -> None:
    suite.set("tests", str(len(suite.findall("testcase"))))
    for kind, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(kind, str(len(suite.findall(f"testcase/{tag}"))))


def _safe(text: str) -> str:
    """Without the control characters that XML forbids."""
    return printable(text, limit=1000)
