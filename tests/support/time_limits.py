"""The time limit of waits in tests, and a helper that waits for a condition."""

import time
from collections.abc import Callable
from typing import Any

# Ends a test that hangs. It is not a measure of speed: the suite must pass on a loaded machine that is four times slower.
# It is shorter than pytest's own `timeout`, so that the wait ends first and the failure shows what the test waited for.
HANG_S = 300.0


def wait_until(condition: Callable[[], Any]) -> Any:
    """Wait until `condition()` is true and return its value; after `HANG_S`, return its last value."""
    ends_s = time.monotonic() + HANG_S
    while not (value := condition()) and time.monotonic() < ends_s:
        time.sleep(0.02)
    return value
