"""Distribute tests over the processes of `make test` with pytest-xdist (docs/adr/0014). Unused without `-n`.

Each process has its own database, AWS and settings, because these are session fixtures. All tests of a file run in one process,
in their usual order. So do all files of `e2e/` that share a running stack, and all files of `page/`, which share another.
"""

import os

import pytest
from xdist.scheduler import LoadScopeScheduling

E2E = "tests/e2e/"
PAGE = "tests/page/"
# The tests of these files start their own stacks.
WITHOUT_SHARED_STACK = (f"{E2E}test_built.py",)
# Tests spend part of their time waiting, so two extra processes keep all processors busy.
EXTRA_PROCESSES = 2


class UnitScheduling(LoadScopeScheduling):
    """Assigns units to processes in the order in which pytest collected them."""

    def __init__(self, config: pytest.Config, log: object = None) -> None:
        config.option.loadscopereorder = False
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)


def unit_of(nodeid: str) -> str:
    """Return the scheduling unit of a test: its file, or the folder whose tests share a stack."""
    file = nodeid.partition("::")[0]
    if file.startswith(PAGE):
        return PAGE
    return E2E if file.startswith(E2E) and file not in WITHOUT_SHARED_STACK else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> UnitScheduling:
    """Schedule by units, regardless of `--dist`."""
    return UnitScheduling(config, log)


def pytest_xdist_auto_num_workers() -> int:
    """Return the number of processes for `-n auto`."""
    return int(os.environ.get("PYTEST_XDIST_AUTO_NUM_WORKERS", 0)) or (os.process_cpu_count() or 1) + EXTRA_PROCESSES


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Start with the slow e2e tests, so that they are not the last to finish."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: not item.nodeid.startswith((E2E, PAGE)))
