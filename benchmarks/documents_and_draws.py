"""Error rates of tests on means over documents and draws: the table of docs/decisions/0015.

    python benchmarks/documents_and_draws.py [studies per design]

Components are normal, so that the mean and the three mean squares are independent: mean squares are drawn, and given
them the probability of an error is exact.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtrit

Array = NDArray[np.float64]

DOCUMENTS, DRAWS = (20, 60, 200, 1000), (3, 4, 5, 7, 10, 20)
SHARES, RESTS = (0.0, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 100.0), (0.01, 0.3, 1.0, 10.0, 100.0)


class Design(NamedTuple):
    """``document``, ``draw``, ``rest``: the three parts of the variance of the mean."""

    documents: int
    draws: int
    document: float
    draw: float
    rest: float


def designs() -> Iterator[Design]:
    for i, s in itertools.product(DOCUMENTS, DRAWS):
        for document, rest in itertools.product(SHARES, RESTS):
            yield Design(i, s, document, 1.0, rest)
        for rest in RESTS:
            yield Design(i, s, 1.0, 0.0, rest)


def rates(design: Design, level: float, studies: int, rng: np.random.Generator) -> dict[str, float]:
    """How often a one-sided test finds a mean beyond the margin that is the margin itself."""
    i, s = design.documents, design.draws
    both = (i - 1) * (s - 1)
    documents = (design.document + design.rest) * rng.chisquare(i - 1, studies) / (i - 1)
    draws = (design.draw + design.rest) * rng.chisquare(s - 1, studies) / (s - 1)
    rest = design.rest * rng.chisquare(both, studies) / both
    own, shared = np.maximum(draws, rest), np.maximum(documents - rest, 0.0)
    whole = own + shared
    t_draws, t_documents = float(stdtrit(s - 1, 1 - level)), float(stdtrit(i - 1, 1 - level))
    dof = whole**2 / (own**2 / (s - 1) + shared**2 / (i - 1))
    tests: dict[str, tuple[Array, Array]] = {
        "documents alone": (documents, np.full(studies, t_documents)),
        "means of draws alone": (draws, np.full(studies, t_draws)),
        "Satterthwaite": (whole, np.asarray(stdtrit(dof, 1 - level))),
        "Cochran and Cox": (whole, (own * t_draws + shared * t_documents) / whole),
    }
    truth = design.document + design.draw + design.rest
    return {
        name: float(ndtr(-critical * np.sqrt(estimate / truth)).mean()) for name, (estimate, critical) in tests.items()
    }


def main(studies: int) -> None:
    rng = np.random.default_rng(0)
    for level in (0.05, 0.01, 0.005):
        found = [rates(design, level, studies, rng) for design in designs()]
        for name in found[0]:
            of = [one[name] for one in found]
            print(f"level {level}: {name}: mean {np.mean(of):.4f}, largest {max(of):.4f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 8000)
