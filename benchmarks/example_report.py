"""Make the example again: docs/example/index.html and its picture docs/figures/example-report.png.

``python -m benchmarks.example_report`` runs the shipped demo (minutes; seconds where the store has it), copies its page
and photographs the top of it. Needs Chromium for the picture. ``--chromium PATH`` where it is not on the path.
"""

from __future__ import annotations

import argparse
import io
import shutil
import sys
import tempfile
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"
WIDTH = 1200
MOST_BYTES = 300_000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[1])
    parser.add_argument("--chromium", default=shutil.which("chromium") or shutil.which("google-chrome"))
    chromium = parser.parse_args().chromium
    page = DOCS / "example" / "index.html"
    page.parent.mkdir(exist_ok=True)
    page.write_bytes(demo_page())
    print(f"{page}: {page.stat().st_size:,} bytes")
    if chromium is None:
        print("no Chromium: the picture stays as it is", file=sys.stderr)
        return 1
    picture = DOCS / "figures" / "example-report.png"
    picture.write_bytes(photograph(page, chromium))
    print(f"{picture}: {picture.stat().st_size:,} bytes")
    return 0


def demo_page() -> bytes:
    """The page of the demo as ``prunecheck demo`` writes it."""
    import prunecheck
    from prunecheck.resources import study_path

    with tempfile.TemporaryDirectory() as folder:
        return prunecheck.run(study_path("demo"), folder=folder, command="prunecheck demo").page.read_bytes()


def photograph(page: Path, chromium: str) -> bytes:
    """The page down to the evidence of two methods, light, as a PNG of few colours."""
    from PIL import Image
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        view = browser.new_page(viewport={"width": WIDTH, "height": 900}, color_scheme="light")
        view.goto(page.resolve().as_uri())
        last = view.locator(".group").nth(1).bounding_box()
        assert last is not None, "the page has the evidence of two methods"
        clip = {"x": 0, "y": 0, "width": WIDTH, "height": last["y"] + last["height"] + 24}
        shot = view.screenshot(full_page=True, clip=clip)
        browser.close()
    small = io.BytesIO()
    Image.open(io.BytesIO(shot)).convert("RGB").quantize(128).save(small, "PNG", optimize=True)
    if small.tell() > MOST_BYTES:
        raise SystemExit(f"the picture has {small.tell():,} bytes, more than {MOST_BYTES:,}")
    return small.getvalue()


if __name__ == "__main__":
    sys.exit(main())
