"""Distribute tests over the processes of `make test` with pytest-xdist (docs/adr/0014). Unused without `-n`.

A process has its own database, AWS and settings: they are session fixtures. A file runs whole and in its usual order in
one process; so do the files of `e2e/` that share a running stack.
"""

import os

import pytest
from xdist.scheduler import LoadScopeScheduling

E2E = "tests/e2e/"
# Their tests start stacks of their own.
WITHOUT_SHARED_STACK = tuple(f"{E2E}test_{name}.py" for name in ("built", "edit_loop", "keys", "logs"))
# Tests wait as well as compute: with a process more than processors these are in use all the time.
EXTRA_PROCESSES = 1


class UnitScheduling(LoadScopeScheduling):
    """Deals units out in the order in which they were collected."""

    def __init__(self, config: pytest.Config, log: object = None) -> None:
        config.option.loadscopereorder = False
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)


def unit_of(nodeid: str) -> str:
    """Return what a test belongs to that one process runs."""
    file = nodeid.partition("::")[0]
    return E2E if file.startswith(E2E) and file not in WITHOUT_SHARED_STACK else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> UnitScheduling:
    """Deal out by units, whatever `--dist` says."""
    return UnitScheduling(config, log)


def pytest_xdist_auto_num_workers() -> int:
    """Return how many processes `-n auto` means."""
    return int(os.environ.get("PYTEST_XDIST_AUTO_NUM_WORKERS", 0)) or (os.process_cpu_count() or 1) + EXTRA_PROCESSES


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with what waits longest, lest everybody waits for it in the end."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: not item.nodeid.startswith(E2E))
