"""Which published numbers a study may be held beside."""

from __future__ import annotations

from prunecheck import models
from prunecheck.pruning import CHECKS, METHODS
from prunecheck.resources import published
from prunecheck.resources.published import Number
from prunecheck.study.study import CheckChoice, MethodChoice, Study


def published_for(study: Study) -> tuple[Number, ...]:
    """The numbers of the study's model on its data, for methods and checks that run as they are.

    None where the data set was made smaller; under the name of a method or check with options of its own stands
    something else than what was published.
    """
    if study.data.size or study.data.train_size or study.data.test_size:
        return ()
    methods = {METHODS.get(choice.name).name for choice in study.methods if _is_altered(choice)}
    checks = {CHECKS.get(choice.name).name for choice in study.checks if _is_altered(choice)}
    found = published.numbers(models.canonical(study.model), study.data.name)
    return tuple(number for number in found if number.method not in methods and number.check not in checks)


def _is_altered(choice: MethodChoice | CheckChoice) -> bool:
    """Whether it would run differently under the plain name; a label of its own keeps it apart."""
    return not choice.label and choice != type(choice)(name=choice.name)
