"""What MCP's conformance suite is given: the tools of the stack, and the calls of Parley's client."""

from functions.toolrunner.registry import tools_of
from tests.clients import conformance_tools
from tests.clients.conformance_client import calls

ADD = {"type": "object", "properties": {"a": {"type": "number"}, "b": {"type": "number"}}}


def test_the_plugin_has_the_tools_that_the_suite_calls():
    names = {tool.spec.name for tool in tools_of(conformance_tools)}

    assert names == {"test_simple_text", "test_error_handling", "test_logging_tool", "json_schema_2020_12_tool"}


def test_each_tool_is_called_with_sample_arguments():
    assert list(calls({"add": ADD}, {})) == [("add", {"a": 36, "b": 36})]


def test_a_tool_that_takes_a_schema_gets_that_of_the_first_tool():
    echo = {"type": "object", "properties": {"schema": {"type": "object"}}}

    assert list(calls({"add": ADD, "echo": echo}, {}))[1] == ("echo", {"schema": ADD})


def test_the_suites_own_calls_are_made_without_null():
    planned = {"toolCalls": [{"name": "add", "arguments": {"a": 0, "b": None}}]}

    assert list(calls({"add": ADD}, planned)) == [("add", {"a": 0})]
