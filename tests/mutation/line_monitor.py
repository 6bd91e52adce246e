"""A pytest plugin that records which lines of the product a run executes: `-p tests.mutation.line_monitor`.

Each line is reported once and then switched off (PEP 669), so that the tests are hardly slower. `PARLEY_EXECUTED_LINES` names the file
to write.
"""

import json
import os
import sys
from collections import defaultdict
from pathlib import Path
from types import CodeType

import pytest

ROOT = Path(__file__).parents[2]
_FOLDERS = tuple(f"{ROOT / folder}/" for folder in ("functions", "layers/shared/parley"))
_executed = defaultdict[str, set[int]](set)


def _record(code: CodeType, line: int) -> object:
    if code.co_filename.startswith(_FOLDERS):
        _executed[code.co_filename].add(line)
    return sys.monitoring.DISABLE


def pytest_configure(config: pytest.Config) -> None:
    """Begin to record."""
    sys.monitoring.use_tool_id(sys.monitoring.COVERAGE_ID, __name__)
    sys.monitoring.register_callback(sys.monitoring.COVERAGE_ID, sys.monitoring.events.LINE, _record)
    sys.monitoring.set_events(sys.monitoring.COVERAGE_ID, sys.monitoring.events.LINE)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Write the lines by file, relative to the root."""
    sys.monitoring.free_tool_id(sys.monitoring.COVERAGE_ID)
    lines = {Path(file).relative_to(ROOT).as_posix(): sorted(numbers) for file, numbers in _executed.items()}
    Path(os.environ["PARLEY_EXECUTED_LINES"]).write_text(json.dumps(lines))
