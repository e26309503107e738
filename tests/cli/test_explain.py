from __future__ import annotations

from pathlib import Path

from prunecheck.store import Store
from prunecheck.study import Step, load_study, make_plan
from tests.cli.desk import Desk
from tests.reliability.trial import new_trial


def steps_of(path: Path) -> dict[str, Step]:
    return {step.kind: step for step in make_plan(load_study(path)).steps.values()}


def test_before_and_after_a_run(desk: Desk, tmp_path: Path) -> None:
    path = new_trial(tmp_path / "trial", ("snip",)) / "s.toml"
    steps = steps_of(path)
    train, pretrain = steps["train"], steps["pretrain"]
    said = desk("explain", train.key[:16], path)
    assert said.code == 0
    assert said.out.startswith(f"train {train.key[:16]} ({train.title}) will run: it is not in the store; its input ")
    assert len(said.out.splitlines()) == 1
    assert desk("explain", pretrain.key, path).out.endswith("will run: it is not in the store.\n")
    assert desk("explain", train.key[:16]).code == 2

    assert desk("run", path, "--workers", 1).code == 0
    assert desk("explain", train.key[:16], path).out.endswith("is in the store and will not run again.\n")
    assert "final.safetensors (" in desk("explain", train.key[:16]).out
    Store.open(tmp_path / "store").drop(train.key)
    assert "(masks) are there" in desk("explain", train.key[:16], path).out


def test_a_key_must_be_one(desk: Desk, tmp_path: Path) -> None:
    path = new_trial(tmp_path / "trial") / "s.toml"
    for digits in ("zz", "\x1b[2J", "f" * 64):
        said = desk("explain", digits, path)
        assert said.code == 2
        assert "no step of" in said.err
        assert "\x1b" not in said.err
    digits = [key[0] for key in make_plan(load_study(path)).steps]
    twice = next(digit for digit in digits if digits.count(digit) > 1)
    assert "Give more digits" in desk("explain", twice, path).err
    assert desk("explain", "", path).code == 2
