"""Fixtures that several folders of tests use; a folder's conftest imports those it wants."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(autouse=True, scope="package")
def one_thread() -> Iterator[None]:
    """As in a worker: results must not depend on the machine's cores, and tiny networks are faster so."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True, scope="package")
def no_fsync() -> Iterator[None]:
    """The safety of the disk is tested elsewhere: here nothing waits for it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield
