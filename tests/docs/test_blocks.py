"""The documentation tells the truth: its Python runs."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.docs.blocks import DOCS, PAGES, blocks, commands, name_of, program, run_page
from tests.docs.walk import WALKS

WALKED = {DOCS / page for page in WALKS}
"""run by test_walks.py, together with their commands"""
RUN = [page for page in PAGES if page not in WALKED and program(page.read_text(encoding="utf-8")).strip()]


@pytest.mark.parametrize("page", RUN, ids=name_of)
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


def test_a_block_knows_its_file_and_whether_prose_is_before_it() -> None:
    first, _, second, _, last, _ = blocks("```toml\n# study.toml\nseeds = 3\n```\n" + PAGE.split("\n", 1)[1])
    assert (first.file, second.file, last.kind) == ("study.toml", None, "python")
    shown = list(blocks("```console\nx\n```\n\n```text\ny\n```\nand\n\n```text\nz\n```\n"))
    assert [block.follows for block in shown] == [False, True, False]


def test_the_commands_of_a_block() -> None:
    text = "$ prunecheck plan a.toml   # why\npip install uv\nuv run prunecheck run \\\n    a.toml\n"
    assert commands(text) == ["prunecheck plan a.toml   # why", "prunecheck run      a.toml"]
