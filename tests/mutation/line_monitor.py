"""A pytest plugin that records which tests run which lines of the modules in scope: `-p tests.mutation.line_monitor`.

Only code in scope reports its lines, and each line once in a test (PEP 669), so that the tests are hardly slower. Each process writes
a file of its own to `.tools/lines`, which `line_map.py` reads.
"""

import inspect
import json
import sys
import uuid
from collections import defaultdict
from collections.abc import Iterator
from importlib.machinery import SourceFileLoader
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
        """Watch the functions of each module in scope from its import on. Other code runs at its full speed."""
        sys.monitoring.use_tool_id(_TOOL, __name__)
        sys.monitoring.register_callback(_TOOL, _EVENTS.LINE, self._record)
        self._get_code = get_code = SourceFileLoader.get_code

        def get_watched_code(loader: SourceFileLoader, name: str) -> CodeType | None:
            code = get_code(loader, name)
            if code and code.co_filename in self._files:
                self._watch(code)
            return code

        SourceFileLoader.get_code = get_watched_code  # type: ignore[method-assign, assignment]

    def _watch(self, code: CodeType) -> None:
        if code.co_flags & inspect.CO_OPTIMIZED:  # a function, not a module or class, which runs at its import
            sys.monitoring.set_local_events(_TOOL, code, _EVENTS.LINE)
        for inner in code.co_consts:
            if isinstance(inner, CodeType):
                self._watch(inner)

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
        SourceFileLoader.get_code = self._get_code  # type: ignore[method-assign]
        sys.monitoring.register_callback(_TOOL, _EVENTS.LINE, None)
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


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Begin to record, before the tests' settings import the first module."""
    monitor = LineMonitor()
    monitor.start()
    early_config.pluginmanager.register(monitor)
