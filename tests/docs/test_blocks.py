"""The documentation tells the truth: its Python runs."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.docs.blocks import program, run_page

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", [page for page in PAGES if program(page.read_text()).strip()], ids=lambda p: p.name)
def test_the_python_of_a_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PRUNECHECK_HOME", str(tmp_path / "store"))
    torch.manual_seed(0)
    run_page(page, tmp_path)


PAGE = """# Title
```python
a = 1
```
text
```console
rm -rf /
```
```python no-run
raise SystemExit
```
  ```python
  ```
```python
b = a + 1
c = 1 / 0
```
"""


def test_blocks_share_a_namespace_and_keep_their_lines(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE.replace("1 / 0", "3"))
    names = run_page(page, tmp_path)
    assert (names["a"], names["b"], names["c"]) == (1, 2, 3)
    page.write_text(PAGE)
    with pytest.raises(ZeroDivisionError) as caught:
        run_page(page, tmp_path)
    assert caught.traceback[-1].lineno + 1 == PAGE.splitlines().index("c = 1 / 0") + 1


def test_a_block_without_end_is_an_error() -> None:
    with pytest.raises(ValueError, match="starts in line 2 has no end"):
        program("text\n```python\na = 1\n")
