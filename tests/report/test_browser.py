"""The page in a real browser. Skipped where there is no Chromium."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from prunecheck.report import write
from tests.report import sample
from tests.report.dom import Node, parse, shape

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-logging=stderr",
    "--virtual-time-budget=2000",
)

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (Debian package: chromium)")


def browse(address: str, scratch: Path, *flags: str) -> tuple[str, str]:
    """The DOM after loading, and what the console said. The profile is new and empty."""
    profile = scratch / "profile"
    shutil.rmtree(profile, ignore_errors=True)
    command = [str(CHROMIUM), *FLAGS, f"--user-data-dir={profile}", *flags, address]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=True, env={**os.environ, "HOME": str(scratch)}
    )
    said = "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)
    return done.stdout, said


def strip_comfort(node: Node) -> Node:
    """The tree without what the script adds: tools, sorting buttons, filters, the tip."""
    node.children = [
        strip_comfort(c)
        for c in node.children
        if c.tag not in {"button", "input", "output"} and c.attributes.get("class") != "tip"
    ]
    return node


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(sample.evidence(), tmp_path_factory.mktemp("report")).parent


def test_the_browser_builds_the_page_we_wrote_and_complains_of_nothing(folder: Path, tmp_path: Path) -> None:
    dom, said = browse((folder / "index.html").as_uri(), tmp_path, "--dump-dom")
    assert said == ""
    written = parse((folder / "index.html").read_text(encoding="utf-8"))
    assert shape(strip_comfort(parse(dom)).one("html")) == shape(written.one("html"))


def test_the_script_adds_its_comforts(folder: Path, tmp_path: Path) -> None:
    tree = parse(browse((folder / "index.html").as_uri(), tmp_path, "--dump-dom")[0])
    assert [b.text for b in tree.one("div", "tools").all("button")] == ["Open all"]
    heads = tree.by_id("masks").one("thead").all("button")
    assert [h.text for h in heads][:3] == ["method", "check", "sparsity"]


def test_a_link_to_a_check_opens_it(folder: Path, tmp_path: Path) -> None:
    tree = parse(browse((folder / "index.html").as_uri() + "#check-3", tmp_path, "--dump-dom")[0])
    assert [d.attributes["id"] for d in tree.all("details", "check") if "open" in d.attributes] == ["check-3"]


def test_hostile_text_runs_nothing(tmp_path: Path) -> None:
    text = "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
    path = write(sample.hostile(text), tmp_path / "report")
    dom, said = browse(path.as_uri(), tmp_path, "--dump-dom")
    assert said == ""
    assert parse(dom).one("title").text.startswith("</script>")


def test_the_policy_stops_what_is_smuggled_in(folder: Path, tmp_path: Path) -> None:
    html = (folder / "index.html").read_text(encoding="utf-8")
    bad = tmp_path / "bad.html"
    bad.write_text(html.replace("</main>", "<script>document.title='owned'</script></main>"), encoding="utf-8")
    dom, said = browse(bad.as_uri(), tmp_path, "--dump-dom")
    assert "owned</title>" not in dom
    assert re.search("Content Security Policy", said)


@pytest.mark.parametrize(
    ("width", "text"),
    [(400, ""), (900, ""), (1400, ""), (400, "long_name_" * 30), (400, "x" * 300)],
    ids=["phone", "tablet", "desk", "long names", "unbroken names"],
)
def test_the_page_does_not_scroll_sideways(tmp_path: Path, width: int, text: str) -> None:
    """The page stands in a frame of the width, since windows have a least one, and reports its own width."""
    path = write(sample.hostile(text) if text else sample.evidence(), tmp_path)
    probe = "<script>parent.postMessage(document.documentElement.scrollWidth + ' of ' + innerWidth, '*')</script>"
    html = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", path.read_text(encoding="utf-8"))
    path.write_text(html.replace("</body>", probe + "</body>"), encoding="utf-8")
    frame = tmp_path / "frame.html"
    listen = "<title></title><script>onmessage = (event) => { document.title = event.data }</script>"
    frame.write_text(f'{listen}<iframe src="index.html" width="{width}" height="800" frameborder="0"></iframe>')
    dom, _ = browse(frame.as_uri(), tmp_path, "--dump-dom", "--hide-scrollbars")
    wide, inner = re.findall(r"<title>(\d+) of (\d+)</title>", dom)[0]
    assert int(inner) == width
    assert int(wide) <= width


def test_tables_sort_by_number_and_checks_filter_by_word(folder: Path, tmp_path: Path) -> None:
    probe = """<script>
      const head = all("#masks thead th")[3]
      const column = () => all("#masks tbody tr").map((row) => row.cells[3].textContent)
      head.firstChild.click(); const up = column(); head.firstChild.click(); const down = column()
      const field = all(".tools input")[0]
      field.value = "grasp inconclusive"; field.dispatchEvent(new Event("input"))
      const shown = all("details.check:not([hidden])").length
      document.title = [up[0], down[0], head.getAttribute("aria-sort"), shown].join(" ")
    </script></body>"""
    html = (folder / "index.html").read_text(encoding="utf-8")
    free = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", html).replace("</body>", probe)
    path = tmp_path / "probe.html"
    path.write_text(free, encoding="utf-8")
    assert "<title>0.180 0.280 descending 1</title>" in browse(path.as_uri(), tmp_path, "--dump-dom")[0]
