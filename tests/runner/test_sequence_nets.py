"""Studies of networks with attention and recurrent layers: prunable on request, else reported as dense."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from safetensors.torch import load

from prunecheck.errors import StudyError
from prunecheck.runner.progress import Progress
from prunecheck.runner.study_run import run_study
from prunecheck.store import Store
from prunecheck.study import make_plan
from tests import sequence_nets

from . import tiny

ALSO = ["attention", "recurrent"]
EVERYTHING: dict[str, Any] = {
    "methods": ["snip", "random_ticket", "lr_rewinding", {"name": "imp", "rounds": 2}],
    "checks": ["corrupted_data", "layerwise_rearrange", "layerwise_weight_shuffle", "reinit", "invert"],
    "training": {"epochs": 2, "rewind_epoch": 1, "batch_size": 30},
}


@pytest.mark.parametrize("net", ["lstm", "transformer"])
def test_every_kind_of_check_runs_and_pruned_weights_stay_zero(net: str, tmp_path: Path) -> None:
    model = f"tests.sequence_nets:{net}"
    results = tiny.run(tmp_path, model=model, also_prune=ALSO, backend="sparse", **EVERYTHING)
    store = Store.open(tmp_path / "store")
    added = sequence_nets.RECURRENT if net == "lstm" else [sequence_nets.IN_PROJECTION]
    pruned = [arm for arm in results.plan.arms if arm.mask]
    assert {arm.check for arm in pruned} >= set(EVERYTHING["checks"])
    for arm in pruned:
        assert arm.mask is not None
        masks = load(store.read(arm.mask, "masks.safetensors"))
        final = load(store.read(arm.train, "final.safetensors"))
        assert set(added) < masks.keys()
        assert all(not final[name][~mask].any() for name, mask in masks.items())
        weights = sum(mask.numel() for mask in masks.values())
        assert sum(int(mask.sum()) for mask in masks.values()) == round(weights * 0.2)
        assert arm.check == "identity" or any(0 < int(masks[name].sum()) < masks[name].numel() for name in added)
    assert not [note for note in results.verdict.notes if "stay dense" in note]


def test_run_and_report_say_what_stays_dense(tmp_path: Path) -> None:
    console = Console(file=io.StringIO(), width=1000)
    study = tiny.study(model="tests.sequence_nets:transformer")
    results = run_study(study, tiny.place(tmp_path), 1, Progress(console))
    assert isinstance(console.file, io.StringIO)
    assert "parameters stay dense" in console.file.getvalue()
    (note,) = [note for note in results.verdict.notes if "stay dense" in note]
    every = sum(parameter.numel() for parameter in sequence_nets.transformer().parameters())
    masked = results.rows[-1]["weights"]
    assert note.startswith(f"{100 * (1 - masked / every):.2f}% of the {every:,} parameters stay dense")
    assert f"A sparsity of 80% removes {80 * masked / every:.2f}% of all parameters." in note
    assert 'also_prune = ["attention"] prunes them too.' in note
    assert "stay dense" in results.page.read_text(encoding="utf-8")


def test_option_enters_no_key_of_what_is_trained_dense_and_none_where_it_is_left_out() -> None:
    model = "tests.sequence_nets:lstm"
    bare, empty, also = (
        make_plan(tiny.study(model=model, methods=["snip", "lr_rewinding"], **more))
        for more in ({}, {"also_prune": []}, {"also_prune": ["recurrent"]})
    )
    assert bare.steps.keys() == empty.steps.keys()
    shared = {step.kind for key, step in also.steps.items() if key in bare.steps}
    assert shared == {"pretrain"}
    both = (tiny.study(model=model, also_prune=order) for order in (ALSO, ALSO[::-1]))
    assert len({tuple(make_plan(study).steps) for study in both}) == 1


def test_unknown_kind_and_presets_are_refused_with_the_field() -> None:
    with pytest.raises(StudyError, match="also_prune"):
        tiny.study(also_prune=["attenton"])
    with pytest.raises(StudyError, match=r"also_prune = .*preset = 'official'"):
        tiny.study(also_prune=["attention"], preset="official")


def test_scores_of_one_seed_do_not_depend_on_the_second_list_of_weights(tmp_path: Path) -> None:
    """A recurrent module keeps its weights in a list of its own as well: the trained values must be in both."""
    results = tiny.run(tmp_path, model="tests.sequence_nets:gru", also_prune=["recurrent"])
    arm = next(arm for arm in results.plan.arms if arm.mask)
    final = load(Store.open(tmp_path / "store").read(arm.train, "final.safetensors"))
    net = sequence_nets.gru()
    net.load_state_dict(final)
    assert all(torch.equal(getattr(net.rnn, name), final[f"rnn.{name}"]) for name in net.rnn._flat_weights_names)
