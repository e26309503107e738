from __future__ import annotations

import csv
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import prunecheck
from prunecheck.errors import StudyError
from prunecheck.interop import read_masks, save_masks, write_arms
from prunecheck.interop.arms import COLUMNS
from prunecheck.pruning import check
from prunecheck.pruning.masks import counts_of
from prunecheck.pruning.patterns import parse_pattern
from prunecheck.pruning.structure import has_pattern
from tests.interop.nets import Net, masks, net, same

CHECKS = ["layerwise_rearrange", "layerwise_weight_shuffle", "reinit"]


def rows(table: Path) -> list[dict[str, str]]:
    with table.open(newline="") as file:
        return list(csv.DictReader(file))


def write(folder: Path, checks: list[str] = CHECKS, seeds: tuple[int, ...] = (0, 1, 2)) -> Path:
    return write_arms(masks(), Net, folder, checks=checks, seeds=seeds, start=net().state_dict(), controls=False)


def test_one_file_and_one_row_per_arm_and_seed(tmp_path: Path) -> None:
    table = write(tmp_path)
    assert tuple(rows(table)[0]) == COLUMNS
    dense, arms = rows(table)[:3], rows(table)[3:]
    assert [(r["method"], r["check"], r["sparsity"], r["seed"], r["file"]) for r in dense] == [
        ("dense", "clean", "", str(seed), "") for seed in range(3)
    ]
    assert [(r["check"], r["seed"], r["file"]) for r in arms] == [
        (arm, str(seed), f"{arm}-seed{seed}.safetensors") for seed in range(3) for arm in ["clean", *CHECKS]
    ]
    assert {(r["method"], r["accuracy"], r["n_test"]) for r in arms} == {("mine", "", "")}
    assert {p.name for p in tmp_path.iterdir()} == {"arms.csv"} | {r["file"] for r in arms}


def structured() -> dict[str, torch.Tensor]:
    return prunecheck.mask("magnitude_init", net(), None, 0.5, pattern="1:2")


def test_rearranged_arms_keep_a_recognised_pattern_and_say_so(tmp_path: Path) -> None:
    checks, pattern = ["layerwise_rearrange", "unstructured_rearrange"], parse_pattern("1:2")
    with pytest.warns(UserWarning, match=r"1:2 in \d of \d layers: layerwise_rearrange keeps this pattern, unstr"):
        write_arms(structured(), Net, tmp_path, checks=checks, seeds=[0])
    kept, lost = (read_masks(tmp_path / f"{check}-seed0.safetensors", net()) for check in checks)
    names = [name for name, mask in structured().items() if has_pattern(mask, pattern)]
    assert names
    assert all(has_pattern(kept[name], pattern) for name in names)
    assert not all(has_pattern(lost[name], pattern) for name in names)
    assert counts_of(kept) == counts_of(lost) == counts_of(structured())


def test_arms_that_keep_no_pattern_need_no_warning(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    write_arms(structured(), Net, tmp_path / "a", checks=["unstructured_rearrange"], seeds=[0])
    write_arms(masks(), Net, tmp_path / "b", checks=["layerwise_rearrange"], seeds=[0])
    assert not recwarn.list


def test_each_arm_is_what_its_check_promises(tmp_path: Path) -> None:
    write(tmp_path)
    start = net().state_dict()
    for seed in range(3):
        assert same(read_masks(tmp_path / f"clean-seed{seed}.safetensors", net()), masks())
        moved = read_masks(tmp_path / f"layerwise_rearrange-seed{seed}.safetensors", net())
        assert counts_of(moved) == counts_of(masks())
        assert not same(moved, masks())
        for name in ("layerwise_weight_shuffle", "reinit"):
            state = load_file(tmp_path / f"{name}-seed{seed}.safetensors")
            net().load_state_dict(state)  # a whole state, ready to start from
            assert torch.equal(state["norm.weight"], start["norm.weight"])
            for layer, mask in masks().items():
                assert not bool(state[layer][~mask].any())
                old, new = start[layer][mask].sort().values, state[layer][mask].sort().values
                assert torch.equal(old, new) is (name == "layerwise_weight_shuffle")


def test_seeds_draw_anew_and_the_same_call_writes_the_same(tmp_path: Path) -> None:
    write(tmp_path / "a"), write(tmp_path / "b", seeds=(2, 1))
    for check_name in CHECKS:
        one, other = (tmp_path / "a" / f"{check_name}-seed{seed}.safetensors" for seed in (0, 1))
        assert one.read_bytes() != other.read_bytes()
        assert other.read_bytes() == (tmp_path / "b" / other.name).read_bytes()


def test_filled_in_table_gives_a_verdict(tmp_path: Path) -> None:
    table = write(tmp_path, ["layerwise_rearrange"], seeds=(0, 1, 2, 3, 4))
    with pytest.raises(StudyError, match=r"arms.csv, line 2: accuracy is empty"):
        prunecheck.verdict(table)
    filled = [
        {**row, "n_test": "10000", "accuracy": str(0.9 + 0.001 * int(row["seed"]) - 0.1 * (row["check"] != "clean"))}
        for row in rows(table)
    ]
    answer = prunecheck.verdict(filled, margin=0.5)
    assert [(c.method, c.check, c.verdict) for c in answer.checks] == [("mine", "layerwise_rearrange", "DEPENDS")]


def test_a_file_for_every_seed(tmp_path: Path) -> None:
    for seed in (3, 4):
        save_masks({n: m.flip(0) if seed == 4 else m for n, m in masks().items()}, tmp_path / f"m{seed}.safetensors")
        save_file(net(seed).state_dict(), tmp_path / f"w{seed}.safetensors")
    write_arms(
        tmp_path / "m{seed}.safetensors",
        Net,
        tmp_path / "arms",
        checks=["layerwise_weight_shuffle"],
        seeds=(3, 4),
        start=str(tmp_path / "w{seed}.safetensors"),
        n_test=100,
        name="my-pruner",
        controls=False,
    )
    flipped = read_masks(tmp_path / "arms" / "clean-seed4.safetensors", net())
    assert torch.equal(flipped["fc.weight"], masks()["fc.weight"].flip(0))
    state = load_file(tmp_path / "arms" / "layerwise_weight_shuffle-seed4.safetensors")
    assert torch.equal(state["norm.weight"], net(4).state_dict()["norm.weight"])
    kept = flipped["fc.weight"]
    assert torch.equal(state["fc.weight"][kept].sort().values, net(4).fc.weight.detach()[kept].sort().values)
    assert {(r["method"], r["n_test"]) for r in rows(tmp_path / "arms" / "arms.csv")} == {
        ("dense", "100"),
        ("my-pruner", "100"),
    }


def test_controls_are_random_masks_with_the_counts_and_patterns_of_the_ticket(tmp_path: Path) -> None:
    table = write_arms(structured(), Net, tmp_path, checks=[], seeds=[0, 1])
    controls = [row for row in rows(table) if row["method"] == "random_ticket"]
    assert [(row["check"], row["seed"]) for row in controls] == [
        (check, seed) for seed in "01" for check in ("clean", "layerwise_rearrange")
    ]
    drawn = [read_masks(tmp_path / row["file"], net()) for row in controls]
    assert all(counts_of(one) == counts_of(structured()) for one in drawn)
    assert all(not same(one, other) for i, one in enumerate(drawn) for other in [structured(), *drawn[:i]])
    pattern = parse_pattern("1:2")
    names = [name for name, mask in structured().items() if has_pattern(mask, pattern)]
    assert all(has_pattern(one[name], pattern) for one in drawn for name in names)


def test_method_called_random_ticket_is_refused_beside_the_controls(tmp_path: Path) -> None:
    how = {"checks": ["layerwise_rearrange"], "seeds": [0], "name": "random_ticket"}
    with pytest.raises(StudyError, match="'random_ticket' is the control"):
        write_arms(masks(), Net, tmp_path, **how)
    write_arms(masks(), Net, tmp_path, **how, controls=False)


def test_a_method_cannot_have_the_name_of_the_unpruned_network(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="'dense' is the unpruned network"):
        write_arms(masks(), Net, tmp_path, checks=["layerwise_rearrange"], seeds=[0], name="dense")


def test_seeds_of_different_sparsity_are_refused(tmp_path: Path) -> None:
    for seed, share in ((0, 0.3), (1, 0.5)):
        save_masks(masks(share=share), tmp_path / f"m{seed}.safetensors")
    with pytest.raises(StudyError, match="must have one sparsity"):
        write_arms(tmp_path / "m{seed}.safetensors", Net, tmp_path, checks=["layerwise_rearrange"], seeds=(0, 1))


@pytest.mark.parametrize(
    ("checks", "message"),
    [
        (["random_labels"], "'random_labels' corrupts the batches a mask is computed from"),
        (["invert"], "'invert' corrupts the scores a mask is computed from"),
        (["reinit"], "'reinit' corrupts the weights the ticket starts from: give them as well"),
        (["layerwise_rearange"], "'layerwise_rearange' is not a check. Did you mean 'layerwise_rearrange'"),
    ],
)
def test_checks_that_need_more_than_a_mask(checks: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=message):
        write_arms(masks(), Net, tmp_path / "arms", checks=checks, seeds=[0])
    assert not (tmp_path / "arms").exists()


def test_invalid_arguments_of_write_arms(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="cannot name a method"):
        write_arms(masks(), Net, tmp_path, checks=["layerwise_rearrange"], seeds=[0], name="=cmd()")
    with pytest.raises(StudyError, match=r"starting weights hold no first.weight of shape \(8, 3, 3, 3\)"):
        write_arms(masks(), Net, tmp_path, checks=["reinit"], seeds=[0], start={})
    with pytest.raises(StudyError, match="have one sparsity; they have none"):
        write_arms(masks(), Net, tmp_path, checks=["layerwise_rearrange"], seeds=[])


def test_checks_that_need_a_study_are_refused(tmp_path: Path) -> None:
    @check(at="masks")
    def knows_classes(masks: dict[str, torch.Tensor], classes: int) -> dict[str, torch.Tensor]:
        return {name: mask.roll(classes) for name, mask in masks.items()}

    with pytest.raises(StudyError, match="'knows_classes' asks for classes, which only a study can offer"):
        write_arms(masks(), Net, tmp_path, checks=["knows_classes"], seeds=[0])
