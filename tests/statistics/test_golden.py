"""One study with everything in it, word for word and digit for digit.

A changed line in ``golden_verdicts.json`` is a changed verdict: a decision, not an accident. To write it anew after
such a decision: ``python -m tests.statistics.test_golden``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from prunecheck.statistics import Row, Settings, judge, junit, next_look, open_checks
from tests.statistics.makers import arm, clean, dense, hurt

GOLDEN = Path(__file__).with_name("golden_verdicts.json")
WILD = (1.0, -0.6, 0.2, 1.8, -0.9, 0.4, 1.1, -0.3, 0.7, 0.0)


def rows(seeds: int) -> list[Row]:
    """Three methods, the controls, gates of every kind."""
    made = dense(94.0, 93.8, 94.1)
    for method in ("snip", "lr_rewinding", "random_ticket"):
        for sparsity in (0.9, 0.98):
            made += clean(method, sparsity, seeds)
    for k, sparsity in enumerate((0.9, 0.98)):
        made += hurt("lr_rewinding", "labels", 4.0 - 1.9 * k, sparsity, seeds)
        made += hurt("lr_rewinding", "pixels", 5.0, sparsity, seeds)
        made += hurt("lr_rewinding", "planted_0.25", 0.5 * k, sparsity, seeds)
        made += hurt("lr_rewinding", "planted_1", 1.0 + k, sparsity, seeds)
        made += hurt("random_ticket", "layerwise_rearrange", 0.02 * k, sparsity, seeds)
        made += hurt("snip", "labels", 0.05 * k, sparsity, seeds)
        made += arm("snip", "identity", sparsity, [90.0] * seeds)
        made += arm("snip", "pixels", sparsity, [90 - (k + 1) * d for d in WILD[:seeds]])
    made += hurt("snip", "collapsing", 0.1, 0.9, seeds)
    made += arm("snip", "collapsing", 0.98, [10.0] * seeds)
    made += hurt("snip", "shaky", 0.1, 0.9, seeds)
    made += arm("snip", "shaky", 0.98, [10.0, 90.0] + [90.0] * (seeds - 2))
    made += arm("snip", "unequal", 0.9, [90.0] * seeds, kept=10)
    made = [row if row.check != "clean" else Row(**{**row.__dict__, "kept": 20}) for row in made]
    made += hurt("snip", "partial", 3.0, 0.9, seeds + 2)
    return made + arm("snip", "odd", 0.9, [91.5, 91.4, 91.6, 91.5][:seeds], diverged=True, overlap=0.999)


def said() -> dict[str, Any]:
    """Everything, at every number of seeds that matters, and under other settings."""
    found: dict[str, Any] = {}
    for seeds in (3, 5):
        found[f"{seeds} seeds"] = _plain(judge(rows(seeds), study="golden", settings=Settings(chance=0.1)))
    fixed = Settings(chance=0.1, fixed_n=True, margin=0.4, margin_was=0.8, family="study", cap_d0=1.0)
    found["fixed"] = _plain(judge(rows(4), settings=fixed))
    short = Settings(chance=0.1, max_seeds=5, alpha=0.1, required_checks=("labels", "other"), positive_control=None)
    found["short"] = _plain(judge(rows(5), settings=short))
    odd = judge([*rows(5), *clean("random_ticket", 0.5), *hurt("random_ticket", "aa", 3.0, 0.5)], settings=Settings())
    found["invalid"] = _plain(odd)
    found["junit"] = junit(odd).splitlines()
    found["next look"] = [next_look(n, short) for n in range(7)]
    return found


def _plain(verdict: Any) -> Any:
    return _rounded({**verdict.to_dict(), "open": sorted(open_checks(verdict))})


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    return [_rounded(one) for one in value] if isinstance(value, (list, tuple)) else value


def _close(found: Any, golden: Any, where: str = "") -> None:
    if isinstance(golden, dict):
        assert isinstance(found, dict), where
        assert list(found) == list(golden), where
        for key in golden:
            _close(found[key], golden[key], f"{where}/{key}")
    elif isinstance(golden, list):
        assert isinstance(found, list), where
        assert len(found) == len(golden), where
        for number, (one, other) in enumerate(zip(found, golden, strict=True)):
            _close(one, other, f"{where}/{number}")
    elif isinstance(golden, float):
        assert isinstance(found, float), where
        assert abs(found - golden) <= 2e-5 * abs(golden) + 1e-9, where
    else:
        assert found == golden, where


def test_nothing_has_changed() -> None:
    _close(said(), json.loads(GOLDEN.read_text(encoding="utf-8")))


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(said(), indent=1) + "\n", encoding="utf-8")
