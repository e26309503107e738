"""Makes presets.json by running the published codes themselves; not part of the tests.

    python -m tests.pruning.golden.make_golden FOLDER

FOLDER holds checkouts named as the repositories (commits below). Nothing of them is copied: their pruning functions are
imported with ``.cuda()`` taken out, and packages that they import without need are replaced by dummies.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
import tempfile
import types
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import torch
from torch import nn

from prunecheck.pruning.layers import layers_of, weights_of
from prunecheck.pruning.seeds import torch_stream
from tests.pruning.golden.small_net import CLASSES, PER_CLASS, batch, packed, small_net

COMMITS = {
    "sanity-checking-pruning": "65aa26727794102b07c7f244e0e4319f3a9c35c9",
    "GraSP": "f17d87ac537bfce476ac2424171a8b6eb56499db",
    "snip": "883c8050d88554a8d85083013d7d1ddd7ead54c4",
    "Synaptic-Flow": "9dfa57aa4012c34028ee646d367f18e32f0e3bc7",
    "open_lth": "2ce732fe48abd5a80c10a153c45d397b048e980c",
    "shrinkbench": "b24497451b6815a4dbdf2ded7b10c264805e772b",
    "rewinding-iclr20-public": "273e67d8b4f99d973083495c8a617758e1f9b60a",
}
SPARSITIES = (0.3, 0.5, 0.9, 0.95)
REDRAWN = "redrawn for scoring"


def module_of(source: str, name: str) -> Any:
    """Published source as a module, ``.cuda()`` taken out."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.py"
        path.write_text(source.replace(".cuda()", ""), encoding="utf-8")
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return module


def module_at(path: Path, name: str) -> Any:
    return module_of(path.read_text(encoding="utf-8"), name)


def by_name(net: nn.Module, masks: Any) -> dict[str, Any]:
    """Their ``{module: mask}`` or ``[mask]`` as ``{parameter name: mask}``."""
    names = [layer.name for layer in layers_of(net)]
    values = list(masks.values()) if isinstance(masks, dict) else list(masks)
    return dict(zip(names, values, strict=True))


def sampled_loader() -> list[Any]:
    """Their sampler counts a class as full when it meets one sample too many, so there is one of each at the end."""
    inputs, targets = batch()
    return [(inputs, targets), (inputs[::PER_CLASS], targets[::PER_CLASS])]


def of_su(folder: Path, sparsity: float) -> dict[str, Any]:
    pruner = folder / "sanity-checking-pruning" / "pruner"
    nn.init.xavier_normal = nn.init.xavier_normal_
    net = small_net()
    found = {
        "snip": by_name(
            net,
            module_at(pruner / "SNIP.py", "su_snip").SNIP(net, sparsity, sampled_loader(), "cpu", CLASSES, PER_CLASS),
        )
    }
    with torch_stream(0, REDRAWN):
        grasp = module_at(pruner / "GraSP.py", "su_grasp").GraSP(
            net, sparsity, sampled_loader(), "cpu", CLASSES, PER_CLASS
        )
    found["grasp"] = by_name(net, grasp)
    if sparsity <= 0.5:  # sparser than that the linear layers, whole or at 0.3, are too large for both
        found["lottery_ticket"] = lottery_ticket(folder, sparsity)
        found["hybrid_ticket"] = by_name(net, smart_ratio(folder, net, sparsity, "resnet", hybrid=1))
    return found


def lottery_ticket(folder: Path, sparsity: float) -> dict[str, Any]:
    """LT_prune.py is a script: the part between its two evaluations is run as a function."""
    text = (folder / "sanity-checking-pruning" / "LT_prune.py").read_text(encoding="utf-8")
    part = text[text.index("    #pruning") : text.index("    print('\\nTesting')")]
    code = module_of("import torch\nfrom torch import nn\n\ndef prune(model, args):\n" + part, "su_lt_prune")
    net = small_net()
    code.prune(net, types.SimpleNamespace(prune_ratio=sparsity))
    return {name: (weight != 0) for name, weight in weights_of(net).items()}


def smart_ratio(folder: Path, net: nn.Module, sparsity: float, arch: str, **flags: int) -> Any:
    usual = {"linear_decay": 0, "ascend": 0, "cubic": 0, "uniform": 0, "hybrid": 0}
    args = types.SimpleNamespace(linear_keep_ratio=0.3, init_prune_ratio=sparsity, arch=arch, **{**usual, **flags})
    path = folder / "sanity-checking-pruning" / "pruner" / "SmartRatio.py"
    return module_at(path, "su_smart_ratio").SmartRatio(net, sparsity, "cpu", args)


def ablations(folder: Path) -> dict[str, list[int]]:
    from prunecheck import models

    flags = {"linear": "linear_decay", "cubic": "cubic", "ascending": "ascend", "uniform": "uniform"}
    found = {}
    for name, arch in (("resnet32", "resnet"), ("vgg19", "vgg")):
        with torch_stream(0, "skeleton"):
            net = models.build(name, num_classes=10, in_channels=3, image_size=32)
        for decay, flag in flags.items():
            for sparsity in (0.8, 0.9, 0.98):
                masks = smart_ratio(folder, net, sparsity, arch, **{flag: 1})
                found[f"{name}/{decay}/{sparsity}"] = [int(mask.sum()) for mask in masks]
    return found


def of_grasp(folder: Path, sparsity: float) -> dict[str, Any]:
    net = small_net()
    with torch_stream(0, REDRAWN):
        pruner = module_at(folder / "GraSP" / "pruner" / "GraSP.py", "grasp_grasp")
        return {"grasp": by_name(net, pruner.GraSP(net, sparsity, sampled_loader(), "cpu", CLASSES, PER_CLASS))}


def of_snip(folder: Path, sparsity: float) -> dict[str, Any]:
    """Their networks end in a log-softmax and their loss is the negative log-likelihood."""
    net = small_net()
    net.add_module("log_softmax", nn.LogSoftmax(dim=1))
    with torch_stream(0, REDRAWN):
        masks = module_at(folder / "snip" / "snip.py", "milad_snip").SNIP(net, 1 - sparsity, [batch()], "cpu")
    return {"snip": by_name(net, masks)}


def of_synflow(folder: Path, sparsity: float) -> dict[str, Any]:
    sys.path.insert(0, str(folder / "Synaptic-Flow"))
    sys.modules.setdefault("tqdm", types.SimpleNamespace(tqdm=lambda rounds: rounds))
    layers, generator = importlib.import_module("Layers.layers"), importlib.import_module("Utils.generator")
    pruners, prune = importlib.import_module("Pruners.pruners"), importlib.import_module("prune")
    prune.quit = lambda: None  # it gives up where ties take five weights too many; the mask is there all the same
    found = {}
    for method, pruner, rounds in (
        ("synflow", "SynFlow", 100),
        ("snip", "SNIP", 1),
        ("grasp", "GraSP", 1),
        ("magnitude_init", "Mag", 1),
    ):
        net = small_net(layers=layers)
        chosen = getattr(pruners, pruner)(generator.masked_parameters(net))
        loader = [batch()]
        prune.prune_loop(
            net, nn.CrossEntropyLoss(), chosen, loader, "cpu", 1 - sparsity, "exponential", "global", rounds
        )
        found[method] = {
            n.replace("_mask", ""): b
            for n, b in net.named_buffers()
            if n.split(".")[0] in ("conv1", "conv2", "hidden", "fc") and n.endswith("weight_mask")
        }
    return found


def of_open_lth(folder: Path, sparsity: float) -> dict[str, Any]:
    for name in ("foundations", "models", "models.base", "pruning"):
        sys.modules[name] = MagicMock()
    sys.modules["foundations"].hparams.PruningHparams = object
    sys.modules["pruning"].base.Strategy = object
    stub = types.ModuleType("pruning.mask")

    class Mask(dict):  # type: ignore[type-arg]
        @staticmethod
        def ones_like(model: Any) -> Any:
            return Mask({n: torch.ones_like(model.state_dict()[n]) for n in model.prunable_layer_names})

        def numpy(self) -> dict[str, np.ndarray]:
            return {name: np.asarray(mask) for name, mask in self.items()}

    stub.Mask = Mask  # type: ignore[attr-defined]
    sys.modules["pruning.mask"] = stub
    code = module_at(folder / "open_lth" / "pruning" / "sparse_global.py", "lth_sparse_global")
    net = small_net()
    model = types.SimpleNamespace(prunable_layer_names=[la.name for la in layers_of(net)], state_dict=net.state_dict)
    found = {}
    for method, ignored in (("magnitude_init", None), ("magnitude_init, VGG", "fc.weight")):
        hparams = types.SimpleNamespace(pruning_fraction=sparsity, pruning_layers_to_ignore=ignored)
        masks = code.Strategy.prune(hparams, model)
        found[method] = {la.name: masks[la.name] for la in layers_of(net)}
    return found


def of_shrinkbench(folder: Path, sparsity: float) -> dict[str, Any]:
    for name in ("pandas", "torchvision", "torchvision.models"):
        sys.modules[name] = MagicMock()
    sys.path.insert(0, str(folder))
    strategies = importlib.import_module("shrinkbench.strategies.magnitude")
    found = {}
    for method, strategy in (("magnitude_init", "GlobalMagWeight"), ("snip", "GlobalMagGrad")):
        net = small_net()
        net.fc.is_classifier = True
        pruner = getattr(strategies, strategy)(net, *batch(), compression=1)
        pruner.fraction = 1 - sparsity
        names = {net.get_submodule(la.name.removesuffix(".weight")): la.name for la in layers_of(net)}
        masks = {names[module]: value["weight"] for module, value in pruner.model_masks().items()}
        whole = {la.name: np.ones(la.shape) for la in layers_of(net)}
        found[method] = {la.name: (whole | masks)[la.name] for la in layers_of(net)}
    return found


def of_rewinding(folder: Path, sparsity: float) -> dict[str, Any]:
    path = folder / "rewinding-iclr20-public" / "vision" / "lottery" / "lottery"
    package = types.ModuleType("rewinding")
    package.__path__ = [str(path)]
    sys.modules["rewinding"] = package
    code = importlib.import_module("rewinding.prune_functions")
    weights = {name: weight.numpy() for name, weight in weights_of(small_net()).items()}
    masks = [np.ones_like(weight) for weight in weights.values()]
    code.prune_global_x(list(weights), list(weights.values()), masks, 100 * sparsity)
    return {"magnitude_init": dict(zip(weights, masks, strict=True))}


def of_torch(_folder: Path, sparsity: float) -> dict[str, Any]:
    from torch.nn.utils import prune

    net = small_net()
    modules = [net.get_submodule(la.name.removesuffix(".weight")) for la in layers_of(net)]
    prune.global_unstructured([(module, "weight") for module in modules], prune.L1Unstructured, amount=sparsity)
    return {"magnitude_init": {la.name: m.weight_mask for la, m in zip(layers_of(small_net()), modules, strict=True)}}


CODES = {
    "official": of_su,
    "grasp": of_grasp,
    "snip": of_snip,
    "synflow": of_synflow,
    "open_lth": of_open_lth,
    "shrinkbench": of_shrinkbench,
    "rewinding": of_rewinding,
    "torch": of_torch,
}


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    masks: dict[str, Any] = {}
    for preset, run in CODES.items():
        for sparsity in SPARSITIES:
            for method, mask in run(folder, sparsity).items():
                masks[f"{preset}/{method}/{sparsity}"] = packed(mask)
    made = {
        "made_by": "tests/pruning/golden/make_golden.py, with torch " + torch.__version__,
        "commits": COMMITS,
        "masks": masks,
        "smart_ratio_ablations": ablations(folder),
    }
    target = Path(__file__).with_name("presets.json")
    target.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
