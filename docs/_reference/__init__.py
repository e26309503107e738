"""The generated parts of the pages: what stands between ``<!-- generated: NAME -->`` and ``<!-- end -->``.

``uv run python -m docs._reference`` writes them anew; a test compares. A command, option, field, method … without
words of its own raises :class:`Undocumented`.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from docs._reference import (
    catalogue,
    commands,
    exit_codes,
    files,
    language_results,
    plug_ins,
    post_training,
    python_names,
    results,
    study_file,
)
from docs._reference.markdown import DOCS, Undocumented

__all__ = ["SECTIONS", "Undocumented", "filled", "write"]

PLACE = re.compile(
    r"^<!-- generated: ([a-z-]+)([\w. ]*) -->$(?:\n(?:(?!<!-- ).*\n)*<!-- end -->$)?", flags=re.MULTILINE
)

SECTIONS: dict[str, Callable[..., str]] = {
    "commands": commands.markdown,
    "exit-codes": exit_codes.markdown,
    "study-file": study_file.markdown,
    "language-study-file": study_file.language_model,
    "choices": catalogue.choices,
    "promises": catalogue.promises,
    "plug-ins": plug_ins.markdown,
    "post-training-methods": post_training.methods,
    "post-training-checks": post_training.checks,
    "post-training-offers": post_training.offers,
    "python": python_names.markdown,
    "results-columns": files.results_columns,
    "environment": files.environment,
    "verdicts": results.verdicts,
    "drops": results.drops,
    "leads": results.leads,
    "accuracies": results.accuracies,
    "overlaps": results.overlaps,
    "language-verdicts": language_results.language_verdicts,
    "language-leads": language_results.language_leads,
    "perplexities": language_results.perplexities,
    "overlap-and-drop": results.overlap_and_drop,
    "connected": results.connected,
    "provenance": results.provenance,
    **{kind: catalogue.writer(kind) for kind in catalogue.KINDS},
}


def filled(page: str) -> str:
    """*page* with all its generated parts. Raises Undocumented, and KeyError for an unknown part."""
    return PLACE.sub(_part, page)


def _part(place: re.Match[str]) -> str:
    name, arguments = place[1], place[2].split()
    return f"<!-- generated: {' '.join([name, *arguments])} -->\n\n{SECTIONS[name](*arguments)}\n\n<!-- end -->"


def write() -> list[str]:
    """Fill every page of docs/; the names of those that changed."""
    changed = []
    for page in sorted(DOCS.rglob("*.md")):
        before = page.read_text(encoding="utf-8")
        after = filled(before)
        if after != before:
            page.write_text(after, encoding="utf-8")
            changed.append(page.relative_to(DOCS).as_posix())
    return changed
