"""Record which of Parley's modules one request enters: a measure of how much code a reader has to follow."""

import inspect
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType
from typing import Any

ROOT = Path(__file__).parents[2]
FOLDERS = ("functions", "layers/shared/parley")
TOOL = sys.monitoring.PROFILER_ID


@contextmanager
def recorded_modules() -> Iterator[set[str]]:
    """Collect the modules, as paths from the root, whose functions are called on any thread.

    Module and class bodies do not count: they run at import.
    """
    entered: set[str] = set()

    def started(code: CodeType, _: int) -> Any:
        if code.co_flags & inspect.CO_OPTIMIZED and (path := Path(code.co_filename)).is_relative_to(ROOT):
            name = path.relative_to(ROOT).as_posix()
            if name.startswith(FOLDERS):
                entered.add(name)
        return sys.monitoring.DISABLE

    sys.monitoring.use_tool_id(TOOL, "entered modules")
    try:
        sys.monitoring.register_callback(TOOL, sys.monitoring.events.PY_START, started)
        sys.monitoring.set_events(TOOL, sys.monitoring.events.PY_START)
        sys.monitoring.restart_events()
        yield entered
    finally:
        sys.monitoring.set_events(TOOL, 0)
        sys.monitoring.register_callback(TOOL, sys.monitoring.events.PY_START, None)
        sys.monitoring.free_tool_id(TOOL)
