"""The report as Markdown. Whatever a name contains, it stays text."""

from __future__ import annotations

import re
from collections.abc import Sequence

from prunecheck.reporting import sections, views
from prunecheck.reporting.answers import answers, clean_accuracies, general_notes, lead_sentence, study_remarks
from prunecheck.reporting.data import ReportData
from prunecheck.reporting.export import verdict_table
from prunecheck.reporting.margins import margin_groups, margin_ticks_sentence
from prunecheck.reporting.summary import arms, order
from prunecheck.reporting.text import CONTROL_ANSWERS, whole
from prunecheck.statistics.outcome import SYMBOLS, StudyVerdict, controls_sentence, intervals_sentence
from prunecheck.text import printable, printable_line


def markdown(data: ReportData) -> str:
    """The report for a pull request: question, answers, verdicts, controls, accuracies, provenance."""
    verdict, known = data.verdict, order(data)
    parts = [f"# {md(printable(data.name))}", md(views.question(data, known))]
    parts.append(" · ".join(f"{term} {md(value)}" for term, value in views.facts(data, known)))
    parts.insert(2, md(f"Trained: {data.trained}.") if data.trained else "")
    if data.unfinished:
        parts.append(f"> {md(data.unfinished)}")
    if verdict.banner:
        parts.append(f"> **A control failed.** {md(verdict.banner)}")
    clean = clean_accuracies(data)
    lines = [
        f"- **{md(printable(one.first))} against {md(printable(one.second))}: {one.verdict.lower()}.** "
        f"{md(lead_sentence(one, clean, verdict.metric))}"
        for one in verdict.comparisons
    ]
    for one in answers(data):
        head = f"**{md(printable(one.method))}{f': {one.verdict.lower()}' if one.verdict else ''}.**"
        numbers = ", ".join(filter(None, (one.accuracy, one.beside)))
        lines.append(" ".join(filter(None, (f"- {head}", md(one.sentence), md(f"{numbers}." if numbers else "")))))
    parts += ["## The answer", "\n".join(lines), md(controls_sentence(verdict))]
    parts += [md(note) for note in study_remarks(data)]
    parts += [md(" ".join([views.procedure(verdict), *general_notes(verdict)]))]
    if verdict.checks:
        parts += ["## Verdicts", md_table(_marked(verdict))]
    parts.append(md(intervals_sentence(verdict)))
    if verdict.checks:
        parts.append("\n".join(f"- {md(c.sentence)}" for c in verdict.checks))
    groups = margin_groups(verdict)
    if groups:
        curves = [
            f"- {md(printable(group.method))}, {md(printable(line.label))}: {md(line.text)}."
            for group in groups
            for line in group.lines
        ]
        parts += ["## The verdict at other margins", md(margin_ticks_sentence(verdict)), "\n".join(curves)]
    controls = [f"- {c.status}: {md(c.sentence)}" for c in verdict.controls]
    parts += ["## Controls", "\n".join(controls)]
    found = arms(data)
    if found:
        parts += ["## Accuracy", *_shown(views.accuracy_table(found)), md(sections.dense_sentence(data))]
    held = sections.published_table(data, known)
    if held is not None:
        parts += ["## Published · reproduction · yours", md(sections.PUBLISHED_EXPLANATION), *_shown(held)]
        said = [*sections.published_sources(data), *sections.certainties(data)]
        parts.append("\n".join(f"- {md(printable(term))}: {md(meaning)}" for term, meaning in said))
    parts += ["## Cost and provenance", md(sections.cost_sentence(data.cost))]
    facts = [*sections.cost_items(data.cost), *sorted(data.provenance.items())]
    if data.command:
        facts.append(("command", data.command))
    parts.append("\n".join(f"- {md(printable(key))}: {md(value)}" for key, value in facts) or "None was given.")
    return "\n\n".join(part for part in parts if part) + "\n"


def markdown_tables(data: ReportData) -> str:
    """The verdicts, the accuracies and the published numbers, each as a table: for a README or a pull request."""
    parts = [
        md_table(_marked(data.verdict)),
        md(intervals_sentence(data.verdict)),
    ]
    lines, held = arms(data), sections.published_table(data, order(data))
    if lines:
        parts += _shown(views.accuracy_table(lines))
    if held is not None:
        parts += _shown(held)
    return "\n\n".join(part for part in parts if part) + "\n"


def _marked(verdict: StudyVerdict) -> list[list[str]]:
    """The verdict table with symbols before the words."""
    words = CONTROL_ANSWERS | {c.verdict.lower(): c.verdict for c in verdict.checks}
    found = {word: SYMBOLS[answer] for word, answer in words.items()}
    head, *body = verdict_table(verdict)
    marked = [
        [row[0], *[f"{found[cell.split('  ')[0]]} {cell}" if cell else "not run" for cell in row[1:]]] for row in body
    ]
    return [head, *marked]


def _shown(table: views.Table) -> list[str]:
    """A table and, where rows are left out, a word about it."""
    rest = f"{whole(table.left_out)} more rows are left out; results.csv has the numbers." if table.left_out else ""
    return [md_table([table.heads, *table.rows]), rest]


def md_table(rows: Sequence[Sequence[str]]) -> str:
    head, *body = [[md(cell) for cell in row] for row in rows]
    lines = [head, ["---"] * len(head), *body]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def md(text: object) -> str:
    """*text* as Markdown prints it: no markup, no link, no mention, no new line."""
    plain = printable_line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    plain = plain.replace("#", "&#35;").replace("://", "&#58;//")
    plain = re.sub(r"([\\`*|~$])", r"\\\1", plain)
    plain = re.sub(r"(?<![^\W_])_|_(?![^\W_])", r"\\_", plain)
    plain = re.sub(r"\](?=[(:\[])", r"\\]", plain).replace("@", "@\N{ZERO WIDTH SPACE}")
    return re.sub(r"^(\s*)([+-]|\d+[.)])(?=\s|$)", r"\1\\\2", plain)
