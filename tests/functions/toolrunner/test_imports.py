"""The modules that the tool runner imports at the start, on which the first call of every tool waits."""

import json
import subprocess
import sys

HEAVY = {"fastapi", "starlette", "sqlalchemy", "psycopg", "boto3", "httpx2", "selectolax", "langchain_core", "mcp"}


def loaded():
    code = f"import functions.toolrunner.app, json, sys; print(json.dumps(sorted({HEAVY!r} & set(sys.modules))))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    return json.loads(done.stdout)


def test_nothing_heavy_is_loaded_before_a_tool_needs_it(environment):
    assert loaded() == []


def test_the_mcp_client_is_preloaded_if_there_are_servers(environment, monkeypatch):
    monkeypatch.setenv("PARLEY_CALLS_MCP", "true")

    assert {"mcp", "httpx2"} <= set(loaded())
