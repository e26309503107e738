"""Layers of which a mask keeps nothing are named before anything is trained."""

from __future__ import annotations

from prunecheck.runner.empty_layers import methods_with_empty_layers
from prunecheck.study.plan import Arm


class Masks:
    """Mask key -> its empty layers, which the key lists."""

    def mask(self, key: str) -> dict[str, list[str]]:
        return {"empty_layers": key.split()[1:]}


def arm(method: str, seed: int, layers: str, *, check: str = "clean", sparsity: float = 0.9) -> Arm:
    return Arm(method, check, sparsity, seed, "", f"mask {layers}")


def test_methods_are_named_with_the_layers_and_the_share_of_seeds() -> None:
    arms = [
        arm("cut", 0, "conv1"),
        arm("cut", 1, ""),
        arm("cut", 0, "a b c d e", sparsity=0.99),
        arm("cut", 1, "", check="corrupted_data"),
        arm("whole", 0, ""),
        arm("whole", 0, "conv1", check="corrupted_data"),
    ]
    assert methods_with_empty_layers(arms, Masks()) == [  # type: ignore[arg-type]
        "cut at 90% keeps no weight of conv1 (1 of 2 seeds).",
        "cut at 99% keeps no weight of a, b, c and 2 more layers (1 of 1 seed).",
    ]
