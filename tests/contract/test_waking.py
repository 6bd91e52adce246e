"""Which functions wait for a database that wakes: those behind which nobody waits for a response."""

import ast

import pytest

from tests.conftest import ROOT

WITHOUT_CLIENTS = {"ingest", "migrate", "summarize", "upkeep"}


def engines(function):
    """Return the keyword arguments of each engine that a function's app makes."""
    calls = (node for node in ast.walk(ast.parse((ROOT / "functions" / function / "app.py").read_text())) if isinstance(node, ast.Call))
    made = (call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "make_engine")
    return [{keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords} for call in made]


FUNCTIONS = [path.parent.name for path in sorted((ROOT / "functions").glob("*/app.py")) if engines(path.parent.name)]


def test_the_functions_with_a_database_are_found():
    assert {"chat", *WITHOUT_CLIENTS} <= set(FUNCTIONS)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_waits_for_the_database_if_no_client_waits_for_it(function):
    assert {options.get("waits_for_wake", False) for options in engines(function)} == {function in WITHOUT_CLIENTS}
