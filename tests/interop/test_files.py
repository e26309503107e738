"""Files from anywhere: every format comes back as it went, and none of them runs code."""

from __future__ import annotations

import json
import os
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from prunecheck.errors import StudyError
from prunecheck.interop import files as files_module
from prunecheck.interop import read_masks, save_masks
from prunecheck.interop.files import read_tensors
from tests.interop.nets import masks, net, same, with_prune_buffers, with_zeros


class LeavesTrace:
    """Unpickled carelessly, it leaves a file behind."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.trace),)


def write(path: Path, form: str) -> Path:
    wanted, zeros = masks(), with_zeros(masks()).state_dict()
    if form == "masks.safetensors":
        save_masks(wanted, path)
    elif form == "weights.safetensors":
        save_file(zeros, path)
    elif form == "masks.npz":
        np.savez_compressed(path, **{name: mask.numpy() for name, mask in wanted.items()})
    elif form == "weights.npz":
        np.savez(path, **{name: tensor.numpy() for name, tensor in zeros.items()})
    elif form == "nested.ckpt":
        torch.save({"epoch": 3, "state_dict": with_prune_buffers(wanted).state_dict(), "note": "text"}, path)
    else:
        torch.save(zeros, path)
    return path


FORMS = ["masks.safetensors", "weights.safetensors", "masks.npz", "weights.npz", "nested.ckpt", "plain.pt", "plain.bin"]


@pytest.mark.parametrize("form", FORMS)
def test_every_file_format_round_trips(form: str, tmp_path: Path) -> None:
    assert same(read_masks(write(tmp_path / form, form), net()), masks())
    assert same(read_masks(str(tmp_path / form), net()), masks())


def hostile_pickle(path: Path, trace: Path) -> None:
    path.write_bytes(pickle.dumps({"state_dict": LeavesTrace(trace)}))


def hostile_zip(path: Path, trace: Path) -> None:
    torch.save({"conv.weight": torch.ones(2), "x": LeavesTrace(trace)}, path)


def hostile_legacy(path: Path, trace: Path) -> None:
    torch.save({"x": LeavesTrace(trace)}, path, _use_new_zipfile_serialization=False)


def hostile_npz(path: Path, trace: Path) -> None:
    np.savez(path.with_suffix(".npz"), a=np.array([LeavesTrace(trace)], dtype=object))
    if path.suffix != ".npz":
        path.with_suffix(".npz").rename(path)


@pytest.mark.parametrize("name", ["a.pt", "a.pth", "a.bin", "a.ckpt", "a.safetensors", "a.npz"])
@pytest.mark.parametrize("attack", [hostile_pickle, hostile_zip, hostile_legacy, hostile_npz])
def test_malicious_files_run_no_code(name: str, attack: Any, tmp_path: Path) -> None:
    trace = tmp_path / "it ran"
    attack(tmp_path / name, trace)
    with pytest.raises(StudyError, match=f"{name} "):
        read_masks(tmp_path / name)
    assert not trace.exists()


def test_malicious_files_run_code_in_an_unsafe_reader(tmp_path: Path) -> None:
    hostile_pickle(tmp_path / "a.pt", tmp_path / "it ran")
    pickle.loads((tmp_path / "a.pt").read_bytes())
    assert (tmp_path / "it ran").exists()


def test_a_whole_module_is_refused_with_what_to_do(tmp_path: Path) -> None:
    torch.save(net(), tmp_path / "a.pt")
    with pytest.raises(StudyError, match=r"it could run code\.\nSave model.state_dict\(\) alone"):
        read_masks(tmp_path / "a.pt")


@pytest.mark.parametrize("version", ["2.9.1+cu128", "2.6.0", "1.13.1"])
def test_torch_files_are_not_opened_by_an_older_torch(
    version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save(masks(), tmp_path / "a.pt")
    monkeypatch.setattr(files_module.torch, "__version__", torch.torch_version.TorchVersion(version))
    monkeypatch.setattr(files_module.torch, "load", lambda *_a, **_k: pytest.fail("opened"))
    with pytest.raises(StudyError, match=r"a.pt: such files are read with torch >= 2\.10 only"):
        read_tensors(tmp_path / "a.pt")


def header(fields: dict[str, Any], body: bytes = b"") -> bytes:
    text = json.dumps(fields).encode()
    return struct.pack("<Q", len(text)) + text + body


TORN = {
    "empty": b"",
    "short": b"\x08\x00",
    "huge header": struct.pack("<Q", 2**62) + b"{}",
    "no JSON": struct.pack("<Q", 4) + b"abcd",
    "beyond the end": header({"a.weight": {"dtype": "BOOL", "shape": [2, 2], "data_offsets": [0, 4]}}),
    "wrong size": header({"a.weight": {"dtype": "BOOL", "shape": [2, 3], "data_offsets": [0, 4]}}, b"\x01" * 4),
    "overflowing shape": header(
        {"a.weight": {"dtype": "F64", "shape": [2**40, 2**40], "data_offsets": [0, 4]}}, b"\x01" * 4
    ),
    "nothing in it": header({}),
}


@pytest.mark.parametrize("name", TORN)
@pytest.mark.parametrize("suffix", [".safetensors", ".npz", ".pt"])
def test_incomplete_file_is_refused_in_one_sentence(name: str, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(TORN[name])
    with pytest.raises(StudyError, match=rf"a\{suffix} (is not|is empty|holds)"):
        read_tensors(path)


@pytest.mark.parametrize("form", FORMS)
def test_a_file_cut_anywhere_is_refused(form: str, tmp_path: Path) -> None:
    whole = write(tmp_path / form, form).read_bytes()
    for cut in (1, 10, len(whole) // 2, len(whole) - 1):
        (tmp_path / form).write_bytes(whole[:cut])
        with pytest.raises(StudyError):
            read_tensors(tmp_path / form)


def test_safetensors_of_other_shapes(tmp_path: Path) -> None:
    save_file({**masks(), "fc.weight": torch.ones(5, 9, dtype=torch.bool)}, tmp_path / "a.safetensors")
    with pytest.raises(StudyError, match=r"a.safetensors: the mask of fc.weight has shape \(5, 9\)"):
        read_masks(tmp_path / "a.safetensors", net())


def test_text_in_an_npz_and_lists_in_a_checkpoint(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", a=np.array(["text"]))
    with pytest.raises(StudyError, match="not an npz file of plain numbers"):
        read_tensors(tmp_path / "a.npz")
    torch.save([torch.ones(2)], tmp_path / "a.pt")
    with pytest.raises(StudyError, match="holds a list, not named tensors"):
        read_tensors(tmp_path / "a.pt")
    torch.save({"epoch": 3}, tmp_path / "b.pt")
    with pytest.raises(StudyError, match="holds no tensor"):
        read_tensors(tmp_path / "b.pt")


def test_missing_files_folders_and_other_kinds(tmp_path: Path) -> None:
    (tmp_path / "folder.npz").mkdir()
    for name in ("nothing.pt", "folder.npz"):
        with pytest.raises(StudyError, match=r"does not exist|is a folder, not a file"):
            read_tensors(tmp_path / name)
    with pytest.raises(StudyError, match=r"model.onnx: masks and weights are read from \.safetensors, \.npz, \.pt"):
        read_tensors(tmp_path / "model.onnx")
