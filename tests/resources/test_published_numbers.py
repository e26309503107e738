"""Published numbers: names, ranges, certainty."""

from __future__ import annotations

import subprocess
import sys
from typing import get_args

import pytest

from prunecheck import data, models
from prunecheck.pruning import CHECKS, METHODS
from prunecheck.resources import CERTAINTIES, Certainty, PublishedNumber, all_published_numbers, published_numbers


def of(model: str, data: str, method: str, certainty: str, source: str, check: str = "clean") -> list[float]:
    return [
        n.accuracy
        for n in published_numbers(model, data)
        if (n.method, n.certainty, n.check) == (method, certainty, check) and n.source.startswith(source)
    ]


def test_every_number_names_a_known_model_data_set_method_and_check() -> None:
    assert all_published_numbers()
    for number in all_published_numbers():
        assert number.model in models.MODELS, "canonical, so that it can be found"
        assert number.data in data.names()
        assert number.method in METHODS.names()
        assert number.check == "clean" or number.check in CHECKS.names()
        assert (number.sparsity is None) == (number.method == "dense")
        assert number.sparsity is None or 0 < number.sparsity < 1
        assert number.certainty in CERTAINTIES
        assert number.source
        assert number.setup


def test_accuracies_are_fractions_between_chance_and_one() -> None:
    chance = {"cifar10": 0.1, "cifar100": 0.01, "tiny_imagenet": 0.005}
    assert all(chance[number.data] <= number.accuracy < 1 for number in all_published_numbers())


def test_every_certainty_has_a_meaning() -> None:
    assert tuple(CERTAINTIES) == get_args(Certainty)


def test_a_source_gives_one_number_per_arm() -> None:
    places = [(n.model, n.data, n.method, n.check, n.sparsity, n.source) for n in all_published_numbers()]
    assert len(places) == len(set(places))


@pytest.mark.parametrize(
    ("model", "data", "paper", "reproduced"),
    [
        ("vgg19_bn", "cifar10", [0.9377, 0.9342, 0.9245], [0.9365, 0.9322, 0.9241]),
        ("vgg19_bn", "cifar100", [0.7255, 0.7137, 0.6898], [0.7275, 0.7200, 0.6877]),
        ("resnet32", "cifar10", [0.9297, 0.9160, 0.8910], [0.9284, 0.9164, 0.8868]),
        ("resnet32", "cifar100", [0.6970, 0.6682, 0.6011], [0.6850, 0.6599, 0.5967]),
    ],
)
def test_random_tickets_as_published_and_as_reproduced(
    model: str, data: str, paper: list[float], reproduced: list[float]
) -> None:
    assert of(model, data, "random_ticket", "inferred", "Su") == paper
    assert of(model, data, "random_ticket", "reproduction", "CS-433") == reproduced
    assert max(abs(a - b) for a, b in zip(paper, reproduced, strict=True)) <= 0.0121


def test_numbers_of_papers_are_marked_inferred_or_recalled() -> None:
    """The papers' tables could not be read: their rows are inferred or recalled, and say so."""
    papers = [n for n in all_published_numbers() if not n.source.startswith("CS-433")]
    assert {n.certainty for n in papers} == {"inferred", "recalled"}
    assert {n.method for n in papers if n.certainty == "inferred"} == {"random_ticket"}


def test_unknown_model_and_data_have_no_published_numbers() -> None:
    assert published_numbers("convnet", "digits") == []
    assert published_numbers("resnet32_w32", "cifar10") == [], "the caller resolves aliases"


def test_reading_published_numbers_does_not_import_torch() -> None:
    program = (
        "import sys; from prunecheck.resources import published_numbers; published_numbers('resnet32', 'cifar10'); "
    )
    said = subprocess.run(
        [sys.executable, "-c", program + "print('torch' in sys.modules)"], capture_output=True, text=True, check=True
    )
    assert said.stdout.strip() == "False"


def test_published_numbers_compare_by_value() -> None:
    number = published_numbers("resnet32", "cifar10")[0]
    assert number == PublishedNumber(**vars(number))
