"""The page: one HTML file that needs nothing else, with its own style and script allowed by hash and nothing more."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunecheck.reporting import charts, figures, margins, sections, views
from prunecheck.reporting.accuracy_lanes import accuracy_lanes
from prunecheck.reporting.answers import answers, general_notes, opponents, study_remarks
from prunecheck.reporting.check_names import PLAIN, check_name
from prunecheck.reporting.data import ReportData
from prunecheck.reporting.export import csv_columns, results_csv, verdicts_document
from prunecheck.reporting.markdown import markdown
from prunecheck.reporting.strips import ruler
from prunecheck.reporting.summary import arms, order
from prunecheck.reporting.text import STYLES, effect, minus
from prunecheck.statistics.outcome import SYMBOLS, controls_sentence, headline, interval_name, intervals_sentence
from prunecheck.statistics.rows import METRIC_NAMES, unit, unit_name
from prunecheck.store.durable import plainly, write_file
from prunecheck.text import points, printable, printable_lines

if TYPE_CHECKING:
    from jinja2 import Environment


MACHINE_PAIRS = 5_000
"""pairs of runs up to which the page holds the verdict for machines too"""


def write(data: ReportData, folder: Path) -> Path:
    """Write index.html, report.md, results.csv and verdicts.json into *folder* (made if missing); the page's path.

    Raises StoreError where the disk refuses; a file that was there before is then still whole.
    """
    tables = {"results.csv": results_csv(data.rows)}
    return write_files(folder, tables, verdicts_document(data), markdown(data), page(data))


def write_files(
    folder: Path, tables: Mapping[str, str], verdicts: Mapping[str, Any], report: str, document: str
) -> Path:
    """Write *tables* (file name -> CSV), verdicts.json, report.md and index.html; the path of the last. Raises
    StoreError."""
    judged = json.dumps(verdicts, sort_keys=True, indent=2, allow_nan=False) + "\n"
    contents = {**tables, "verdicts.json": judged, "report.md": report, "index.html": document}
    with plainly(folder):
        folder.mkdir(parents=True, exist_ok=True)
    for file, text in contents.items():
        write_file(folder / file, text.encode("utf-8"))
    return folder / "index.html"


def page(data: ReportData) -> str:
    """The whole report as HTML. Equal data gives equal bytes; every text is cleaned and escaped on its way in."""
    template = environment().get_template("page.html.j2")
    return template.render(**page_parts(), data=_markup(_json(data)), **_content(data))


def page_parts() -> dict[str, object]:
    """Style, script and policy of every page."""
    style, script = _asset("page.css"), _asset("page.js")
    return {"style": _markup(style), "script": _markup(script), "policy": policy(style, script)}


def policy(style: str, script: str) -> str:
    """The content security policy: these two blocks, inline images, nothing else from anywhere."""
    return (
        f"default-src 'none'; style-src '{_sha256(style)}'; script-src '{_sha256(script)}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _content(data: ReportData) -> dict[str, object]:
    verdict, known, lines = data.verdict, order(data), arms(data)
    checks = views.check_views(verdict, known, data.check_words)
    return {
        "report": data,
        "verdict": verdict,
        "question": views.question(data, known),
        "facts": views.facts(data, known),
        "procedure": views.procedure(verdict),
        "tally": views.tally(verdict),
        "answers": answers(data),
        "remarks_on_study": study_remarks(data),
        "general_notes": general_notes(verdict),
        "interval": interval_name(verdict),
        "intervals": intervals_sentence(verdict),
        "opponents": opponents(verdict),
        "leads": {(one.first, one.second): one for one in verdict.comparisons},
        "unit": unit(verdict.metric),
        "unit_name": unit_name(verdict.metric),
        "metric_name": METRIC_NAMES[verdict.metric],
        "margins": margins.margin_groups(verdict),
        "margin_ruler": margins.margin_ruler(margins.margin_axis(verdict)),
        "margin_ticks": margins.margin_ticks_sentence(verdict),
        "columns": views.matrix_checks(verdict, known),
        "checks": checks,
        "judged": [m for m in known.methods if any(key[0] == m for key in checks)],
        "controls_sentence": controls_sentence(verdict),
        "command": views.command(data),
        "ruler": ruler(views.axis(verdict)),
        "meanings": views.meanings(verdict),
        "accuracy": accuracy_lanes(lines, known, verdict),
        "accuracy_by_sparsity": charts.draw(figures.clean_accuracy(lines, known, verdict)),
        "dense_sentence": sections.dense_sentence(data),
        "accuracy_table": views.accuracy_table(lines),
        "published": sections.published_table(data, known),
        "sources": sections.published_sources(data),
        "explanation": sections.PUBLISHED_EXPLANATION,
        "certainties": sections.certainties(data),
        "shares": charts.draw(figures.keep_shares(data, known)),
        "layer_tables": views.layer_tables(data, known),
        "overlaps": views.overlap_table(data, known),
        "curves": [(where, charts.draw(one)) for where, one in figures.curves(data, known)],
        "health": sections.health_table(lines),
        "health_sentences": sections.health_sentences(lines),
        "cost": sections.cost_items(data.cost),
        "cost_sentence": sections.cost_sentence(data.cost),
        "raw": views.raw_table(data, csv_columns(data.rows)),
    }


@cache
def environment() -> Environment:
    """The templates of the package: every text that enters a page is cleaned and escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("prunecheck.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )
    made.filters |= {
        "name": printable,
        "svg": _markup,
        "minus": _typographic,
        "lead": margins.lead_sentence,
        "lead_effect": lambda one: effect(headline(one)) or "n/a",
        "plain": check_name,
    }
    made.filters |= {"points": points}
    made.tests |= {"builtin": lambda check: check in PLAIN}
    made.filters |= {"symbol": SYMBOLS.__getitem__, "css": STYLES.__getitem__, "label": _label}
    return made


def _finalize(value: object) -> object:
    """Every text that enters the page passes here, just before it is escaped."""
    return printable_lines(value) if type(value) is str else value


def _typographic(text: object) -> object:
    """Text with typographic minus signs and intervals that no line break divides."""
    from markupsafe import Markup, escape

    safe = str(escape(printable_lines(minus(text))))
    return Markup(re.sub(r"\[[^][\s]+, [^][\s]+\]", r'<span class="bounds">\g<0></span>', safe))


def _markup(text: str) -> object:
    from markupsafe import Markup

    return Markup(text)


def _label(text: str) -> object:
    """A name that may break after its underscores; the breaks are not copied with it."""
    from markupsafe import Markup, escape

    return Markup("_<wbr>").join(escape(part) for part in printable(text).split("_"))


def _asset(file: str) -> str:
    return (files("prunecheck.reporting") / "templates" / file).read_text(encoding="utf-8")


def _sha256(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _json(data: ReportData) -> str:
    """The verdict as JSON; no character of it can end the script block that holds it.

    Empty where it would be a large part of the page: verdicts.json has all of it.
    """
    verdict = data.verdict
    if sum(len(cell.differences) for check in verdict.checks for cell in check.cells) > MACHINE_PAIRS:
        return ""
    text = json.dumps(verdict.to_dict(), sort_keys=True, allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
