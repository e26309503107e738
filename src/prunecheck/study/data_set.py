"""The data set of a study as a plan needs it: its shape and its fingerprint, also where the files are elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

from prunecheck import data
from prunecheck.data import DataShape, DataSpec
from prunecheck.errors import DataError, DataMissing
from prunecheck.study.study import Study, located

ABSENT = "absent"
"""stands for the fingerprint of files that are not there; no artefact has a key made from it"""


@dataclass(frozen=True)
class DataSet:
    """``absent``: empty, or why ``shape`` is only the published one."""

    spec: DataSpec
    shape: DataShape
    fingerprint: str
    absent: str = ""


def data_set_of(study: Study, *, allow_absent: bool = False) -> DataSet:
    """Raises DataMissing where the files are not there; with ``allow_absent`` only where their numbers are not known
    either."""
    spec = located(study)
    try:
        return DataSet(spec, data.describe(spec), data.fingerprint(spec))
    except DataMissing as error:
        if not allow_absent:
            raise
        return DataSet(spec, _published(study, error), ABSENT, str(error))


def shape_of(study: Study) -> DataShape:
    """Of the data set, by the published numbers where it is not there. Raises DataError as ``data_set_of``."""
    try:
        return data.describe(located(study))
    except DataMissing as error:
        return _published(study, error)


def validate_data(study: Study, *, allow_absent: bool = False) -> None:
    """Raises DataError where ``data_set_of`` would, and where the files hold something else than ``data.contents``."""
    spec, contents = located(study), study.data.contents
    try:
        data.check(spec)
    except DataMissing as error:
        if not allow_absent:
            raise
        _published(study, error)
        return
    if contents is None:
        return
    found = data.describe(spec)
    numbers = [("classes", contents.classes, found.num_classes), ("channels", contents.channels, found.channels)]
    numbers += [("train", contents.train, found.n_train)] if spec.train_size is None else []
    numbers += [("test", contents.test, found.n_test)] if spec.test_size is None else []
    for field, stated, there in numbers:
        if stated != there:
            raise DataError(f"data.contents.{field} = {stated}, but data {spec.name!r} holds {there}.")


def _published(study: Study, error: DataMissing) -> DataShape:
    contents, size = study.data.contents, study.data.size
    stated = None
    if contents is not None and size is not None:
        stated = DataShape(contents.classes, contents.channels, size, contents.train, contents.test)
    shape = data.describe_absent(located(study), stated)
    if shape is None:
        raise DataMissing(
            f"{error}\nTo plan without it, give data.size and data.contents = {{ classes = 10, train = 50000, "
            "test = 10000 }."
        )
    return shape
