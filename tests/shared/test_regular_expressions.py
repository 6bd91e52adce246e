"""Every regular expression of functions and layer takes time in proportion to its text: users write the text.

The inventory finds compiled patterns in module globals, and patterns in calls such as `re.sub(…)`. Pydantic's `pattern` is not
checked, because its engine, Rust's, is linear for every pattern.
"""

import ast
import importlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import pytest

from functions.web.files import load
from parley.llm.messages import Message, ModelRequest, ToolDefinition
from parley.llm.vendors.offline import OfflineProvider
from parley.snippets import excerpt
from tests.support.regex_growth import is_linear, worst_texts

ROOT = Path(__file__).parents[2]
METHODS = {"search", "match", "fullmatch", "sub", "subn", "split", "findall", "finditer"}
NOT_FROM_USERS = {
    ("parley.llm.catalogue", "_TOML_TABLE"): "the operator's catalogue, line by line",
    ("functions.web.files", "b'<style>(.*?)</style>'"): "the function's own page, once at start",
    ("functions.toolrunner.builtin.web_page", "_META_CHARSET"): "only the first 1,024 bytes of a page",
}
# Patterns made at run time; each has a test of its own below.
MADE_AT_RUN_TIME = {"parley.snippets"}
_IMPORT = re.compile(r"^ *import re$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Use:
    """A use of a pattern: the name of its variable, or the pattern itself, and the method that is called."""

    name: str
    pattern: re.Pattern[str] | re.Pattern[bytes]
    method: str

    def run(self, text: str) -> object:
        """Apply the pattern to a text as the code does."""
        subject = text.encode("latin-1", "replace") if isinstance(self.pattern.pattern, bytes) else text
        if self.method in {"sub", "subn"}:
            return self.pattern.sub(subject[:0], subject)
        result = getattr(self.pattern, self.method)(subject)
        return list(result) if self.method == "finditer" else result


@cache
def modules() -> dict[str, ast.Module]:
    """Return the syntax trees of all modules that import `re`, by name."""
    trees = {}
    for root in (ROOT / "functions", ROOT / "layers" / "shared" / "parley"):
        for path in sorted(root.rglob("*.py")):
            # Each process of the tests reads these files: most of them need not be parsed.
            if not _IMPORT.search(source := path.read_text()):
                continue
            base = ROOT if root.name == "functions" else ROOT / "layers" / "shared"
            trees[".".join(path.relative_to(base).with_suffix("").parts)] = ast.parse(source)
    return trees


def uses_of(name: str) -> Iterator[Use]:
    """Yield all uses of patterns in a module, except those made at run time."""
    tree, module = modules()[name], importlib.import_module(name)
    attributes = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)]
    for variable, value in vars(module).items():
        # Patterns in a list are called through a loop variable: search is the strictest method.
        methods = {node.attr for node in attributes if node.value.id == variable and node.attr in METHODS} or {"search"}  # type: ignore[attr-defined]
        yield from (Use(variable, pattern, method) for pattern in patterns_in(value) for method in sorted(methods))
    for call in calls_of_re(tree):
        if pattern := constant_pattern(call, module):
            yield Use(str(pattern.pattern), pattern, call.func.attr)  # type: ignore[attr-defined]


def patterns_in(value: object) -> Iterator[re.Pattern[str] | re.Pattern[bytes]]:
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(value, list | tuple):
        yield from (pattern for item in value for pattern in patterns_in(item))
    elif isinstance(value, dict):
        yield from (pattern for item in value.values() for pattern in patterns_in(item))


def calls_of_re(tree: ast.Module) -> list[ast.Call]:
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]
    return [call for call in calls if ast.unparse(call.func.value) == "re" and call.func.attr in METHODS]  # type: ignore[attr-defined]


def constant_pattern(call: ast.Call, module: object) -> re.Pattern[str] | re.Pattern[bytes] | None:
    """Return the pattern of a call of `re`, or None if it is made at run time."""
    source = call.args[0]
    if isinstance(source, ast.Constant):
        flags = re.IGNORECASE if "IGNORECASE" in ast.unparse(call) else 0
        return re.compile(source.value, flags)
    return re.compile(getattr(module, source.id)) if isinstance(source, ast.Name) else None


@pytest.mark.parametrize("name", modules())
def test_every_pattern_takes_time_in_proportion_to_its_worst_text(name):
    slow = [use.name for use in uses_of(name) if (name, use.name) not in NOT_FROM_USERS and not all_linear(use)]

    assert slow == []


def all_linear(use: Use) -> bool:
    source = use.pattern.pattern if isinstance(use.pattern.pattern, str) else use.pattern.pattern.decode("latin-1")
    return all(is_linear(use.run, make_text) for make_text in worst_texts(source))


def test_the_measurement_tells_a_quadratic_pattern_from_a_linear_one():
    assert all_linear(Use("", re.compile(r"a\s+b"), "match"))
    assert not all_linear(Use("", re.compile(r"\s+b"), "search"))
    assert not all_linear(Use("", re.compile(r"(a+)+b"), "match"))


def test_patterns_are_made_at_run_time_only_where_a_test_knows():
    made = {
        name for name, tree in modules().items() for call in calls_of_re(tree) if not constant_pattern(call, importlib.import_module(name))
    }

    assert made == MADE_AT_RUN_TIME


def test_every_exception_names_a_pattern_that_exists():
    assert {(name, use.name) for name, _ in NOT_FROM_USERS for use in uses_of(name)} >= NOT_FROM_USERS.keys()


CALCULATOR = ToolDefinition("calculator", "", {"type": "object"})
WEATHER = ToolDefinition("weather", "", {"type": "object"})


def offline_answer(task: str, text: str) -> object:
    request = ModelRequest([Message("user", text)], tools=[CALCULATOR, WEATHER], task=task)  # type: ignore[arg-type]
    return list(OfflineProvider().stream("offline", request))


@pytest.mark.parametrize("task", ["chat", "title", "summary", "facts", "describe"])
@pytest.mark.parametrize(
    "unit", ["(", "7", "weather in ", "I live in a ", "hi ", " ", "a, ", "[1] user, 2026-01-01: ", "1+", "percent of 1 "]
)
def test_the_offline_model_takes_time_in_proportion_to_the_message(task, unit):
    assert is_linear(partial(offline_answer, task), lambda size: f"[1] user, 2026-01-01: I live in a{unit * (size // len(unit))}\x01")


def test_an_excerpt_takes_time_in_proportion_to_the_text():
    assert is_linear(lambda text: excerpt(text, "ada lovelace"), lambda size: "ada " * size)


def test_a_header_of_any_entity_tags_is_read_in_proportion_to_its_length():
    page = load("docs.html")

    assert is_linear(page.response, lambda size: "x" + " " * size + "x")
