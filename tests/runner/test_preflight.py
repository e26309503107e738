"""What can be seen before the first training is said before the first training, and nothing is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from prunecheck.errors import DataError, InfeasibleError, ModelError, StudyError
from prunecheck.models import build
from prunecheck.runner.preflight import preflight

from . import tiny

NETS = """
    import torch
    from torch import nn

    class Wide(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(64, 7)

        def forward(self, x):
            return self.fc(x.flatten(1))

    class Pair(Wide):
        def forward(self, x):
            return super().forward(x), x

    class Held(Wide):
        def forward(self, x):
            from types import SimpleNamespace
            return SimpleNamespace(logits=super().forward(x))

    class Square(Wide):
        def forward(self, x):
            return self.fc(x.reshape(len(x), 32 * 32))

    class Empty(nn.Module):
        def forward(self, x):
            return x.flatten(1)[:, :10]

    def wide(): return Wide()
    def pair(): return Pair()
    def held(): return Held()
    def square(): return Square()
    def empty(): return Empty()
    def broken(): raise OSError("no weights here")
"""


def refused(error: type[StudyError], **changes: Any) -> str:
    with pytest.raises(error) as caught:
        preflight(tiny.study(**changes))
    message = str(caught.value)
    assert len(message.splitlines()) <= 3
    return message


def test_a_study_that_can_be() -> None:
    net = build("convnet", num_classes=10, in_channels=1, image_size=8)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    size = preflight(tiny.study(methods=["snip", "lr_rewinding", "lottery_ticket"], controls=["identity", "positive"]))
    assert size == sum(tensor.nbytes for tensor in net.state_dict().values())
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    ("factory", "said"),
    [
        ("wide", "gives (2, 7) for 2 images; digits has 10 classes, so it must give (2, 10)"),
        ("pair", "gives tuple for 2 images"),
        ("held", "Wrap it in a module whose forward returns the .logits of that."),
        ("square", "cannot take 1 x 8 x 8 images of digits"),
        ("empty", "no convolution and no linear layer"),
        ("broken", "no weights here"),
    ],
)
def test_networks_that_do_not_fit(factory: str, said: str, tmp_path: Path) -> None:
    nets = tiny.plugin(tmp_path, NETS, f"nets_{factory}.py")
    assert said in refused(ModelError, model=f"{nets}:{factory}")


def test_images_too_small_for_the_network() -> None:
    assert "8 pixels or more, not 4" in refused(ModelError, data={"name": "digits", "size": 4})


def test_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert refused(StudyError, device="cuda") == "device = 'cuda', but torch sees no GPU here. Use device = 'cpu'."


def test_too_sparse_for_an_allocation_names_method_sparsity_and_what_works() -> None:
    said = refused(InfeasibleError, methods=["random_ticket"], sparsities=[0.8, 0.999])
    assert said.startswith("random_ticket at 99.9% on convnet: ")
    assert "largest sparsity that works here is" in said
    said = refused(InfeasibleError, methods=["lottery_ticket"], sparsities=[0.98])
    assert said.startswith("lottery_ticket at 98% on convnet: ")


def test_a_control_is_looked_at_too() -> None:
    said = refused(InfeasibleError, methods=["magnitude_init"], sparsities=[0.999], controls=["aa"])
    assert said.startswith("random_ticket at 99.9%")


def test_too_few_samples_of_a_class() -> None:
    data = {"name": "digits", "train_size": 55, "test_size": 50}
    said = refused(DataError, data=data, scoring={"samples_per_class": 2, "batches": 3})
    assert "scoring needs 6 samples of every class" in said
    assert "has 5. Lower scoring.samples_per_class" in said
    preflight(tiny.study(data=data, scoring={"samples_per_class": 5, "batches": 1}))
    preflight(tiny.study(data=data, scoring={"samples_per_class": 5, "classes": 10}))
    said = refused(StudyError, data=data, scoring={"samples_per_class": 5, "classes": 11})
    assert "scoring.classes = 11, but digits has 10 classes." in said
    preflight(tiny.study(data=data, scoring={"samples_per_class": 50}, methods=["magnitude_init"]))
