"""All tests of a file run in one process, and so do all tests of the shared stack."""

import os

import pytest

from tests.support import xdist_scheduler


@pytest.mark.parametrize(
    ("one", "other", "is_together"),
    [
        ("tests/shared/test_ids.py::test_a", "tests/shared/test_ids.py::test_b[tests/x.py::c]", True),
        ("tests/shared/test_ids.py::test_a", "tests/shared/test_observability.py::test_a", False),
        ("tests/e2e/test_turns.py::test_a", "tests/e2e/test_faults.py::test_b", True),
        ("tests/e2e/test_turns.py::test_a", "tests/e2e/test_built.py::test_b", False),
        ("tests/e2e/test_built.py::test_a", "tests/e2e/test_built.py::test_b", True),
    ],
)
def test_a_file_runs_in_one_process_and_so_do_all_tests_of_the_shared_stack(one, other, is_together):
    assert (xdist_scheduler.unit_of(one) == xdist_scheduler.unit_of(other)) is is_together


@pytest.mark.parametrize("name", xdist_scheduler.WITHOUT_SHARED_STACK)
def test_every_file_without_the_shared_stack_exists(request, name):
    assert (request.config.rootpath / name).is_file()


def test_there_are_two_processes_more_than_processors(monkeypatch):
    monkeypatch.setattr(os, "process_cpu_count", lambda: 2)
    monkeypatch.delenv("PYTEST_XDIST_AUTO_NUM_WORKERS", raising=False)

    assert xdist_scheduler.pytest_xdist_auto_num_workers() == 4
