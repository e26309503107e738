"""The verdict on a terminal."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest
from rich.console import Console

from prunecheck.reporting.markdown import markdown
from prunecheck.reporting.page import page
from prunecheck.reporting.terminal import print_verdict
from prunecheck.statistics.outcome import StudyVerdict, intervals_sentence
from tests.reporting import sample, test_margins
from tests.reporting.dom import parse
from tests.reporting.payloads import PAYLOADS


def shown(verdict: StudyVerdict, **console: object) -> str:
    out = io.StringIO()
    print_verdict(verdict, Console(file=out, **{"color_system": None, **console}))  # type: ignore[arg-type]
    return out.getvalue()


def test_every_method_check_and_number_is_printed() -> None:
    verdict = sample.verdict()
    text = shown(verdict)
    for method in verdict.methods:
        assert f"{method.method}: {method.verdict.lower()}." in text
    judged = [c for c in verdict.checks if c.control != "aa"]
    assert text.count("does not depend  ") == sum(c.verdict == "DOES NOT DEPEND" for c in judged)
    assert text.count("✓ control ok  ") == len(verdict.checks) - len(judged) == 1
    line = next(line for line in text.splitlines() if line.startswith("lr_rewinding   "))
    assert line.split() == ["lr_rewinding", "random_labels", "●", "depends", "+4.30", "[+4.11,", "+4.49]"]


def test_lines_are_100_columns_wide_off_terminals() -> None:
    longest = max(len(line.rstrip()) for line in shown(sample.verdict(), width=40).splitlines())
    assert 80 < longest <= 100


def test_few_checks_are_printed_as_columns() -> None:
    verdict = sample.verdict()
    two = replace(verdict, checks=tuple(c for c in verdict.checks if c.check in sample.CHECKS[:2]))
    lines = shown(two).splitlines()
    head = next(line for line in lines if line.startswith("method"))
    assert head.split() == ["method", "random_labels", "random_pixels"]


def test_colour_only_on_terminals() -> None:
    coloured = shown(sample.verdict(), color_system="truecolor", force_terminal=True, width=100)
    assert "\x1b[" in coloured
    assert "\x1b" not in shown(sample.verdict())


def test_page_report_and_terminal_explain_intervals_in_the_same_words() -> None:
    made = sample.verdict()
    first = made.checks[0]
    assert first.pooled is not None
    outside = replace(first, pooled=replace(first.pooled, mean_drop=first.pooled.high + 1, high_level=0.05 / 3))
    odd = replace(made, checks=(outside, *made.checks[1:]))
    words = intervals_sentence(odd)
    assert words.startswith("Mean drop in points [90% to 93.3% interval]. Some means lie outside their interval: ")
    data = replace(sample.data(), verdict=odd)
    assert words in " ".join(shown(odd).split())
    assert words in markdown(data)
    assert words in parse(page(data)).by_id("answer").one("caption").text


def test_level_of_leads_is_printed_where_it_is_another() -> None:
    made = test_margins.verdict()
    (lead,) = made.comparisons
    assert lead.pooled is not None
    wider = replace(lead, pooled=replace(lead.pooled, low_level=0.05 / 3))
    assert "Leads: [93.3% interval]." in shown(replace(made, comparisons=(wider,)))
    assert "Leads in points [93.3% interval]." in shown(replace(made, comparisons=(wider,), checks=()))
    assert "Leads" not in shown(made)


def test_only_controls_that_are_not_ok_are_printed_in_full() -> None:
    text = shown(sample.verdict())
    assert "2 of 3 controls ok; identity weak; not run: planted effect." in text
    assert "The same arm twice" in text
    assert "LR rewinding loses" not in text


def test_the_banner_comes_first() -> None:
    text = shown(replace(sample.verdict(), banner="STUDY INVALID."))
    assert text.index("STUDY INVALID.") < text.index("random_ticket")


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS.keys())
def test_escape_sequences_in_names_are_replaced(payload: str) -> None:
    text = shown(sample.hostile(payload).verdict)
    assert not [c for c in text if not c.isprintable() and c != "\n"]


def test_rich_markup_in_a_name_is_printed_literally() -> None:
    assert "[bold red]snip" in shown(sample.hostile("[bold red]").verdict)


def test_first_line_names_what_was_trained() -> None:
    console = Console(file=io.StringIO(), width=100)
    print_verdict(sample.verdict(), console, replace(sample.data(), trained="resnet32 on cifar10, 160 epochs"))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert text.startswith("cifar10-resnet32: resnet32 on cifar10, 160 epochs; margin 0.84 points\n")


def test_at_most_three_remarks_are_printed_and_none_twice() -> None:
    verdict = replace(sample.verdict(), notes=tuple(f"Remark {i}." for i in (1, 1, 2, 3, 4)))
    text = shown(verdict)
    assert text.count("Remark 1.") == 1
    assert text.endswith(
        "The same arm twice is bit-equal at 2 of 3 sparsities that were tried.\nRemark 1.\n"
        "3 more remarks in the report.\n"
    )


def test_remarks_that_stand_on_the_screen_already_are_not_repeated() -> None:
    console = Console(file=io.StringIO(), width=100)
    verdict = replace(sample.verdict(), notes=("Remark 1.", "Remark 2."))
    print_verdict(verdict, console, given=["Remark 1."])
    assert "Remark 1." not in console.file.getvalue()  # type: ignore[attr-defined]
    assert "Remark 2." in console.file.getvalue()  # type: ignore[attr-defined]


def test_leads_come_first_and_accuracies_stand_in_them() -> None:
    console = Console(file=io.StringIO(), width=200)
    judged = test_margins.verdict()
    print_verdict(judged, console, replace(sample.data(), verdict=judged))
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert re.match(
        r"○ snip against random_ticket: not better\. [\d., %and]+ against [\d., %and]+, lead \+0\.20 \[", lines[1]
    )


def test_more_remarks_are_where_the_caller_says() -> None:
    many = replace(sample.verdict(), notes=tuple(f"Remark {i}." for i in range(5)))
    console = Console(file=io.StringIO(), width=100)
    print_verdict(many, console, more="in the report that --out FOLDER writes")
    assert console.file.getvalue().endswith("more remarks in the report that --out FOLDER writes.\n")  # type: ignore[attr-defined]


def test_uninformative_is_explained_where_it_occurs() -> None:
    verdict = sample.verdict()
    assert "could not show a difference" not in shown(verdict)
    first = replace(verdict.checks[0], verdict="UNINFORMATIVE")
    assert "could not show a difference" in shown(replace(verdict, checks=(first, *verdict.checks[1:])))
