"""Which test files run which lines of a module, and how long each takes: `tests/mutation/coverage.json`.

`python -m tests.mutation.coverage_map PATH…` runs the test files below the paths, and renews their part of the map.
"""

import ast
import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

ROOT = Path(__file__).parents[2]
MAP = Path(__file__).with_name("coverage.json")
# The modules in which a defect costs money, data or isolation.
PRODUCT = ("functions/auth", "functions/authorizer", "functions/chat/turn", "functions/ingest", "functions/toolrunner")
LAYER = tuple(f"layers/shared/parley/{name}" for name in ("auth", "db", "metering", "llm", "tools", "http"))
LEFT_OUT = ("/migrations/", "/tables/", "/vendors/", "/__init__.py")


def files_in_scope() -> list[str]:
    """Return the files to mutate, relative to the root."""
    found = sorted(path for folder in (*PRODUCT, *LAYER) for path in (ROOT / folder).rglob("*.py"))
    return [name for path in found if not any(part in (name := path.relative_to(ROOT).as_posix()) for part in LEFT_OUT)]


@dataclass(frozen=True)
class CoverageMap:
    """The lines of each module that each test file runs, as ranges such as `3-5 8`, and the seconds that the test file takes."""

    lines: dict[str, dict[str, str]]
    seconds: dict[str, float]

    @classmethod
    def read(cls) -> "CoverageMap":
        """Read the stored map."""
        stored: dict[str, Any] = json.loads(MAP.read_text()) if MAP.exists() else {"lines": {}, "seconds": {}}
        return cls(stored["lines"], stored["seconds"])

    def write(self) -> None:
        """Store the map, with one line for each module and test file."""
        MAP.write_text(json.dumps({"lines": self.lines, "seconds": self.seconds}, indent=1, sort_keys=True) + "\n")

    def tests_for(self, file: str, line: int, *, max_s: float) -> list[str]:
        """Return the test files that run a line, the quickest first, as many as fit into `max_s`, but at least one.

        A line that runs at the import, such as a statement of SQL, has the test files of the functions that use its name.
        """
        wanted = {line, *lines_that_use(ROOT / file, line)}
        covering = [test for test, ranges in self.lines.get(file, {}).items() if wanted & read_ranges(ranges)]
        chosen, spent_s = [], 0.0
        for test in sorted(covering, key=lambda test: self.seconds.get(test, 0.0)):
            spent_s += self.seconds.get(test, 0.0)
            if chosen and spent_s > max_s:
                break
            chosen.append(test)
        return chosen


def write_ranges(numbers: Iterable[int]) -> str:
    """Return the numbers as ranges: `3-5 8`."""
    ranges: list[list[int]] = []
    for number in sorted(numbers):
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return " ".join(f"{first}-{last}" if first != last else f"{first}" for first, last in ranges)


def read_ranges(ranges: str) -> set[int]:
    """Return the numbers that `write_ranges` wrote."""
    ends = [one.split("-") for one in ranges.split()]
    return {number for first, *rest in ends for number in range(int(first), int(rest[0] if rest else first) + 1)}


def lines_that_use(path: Path, line: int) -> set[int]:
    """Return the lines of the functions that depend on `line` without running it.

    They use a name that is assigned there, directly or by other names, or are methods of the class that the line is in.
    """
    tree = ast.parse(path.read_text())
    names, before = _assigned(tree, lambda node: node.lineno <= line <= (node.end_lineno or 0)), set[str]()
    while names != before:
        before = names
        names = names | _assigned(tree, partial(_uses, names))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    inside = [node for node in functions if _used(node) & names]
    if not any(node.lineno <= line <= (node.end_lineno or 0) for node in functions):
        classes = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.lineno <= line <= (node.end_lineno or 0)]
        inside += [method for node in classes for method in node.body if isinstance(method, ast.FunctionDef)]
    return {number for node in inside for number in range(node.body[0].lineno, (node.end_lineno or 0) + 1)}


def _assigned(tree: ast.Module, is_wanted: Any) -> set[str]:
    targets = [target for node in tree.body if isinstance(node, ast.Assign) and is_wanted(node) for target in node.targets]
    return {target.id for target in targets if isinstance(target, ast.Name)}


def _uses(names: set[str], node: ast.AST) -> bool:
    return bool(_used(node) & names)


def _used(node: ast.AST) -> set[str]:
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Load)}


def measure(test_file: str) -> tuple[dict[str, set[int]], float]:
    """Run a test file, and return the lines of each module in scope that its tests run, and the seconds that they took."""
    with tempfile.TemporaryDirectory() as folder:
        report, executed = Path(folder, "report.xml"), Path(folder, "lines.json")
        options = ["-q", "-n0", "-p", "no:cacheprovider", "-p", "tests.mutation.line_monitor", f"--junitxml={report}"]
        environment = os.environ | {"PARLEY_EXECUTED_LINES": str(executed)}
        subprocess.run([sys.executable, "-m", "pytest", *options, test_file], cwd=ROOT, env=environment, capture_output=True, check=True)
        seconds = sum(float(case.get("time") or 0) for case in ElementTree.parse(report).iter("testcase"))
        return _in_scope(json.loads(executed.read_text())), round(seconds, 2)


def _in_scope(executed: dict[str, list[int]]) -> dict[str, set[int]]:
    found = {}
    for file in files_in_scope():
        lines = set(executed.get(file, ())) - _import_lines(ROOT / file)
        if lines:
            found[file] = lines
    return found


def _import_lines(path: Path) -> set[int]:
    """Return the lines that run when the module is imported: all outside the bodies of functions."""
    tree = ast.parse(path.read_text())
    inside = {
        number
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for number in range(node.body[0].lineno, (node.end_lineno or 0) + 1)
    }
    return set(range(1, len(path.read_text().splitlines()) + 1)) - inside


def _test_files(path: Path) -> list[Path]:
    return [path] if path.is_file() else list(path.rglob("test_*.py"))


def main(paths: list[str]) -> int:
    """Measure the test files, and store the map. A file that fails keeps its part of it."""
    stored, lines = CoverageMap.read(), defaultdict[str, dict[str, str]](dict)
    for module, tests in stored.lines.items():
        lines[module] |= tests
    for path in sorted(path for name in paths for path in _test_files(ROOT / name)):
        test = path.relative_to(ROOT).as_posix()
        try:
            found, seconds = measure(test)
        except subprocess.CalledProcessError as error:
            print(f"{test} fails: {error.output[-300:]!r}", file=sys.stderr)
            continue
        for tests in lines.values():
            tests.pop(test, None)
        for module, numbers in found.items():
            lines[module][test] = write_ranges(numbers)
        stored.seconds[test] = seconds
        print(f"{test}  {seconds} s, {len(found)} modules", flush=True)
    CoverageMap(dict(lines), stored.seconds).write()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or ["tests/functions", "tests/shared"]))
