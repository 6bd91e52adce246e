"""Which tests run which lines of a module, and which of them decide about a mutant: cheap tests first, and those near the module.

Tests that go different ways after the changed line take turns: a condition is mostly noticed by the few tests for which it holds.

`line_monitor.py` records the lines while the tests run.
"""

import ast
import json
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property, partial
from itertools import zip_longest
from pathlib import Path
from typing import Any

from tests.mutation.scope import ROOT

LINES_FOLDER = ROOT / ".tools" / "lines"
# A mutant that this many tests do not notice survives.
MAX_TESTS = 60
# The tests of one mutant take less than this, except that of a line with only one slow test.
MAX_S = 8.0
# A change that they do not notice is shown to tests that take this long together: those near the module share so many folders with it.
MAX_OTHER_S, _NEAR_FOLDERS = 150.0, 2
# A test that takes longer decides only about a line that no cheaper test runs.
_MAX_TEST_S = 4.0
# So many of the ways that tests go after a line take turns, those with the fewest tests.
_MAX_WAYS = 10
# A bound of a request is part of the API's description, which this test compares with the committed one.
DESCRIPTION, _DESCRIPTION_S = "tests/contract/test_openapi.py::test_the_description_is_current[openapi.json]", 8.0
_WORD = re.compile(r"[a-z]+")
# Words of paths that say nothing about the subject.
_COMMON_WORDS = {"tests", "test", "functions", "layers", "shared", "parley", "py", "the", "a", "an", "is", "of", "and", "in", "to", "not"}
_LEAST_S = 0.03
_CASES_S = 1.5


type _Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def words_of(path: str) -> frozenset[str]:
    """Return the words of a path that name its subject."""
    return frozenset(_WORD.findall(path)) - _COMMON_WORDS


@cache
def is_present(test: str) -> bool:
    """Return whether a test still exists: it may have another name since it was recorded."""
    path, _, name = test.partition("::")
    return f"def {name.rpartition('::')[2].partition('[')[0]}(" in _text_of(path)


@cache
def _text_of(path: str) -> str:
    return (ROOT / path).read_text() if (ROOT / path).is_file() else ""


def _lines_with(names: Collection[str], path: str) -> list[int]:
    """Return the numbers of the lines in which one of the names stands."""
    word, text = re.compile(rf"\b(?:{'|'.join(names)})\b"), _text_of(path)
    if not names or not word.search(text):
        return []
    return [number for number, line in enumerate(text.splitlines(), 1) if word.search(line)]


def rank(file: str, test: str, seconds: float) -> float:
    """Return the cost of a test for a module: lower for a quick test, and for one whose file is in its folder or has a name like it.

    The tests of a route run thousands of lines, those of the same folder call the module itself.
    """
    path = test.partition("::")[0]
    likeness = len(words_of(file) & words_of(path)) + _common_folders(file, path)
    return (_LEAST_S + seconds) / (1 + 2 * likeness)


@cache
def _common_folders(file: str, test_file: str) -> int:
    """Return how many folders below `tests` a test's file has in common with those that mirror the module's."""
    folders = [[part for part in path.split("/")[:-1] if part not in ("layers", "parley", "tests")] for path in (file, test_file)]
    return next((number for number, (one, other) in enumerate(zip(*folders, strict=False)) if one != other), min(map(len, folders)))


def cheapest(file: str, tests: Iterable[str], seconds: dict[str, float]) -> list[str]:
    """Return the tests with the lowest ranks, only the cheapest case of a test with parameters."""
    ranked = sorted(set(tests), key=lambda test: (rank(file, test, seconds[test]), test))
    by_function: dict[str, str] = {}
    for test in ranked:
        by_function.setdefault(test.partition("[")[0], test)
    return list(by_function.values())[: 2 * MAX_TESTS]


@dataclass(frozen=True)
class LineMap:
    """The tests that run each line of each module, and the seconds that each test takes."""

    tests: dict[str, dict[int, list[str]]]
    seconds: dict[str, float]

    @classmethod
    def read(cls, folder: Path = LINES_FOLDER) -> "LineMap":
        """Read what the processes of the last test runs wrote. A test file that ran twice has the lines of its last run."""
        stored = cls({}, {})
        for path in sorted(folder.glob("*.json"), key=lambda path: path.stat().st_mtime):
            stored.add(json.loads(path.read_text()))
        return stored

    def add(self, part: dict[str, Any]) -> None:
        """Replace what is known of the test files of one run."""
        names = part["tests"]
        again = {name.partition("::")[0] for name in names}
        for lines in self.tests.values():
            for line, tests in lines.items():
                lines[line] = [test for test in tests if test.partition("::")[0] not in again]
        self.seconds.update(zip(names, part["seconds"], strict=True))
        for file, found in part["lines"].items():
            lines = self.tests.setdefault(file, {})
            for line, numbers in found.items():
                lines.setdefault(int(line), []).extend(names[number] for number in numbers)

    def tests_for(self, file: str, line: int) -> list[str]:
        """Return the tests that decide about a change of a line, the cheapest first.

        A line that runs at the import, such as a statement of SQL, has the tests of the functions that use its name. A line that no
        test runs in its own process has the tests whose files are named like the module.
        """
        source = _text_of(file)
        chosen, spent_s = [], 0.0
        for case in self._candidates(file, source, line):
            test = self._with_all_cases(case)
            test_s = self.seconds_of([test])
            if test in chosen or len(chosen) == MAX_TESTS:
                continue
            if not chosen or (test_s <= _MAX_TEST_S and spent_s + test_s <= MAX_S):
                chosen.append(test)
                spent_s += test_s
        return [*chosen, DESCRIPTION] if _is_described(file, source, line) else chosen

    def other_tests_for(self, file: str, line: int, asked: Collection[str]) -> list[str]:
        """Return more tests for a change that those asked did not notice: all that run the line or use its constant, then all near it.

        They find what `tests_for` misses: a constant that code in another process reads, or the one slow test of a condition.
        """
        source = _text_of(file)
        running = self._running(file, lines_of_change(source, line)) | self._running_users(names_at(source, line))
        near = {test for test in self.seconds if _common_folders(file, test.partition("::")[0]) >= _NEAR_FOLDERS and is_present(test)}
        ranked = [
            test for tests in (running, near) for test in sorted(tests, key=lambda test: (rank(file, test, self.seconds[test]), test))
        ]
        chosen, spent_s = [], 0.0
        for test in dict.fromkeys(case.partition("[")[0] for case in ranked):
            test_s = self.seconds_of([test])
            if test not in asked and spent_s + test_s <= MAX_OTHER_S:
                chosen.append(test)
                spent_s += test_s
        return chosen

    def _candidates(self, file: str, source: str, line: int) -> list[str]:
        """Return the tests that may decide about a line, in the order in which they are asked."""
        covering = self._running(file, lines_of_change(source, line)) or set(self._namesakes(file))
        later = {frozenset(self._running(file, {number})) for number in lines_after(source, line)}
        rare = sorted((tests for tests in later if 0 < 2 * len(tests) <= len(covering)), key=lambda tests: (len(tests), sorted(tests)))
        # The value of a class's field, or of a constant of another module, runs no line of a function here.
        naming = self._naming(names_at(source, line))
        turns = zip_longest(*(cheapest(file, tests, self.seconds) for tests in (covering, naming, *rare[:_MAX_WAYS])))
        return list(dict.fromkeys(test for turn in turns for test in turn if test))

    def _running(self, file: str, lines: Iterable[int]) -> set[str]:
        by_line = self.tests.get(file, {})
        return {test for number in lines for test in by_line.get(number, ()) if is_present(test)}

    def _naming(self, names: Collection[str]) -> set[str]:
        """Return the tests in whose files one of the names stands."""
        return {test for path, tests in self._by_path.items() if _lines_with(names, path) for test in tests if is_present(test)}

    def _running_users(self, names: Collection[str]) -> set[str]:
        """Return the tests that run a line with one of the names, in any module."""
        return {test for file in self.tests for test in self._running(file, _lines_with(names, file))}

    @cached_property
    def _by_path(self) -> dict[str, list[str]]:
        found = defaultdict[str, list[str]](list)
        for test in self.seconds:
            found[test.partition("::")[0]].append(test)
        return found

    def _with_all_cases(self, case: str) -> str:
        """Return the name that runs all cases of a test with parameters, unless they take long: often only one notices a change."""
        test = case.partition("[")[0]
        return test if self._function_seconds[test] <= _CASES_S else case

    @cached_property
    def _function_seconds(self) -> dict[str, float]:
        found = defaultdict[str, float](float)
        for case, seconds in self.seconds.items():
            found[case.partition("[")[0]] += seconds
        return found

    def seconds_of(self, tests: Iterable[str]) -> float:
        """Return how long the tests take."""
        known = {DESCRIPTION: _DESCRIPTION_S} | self.seconds
        return sum(known[test] if test in known else self._function_seconds[test] for test in tests)

    def _namesakes(self, file: str) -> list[str]:
        likeness = {test: len(words_of(file) & words_of(test.partition("::")[0])) for test in self.seconds if is_present(test)}
        most = max(likeness.values(), default=0)
        return [test for test, shared in likeness.items() if shared == most > 0]


def _is_described(file: str, source: str, line: int) -> bool:
    """Return whether a line may be a part of the API's description: a line of a function or of `parley.http` that runs at the import."""
    if not file.startswith("functions/") and "/http/" not in file:
        return False
    functions = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return not any(line in body_of(function) for function in functions)


def lines_of_change(source: str, line: int) -> set[int]:
    """Return the lines whose run depends on `line`: those of its statement, and of the functions that use a name assigned there.

    Outside of functions, these are also the methods of the class that the line is in. Of a function with a cache, which only the first
    test of a process runs, they are those of the functions that use it.
    """
    tree = ast.parse(source)
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    around = [node for node in functions if line in body_of(node)]
    if around:
        return {*statement_at(tree, line), *_lines_of_users(functions, around)}
    names, before = _defined(tree, lambda node: line in _extent(node)), set[str]()
    while names != before:
        before = names
        names = names | _defined(tree, partial(_uses, names))
    inside = [node for node in functions if _used(node) & names or line in _extent(node)]
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef) and line in _extent(node)]
    inside += [method for node in classes for method in node.body if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef)]
    return {*(number for node in inside for number in body_of(node)), *_lines_of_users(functions, inside)}


def names_at(source: str, line: int) -> set[str]:
    """Return the names of the module's variables and classes that a line outside of functions belongs to."""
    tree = ast.parse(source)
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return set() if any(line in body_of(node) for node in functions) else _defined(tree, lambda node: line in _extent(node))


def _lines_of_users(functions: Iterable[_Function], used: Iterable[_Function]) -> Iterator[int]:
    """Yield the lines of the functions that use those of `used` that have a cache."""
    cached = {node.name for node in used if any(_used(decorator) & {"cache", "lru_cache"} for decorator in node.decorator_list)}
    for node in functions:
        if _used(node) & cached:
            yield from body_of(node)


def lines_after(source: str, line: int) -> range:
    """Return the lines of the statement at `line` of a function, and of those that follow it in its block.

    A test that runs one of them has run the statement, too.
    """
    tree = ast.parse(source)
    head = statement_at(tree, line)
    if not any(line in body_of(node) for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)):
        return range(0)
    blocks = [
        block for node in ast.walk(tree) for name in ("body", "orelse", "finalbody") if isinstance(block := getattr(node, name, None), list)
    ]
    ends = [block[-1].end_lineno or 0 for block in blocks if any(statement.lineno == head.start for statement in block)]
    return range(head.start, max(ends, default=line) + 1)


def body_of(function: _Function) -> range:
    """Return the lines of a function's body."""
    return range(function.body[0].lineno, (function.end_lineno or 0) + 1)


def statement_at(tree: ast.Module, line: int) -> range:
    """Return the lines of the smallest statement at a line; of a statement with a body, only those of its head."""
    heads = []
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt) and node.lineno <= line <= (node.end_lineno or 0):
            body = getattr(node, "body", None)
            end = max(node.lineno, body[0].lineno - 1) if body else node.end_lineno or 0
            heads.append(range(node.lineno, end + 1))
    return min((head for head in heads if line in head), key=len, default=range(line, line + 1))


def _extent(node: ast.stmt) -> range:
    first = min([node.lineno, *(decorator.lineno for decorator in getattr(node, "decorator_list", ()))])
    return range(first, (node.end_lineno or 0) + 1)


def _defined(tree: ast.Module, is_wanted: Callable[[ast.stmt], bool]) -> set[str]:
    """Return the names of the module's variables and classes whose definitions are wanted."""
    names = set[str]()
    for node in filter(is_wanted, tree.body):
        if isinstance(node, ast.ClassDef):
            names.add(node.name)
        targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        # Also those of `A, B = 1, 2`.
        names |= {one.id for target in targets for one in ast.walk(target) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)}
    return names


def _uses(names: set[str], node: ast.AST) -> bool:
    return bool(_used(node) & names)


def _used(node: ast.AST) -> set[str]:
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Load)}
