"""The site builds without a warning and without the network, and fails if something is undocumented."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated

import pytest
from cyclopts import App, Parameter
from docs._reference import (
    SECTIONS,
    Undocumented,
    catalogue,
    commands,
    exit_codes,
    files,
    filled,
    plug_ins,
    python_names,
    study_file,
)

import prunecheck
from prunecheck import allocation, check, interop, method
from prunecheck.cli import catalogue as cli_catalogue
from prunecheck.data import DATASETS
from prunecheck.data.catalogue import DataEntry
from prunecheck.pruning.plugins import METHOD_OFFERS
from prunecheck.runner import records
from prunecheck.study import Study
from tests.docs.blocks import DOCS
from tests.runner import tiny

FETCHED = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src", "object": "data"}


class Fetches(HTMLParser):
    """The addresses a browser would fetch to show a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        value = dict(attrs).get(FETCHED.get(tag, ""))
        if value:
            self.found.append(value)


def foreign(page: str) -> list[str]:
    return [address for address in Fetches(page).found if re.match(r"([a-z]+:)?//", address)]


@pytest.fixture
def _path_as_it_was() -> Iterator[None]:
    before = list(sys.path)
    yield
    sys.path[:] = before


@pytest.mark.usefixtures("_path_as_it_was")
@pytest.mark.filterwarnings("ignore")
def test_site_builds_without_warnings_and_external_resources(tmp_path: Path) -> None:
    from sphinx.cmd.build import main

    assert main(["-q", "-W", "-b", "html", "-d", str(tmp_path / "doctrees"), str(DOCS), str(tmp_path / "site")]) == 0
    pages = sorted((tmp_path / "site").rglob("*.html"))
    assert len(pages) > len(list(DOCS.rglob("*.md"))) - 5
    assert {page.name: foreign(page.read_text(encoding="utf-8")) for page in pages} == {page.name: [] for page in pages}
    for style in (tmp_path / "site").rglob("*.css"):
        assert not re.search(r"(@import|url\()\s*['\"]?(https?:)?//", style.read_text(encoding="utf-8")), style.name


def test_external_resources_are_detected() -> None:
    assert foreign('<a href="https://x.org"></a><script src="https://x.org/a.js"></script><link href="//y">') == [
        "https://x.org/a.js",
        "//y",
    ]


def test_generated_parts_equal_the_markers_on_pages() -> None:
    named = re.findall(r"^<!-- generated: ([a-z-]+)", "\n".join(p.read_text() for p in DOCS.rglob("*.md")), re.M)
    assert set(named) == set(SECTIONS)
    with pytest.raises(KeyError):
        filled("<!-- generated: nonsense -->")
    assert "prunecheck cache gc" in filled("# Title\n\n<!-- generated: commands -->\n")


GENERATED = sorted(page for page in DOCS.rglob("*.md") if "<!-- generated: " in page.read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", GENERATED, ids=lambda page: page.relative_to(DOCS).as_posix())
def test_generated_parts_of_pages_are_current(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert filled(text) == text, "write them anew: uv run python -m docs._reference"


def test_a_marker_without_end_does_not_swallow_the_next_part() -> None:
    page = "<!-- generated: environment -->\nmine\n\n<!-- generated: recipes -->\nold\n<!-- end -->\n"
    assert "\nmine\n" in filled(page)
    assert "\nold\n" not in filled(page)
    assert filled(filled("<!-- generated: recipes -->\n")) == filled("<!-- generated: recipes -->\n")


def test_python_names_show_signature_docstring_fields_and_members() -> None:
    text = python_names.markdown("prunecheck.mask", "prunecheck.statistics.outcome.Cell", f"{__name__}.Fetches.feed")
    assert "### `mask`\n\n```python no-run\nmask(\n" in text
    assert "- `differences: dict[str, float]`: seed -> clean minus corrupted, in points" in text
    assert "#### `Fetches.feed`\n\n```python no-run\nfeed(data)\n```" in text
    with pytest.raises(Undocumented, match=r"prunecheck\.nothing does not exist"):
        python_names.markdown("prunecheck.nothing")


def test_result_files_and_columns_are_documented(tmp_path: Path) -> None:
    learned = {"name": "edge_popup", "options": {"mask_epochs": 1}}
    tiny.run(tmp_path, metric="p_correct", methods=["snip", learned])
    named = set(re.findall(r"^\| `([\w.]+)` \|", (DOCS / "reference" / "files.md").read_text(encoding="utf-8"), re.M))
    written = {file.name for file in (tmp_path / "out").iterdir()}
    kept = {records.FAILED, records.MARGIN, records.STUDY, records.VERIFICATION}
    assert written >= {"index.html", "results.csv"}
    assert written | kept <= named
    header = (tmp_path / "out" / "results.csv").read_text(encoding="utf-8").splitlines()[0]
    assert set(header.split(",")) == set(files.written("columns"))


def test_undocumented_command_or_option_is_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    app = App(name="prunecheck")

    def planted(*, twice: Annotated[bool, Parameter(negative="")] = False) -> None:
        """Do something."""

    app.command(planted)
    monkeypatch.setattr(commands, "build", lambda: app)
    with pytest.raises(Undocumented, match="prunecheck planted --twice"):
        commands.markdown()
    planted.__doc__ = "Do something.\n\nParameters\n----------\ntwice\n    Do it again."
    assert "* `--twice`: Do it again." in commands.markdown()
    planted.__doc__ = ""
    with pytest.raises(Undocumented, match="command 'prunecheck planted'"):
        commands.markdown()


def test_undocumented_exit_code_is_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    planted = SimpleNamespace(__name__="PlantedError", __doc__="Planted.", exit_code=99)
    monkeypatch.setattr(exit_codes, "kinds", lambda _error: [planted])
    with pytest.raises(Undocumented, match="exit code 99 of PlantedError"):
        exit_codes.markdown()
    planted.exit_code = 2
    assert "| `PlantedError` | `2` | Planted. |" in exit_codes.markdown()
    planted.__doc__ = ""
    with pytest.raises(Undocumented, match="PlantedError is not documented"):
        exit_codes.markdown()


def test_undocumented_study_field_and_description_without_field_are_detected() -> None:
    schema = Study.model_json_schema()
    schema["$defs"]["CheckChoice"]["properties"]["planted"] = {"type": "integer"}
    with pytest.raises(Undocumented, match=r"checks\.planted"):
        study_file.markdown(schema)
    schema["$defs"]["CheckChoice"]["properties"]["planted"]["description"] = "Now it has one."
    assert "Now it has one." in study_file.markdown(schema)
    del schema["$defs"]["CheckChoice"]["properties"]["dose"]
    with pytest.raises(Undocumented, match=r"checks\.dose, which a study file does not have"):
        study_file.markdown(schema)


PLANT = {
    "methods": lambda summary: method(name="planted_method", summary=summary)(lambda weights: weights),
    "allocations": lambda summary: allocation(name="planted_allocation", summary=summary)(
        lambda layers: dict.fromkeys(layers, 0)
    ),
    "checks": lambda summary: check(at="masks", name="planted_check", summary=summary)(lambda masks: masks),
}


@pytest.mark.parametrize("kind", PLANT)
def test_plugin_without_section_or_summary_is_detected(kind: str) -> None:
    PLANT[kind]("What it does.")
    with pytest.raises(Undocumented, match=rf"{kind}: 'planted_\w+' has no section"):
        catalogue.markdown(kind)
    PLANT[kind]("")
    with pytest.raises(Undocumented, match=rf"{kind}: 'planted_\w+' is not documented"):
        catalogue.markdown(kind)


def test_undocumented_plugin_option_is_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    words = dict.fromkeys(("planted", "half_dataset"), "no word about options")
    monkeypatch.setattr(catalogue, "sections", lambda _page: words | dict.fromkeys(_names("checks"), "`labels_seed`"))
    with pytest.raises(Undocumented, match="option 'which' of 'half_dataset'"):
        catalogue.markdown("checks")


def _names(kind: str) -> list[str]:
    return [name for name, _ in cli_catalogue._entries(kind)]  # type: ignore[arg-type]


def test_undocumented_data_set_is_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DATASETS, "planted", DataEntry("planted", "a planted one", "nowhere"))
    with pytest.raises(Undocumented, match=r"datasets: 'planted' has no section in docs/data-sets\.md"):
        catalogue.markdown("datasets")


def test_undocumented_plugin_parameter_is_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METHOD_OFFERS, "planted", "")
    with pytest.raises(Undocumented, match="offer 'planted'"):
        plug_ins.markdown()


def test_undocumented_environment_variable_is_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "`PRUNECHECK_HOME`" in files.environment()
    monkeypatch.setattr(files, "written", lambda _part: {"PRUNECHECK_DATA": "x", "PRUNECHECK_FAULT": "y"})
    with pytest.raises(Undocumented, match="PRUNECHECK_GPU"):
        files.environment()


def undocumented(names: list[str], text: str) -> list[str]:
    """The public names that no autodoc directive and no code span of the reference mentions."""
    return [name for name in names if not re.search(rf"`(prunecheck\.)?{name}`", text)]


def test_reference_contains_every_public_name() -> None:
    text = "\n".join(page.read_text(encoding="utf-8") for page in (DOCS / "reference").glob("*.md"))
    names = {*prunecheck.__all__, *interop.__all__} - {"__version__"}
    assert undocumented(sorted(names), text) == []
    assert undocumented(["no_such_name"], text) == ["no_such_name"]
