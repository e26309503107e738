"""The callbacks under the real frameworks, where those are installed:

    uv run --with transformers --with accelerate --with pytorch-lightning==2.5.5 \\
        pytest tests/interop/test_real_trainers.py

(Lightning 2.6.2 and 2.6.3 on the package index were malicious; 2.5.5 is older than both.)
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import prunecheck
from prunecheck.interop import hugging_face_callback, lightning_callback

pytestmark = pytest.mark.filterwarnings("default")  # theirs, not ours


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.last = nn.Linear(20, 64), nn.Linear(64, 5)

    def forward(self, x: Tensor | None = None, labels: Tensor | None = None) -> dict[str, Tensor]:
        assert x is not None
        assert labels is not None
        outputs = self.last(torch.relu(self.hidden(x)))
        return {"loss": F.cross_entropy(outputs, labels), "logits": outputs}


def pruned_net() -> tuple[Net, dict[str, Tensor], Tensor]:
    torch.manual_seed(0)
    net = Net()
    return net, prunecheck.mask("magnitude_init", net, None, 0.9), net.hidden.weight.detach().clone()


def samples() -> list[dict[str, Any]]:
    generator = torch.Generator().manual_seed(0)
    return [{"x": torch.randn(20, generator=generator), "labels": i % 5} for i in range(160)]


def assert_held(net: Net, masks: dict[str, Tensor], before: Tensor) -> None:
    for name, mask in masks.items():
        assert not net.get_parameter(name).detach()[~mask].any(), name
    assert (net.hidden.weight.detach() != before)[masks["hidden.weight"]].any(), "nothing was trained"


def test_hugging_face(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("accelerate")
    net, masks, before = pruned_net()
    arguments = transformers.TrainingArguments(
        output_dir=str(tmp_path),
        num_train_epochs=2,
        per_device_train_batch_size=16,
        learning_rate=1e-2,
        weight_decay=0.1,
        report_to=[],
        save_strategy="no",
        use_cpu=True,
        disable_tqdm=True,
    )
    callbacks = [hugging_face_callback(masks)]
    transformers.Trainer(model=net, args=arguments, train_dataset=samples(), callbacks=callbacks).train()
    assert_held(net, masks, before)


def test_lightning(tmp_path: Path) -> None:
    pl = pytest.importorskip("pytorch_lightning")
    net, masks, before = pruned_net()

    class Module(pl.LightningModule):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def training_step(self, batch: dict[str, Tensor], _: int) -> Tensor:
            return self.net(**batch)["loss"]  # type: ignore[no-any-return]

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)

    trainer = pl.Trainer(
        max_epochs=2,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
        callbacks=[lightning_callback(masks, "net")],
    )
    trainer.fit(Module(), torch.utils.data.DataLoader(samples(), batch_size=16))
    assert_held(net, masks, before)
