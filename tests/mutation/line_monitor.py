"""A pytest plugin that records which tests run which lines of the modules in scope: `-p tests.mutation.line_monitor`.

Only code in scope reports its lines, and each line once in a test (PEP 669), so that the tests are hardly slower. Each process writes
a file of its own to `.tools/mutation/lines`, which `line_map.py` reads.
"""

import inspect
import json
import sys
import uuid
from collections import defaultdict
from collections.abc import Iterator
from types import CodeType

import pytest

from tests.mutation.line_map import LINES_FOLDER, cheapest
from tests.mutation.scope import ROOT, files_in_scope

_TOOL = sys.monitoring.COVERAGE_ID
_EVENTS = sys.monitoring.events
# Only tests of these folders judge mutants: the others start a stack or a browser.
_FOLDERS = ("tests/shared/", "tests/functions/")
# Tests with processes that read the code only once, and tests of the migrations, which the runner has done before.
_FIXTURES = {"pooled", "client_processes"}
# A line with more tests forgets the dearest.
_MOST_TESTS = 600
_LEFT_OUT = ("tests/functions/migrate/",)


class LineMonitor:
    """The lines that each test of this process runs."""

    def __init__(self) -> None:
        self._files = {str(ROOT / file): file for file in files_in_scope()}
        self._executed = defaultdict[str, set[int]](set)
        self._call_s = 0.0
        self.seconds: dict[str, float] = {}
        self.lines: dict[str, dict[int, list[str]]] = {}

    def start(self) -> None:
        """Watch the start of each function, and the lines of those in scope."""
        sys.monitoring.use_tool_id(_TOOL, __name__)
        sys.monitoring.register_callback(_TOOL, _EVENTS.PY_START, self._watch)
        sys.monitoring.register_callback(_TOOL, _EVENTS.LINE, self._record)
        sys.monitoring.set_events(_TOOL, _EVENTS.PY_START)

    def _watch(self, code: CodeType, _offset: int) -> object:
        if code.co_flags & inspect.CO_OPTIMIZED and code.co_filename in self._files:  # a function, not a module or class at its import
            sys.monitoring.set_local_events(_TOOL, code, _EVENTS.LINE)
        return sys.monitoring.DISABLE

    def _record(self, code: CodeType, line: int) -> object:
        self._executed[code.co_filename].add(line)
        return sys.monitoring.DISABLE

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Note the lines of one test."""
        if not _is_judge(item):
            return (yield)
        self._executed.clear()
        self._call_s = -1.0
        sys.monitoring.restart_events()
        result = yield
        if self._call_s >= 0:
            self._note(item.nodeid)
        return result

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note the seconds of a test that passes. The setup is left out: that of the first test starts the database."""
        if report.when == "call" and report.passed:
            self._call_s = report.duration

    def _note(self, test: str) -> None:
        self.seconds[test] = round(self._call_s, 3)
        for path, numbers in self._executed.items():
            lines = self.lines.setdefault(self._files[path], {})
            for number in numbers:
                found = lines.setdefault(number, [])
                found.append(test)
                if len(found) > _MOST_TESTS:
                    found[:] = cheapest(self._files[path], found, self.seconds)

    def pytest_sessionfinish(self) -> None:
        """Write the cheapest tests of each line."""
        sys.monitoring.set_events(_TOOL, 0)
        for event in (_EVENTS.PY_START, _EVENTS.LINE):
            sys.monitoring.register_callback(_TOOL, event, None)
        sys.monitoring.free_tool_id(_TOOL)
        if not self.seconds:  # the process that distributes the tests
            return
        LINES_FOLDER.mkdir(parents=True, exist_ok=True)
        tests, numbers = list(self.seconds), {test: number for number, test in enumerate(self.seconds)}
        lines = {
            file: {line: [numbers[test] for test in cheapest(file, found, self.seconds)] for line, found in by_line.items()}
            for file, by_line in self.lines.items()
        }
        part = {"tests": tests, "seconds": list(self.seconds.values()), "lines": lines}
        (LINES_FOLDER / f"{uuid.uuid4()}.json").write_text(json.dumps(part))


def _is_judge(item: pytest.Item) -> bool:
    is_unfit = item.nodeid.startswith(_LEFT_OUT) or _FIXTURES & set(getattr(item, "fixturenames", ()))
    return item.nodeid.startswith(_FOLDERS) and not is_unfit


def pytest_configure(config: pytest.Config) -> None:
    """Begin to record."""
    monitor = LineMonitor()
    monitor.start()
    config.pluginmanager.register(monitor)
