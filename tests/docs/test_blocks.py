"""The Python blocks of the documentation run."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.docs.blocks import DOCS, PAGES, blocks, commands, name_of, program, run_page
from tests.docs.walk import SLOW_WALKS, WALKS

WALKED = {DOCS / page for page in (*WALKS, *SLOW_WALKS)}
"""run by test_walks.py, together with their commands"""
RUN = [page for page in PAGES if page not in WALKED and program(page.read_text(encoding="utf-8")).strip()]


@pytest.mark.parametrize("page", RUN, ids=name_of)
def test_python_blocks_of_a_page_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_python_blocks_share_a_namespace_and_line_numbers(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE.replace("1 / 0", "3"))
    names = run_page(page, tmp_path)
    assert (names["a"], names["b"], names["c"]) == (1, 2, 3)
    page.write_text(PAGE)
    with pytest.raises(ZeroDivisionError) as caught:
        run_page(page, tmp_path)
    assert caught.traceback[-1].lineno + 1 == PAGE.splitlines().index("c = 1 / 0") + 1


def test_unclosed_block_raises_with_its_line() -> None:
    with pytest.raises(ValueError, match="starts in line 2 has no end"):
        program("text\n```python\na = 1\n")


def test_block_file_name_and_whether_it_follows_another_block() -> None:
    first, _, second, _, last, _ = blocks("```toml\n# study.toml\nseeds = 3\n```\n" + PAGE.split("\n", 1)[1])
    assert (first.file, second.file, last.kind) == ("study.toml", None, "python")
    shown = list(blocks("```console\nx\n```\n\n```text\ny\n```\nand\n\n```text\nz\n```\n"))
    assert [block.follows for block in shown] == [False, True, False]


def test_commands_of_a_console_block() -> None:
    text = "$ prunecheck plan a.toml   # why\npip install uv\nuv run prunecheck run \\\n    a.toml\n"
    assert commands(text) == ["prunecheck plan a.toml   # why", "prunecheck run      a.toml"]
