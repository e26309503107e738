"""How the site is built: ``uv run sphinx-build -W -b html docs site``. Needs no network; every warning is an error."""

from __future__ import annotations

import shutil
from pathlib import Path

from sphinx.application import Sphinx

from prunecheck import __version__

project = "prunecheck"
author = "the prunecheck authors"
version = release = __version__

extensions = ["myst_parser"]
exclude_patterns = ["_reference", "example", "figures"]
source_suffix = {".md": "markdown"}
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
highlight_language = "none"

html_theme = "furo"
html_title = "prunecheck"
html_copy_source = False
html_show_copyright = False
html_static_path = ["_static"]
html_css_files = ["tables.css"]
html_show_sphinx = False


def _copy_example(app: Sphinx, error: Exception | None) -> None:
    """The example report is a page of its own, shown as it is."""
    if error is None and app.builder.format == "html":
        shutil.copytree(Path(__file__).parent / "example", app.outdir / "example", dirs_exist_ok=True)


def setup(app: Sphinx) -> None:
    app.connect("build-finished", _copy_example)
