"""A session-wide emulator with the test stack, real HTTP and real workers."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from local.template.load import load
from local.template.stack import Stack
from tests.local.running_emulator import RunningEmulator

STACK = Path(__file__).parent / "stack" / "template.yaml"


@pytest.fixture(scope="session")
def stack() -> Stack:
    """The translated test stack."""
    return load(STACK, overrides={})


@pytest.fixture(scope="session")
def running(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEmulator]:
    """The running test stack."""
    with RunningEmulator.started(stack, logs=tmp_path_factory.mktemp("logs")) as found:
        yield found
