"""No call of a model passes the guards: every way to a vendor begins in `ProviderRegistry`."""

import ast
from pathlib import Path

import pytest

from parley.llm.catalogue import Catalogue
from parley.llm.provider_registry import ProviderRegistry
from tests.conftest import ROOT

VENDORS = "parley.llm.vendors"
# Pure functions on tool calls and names.
HARMLESS = {f"{VENDORS}.tool_calls"}
SOURCES = [*ROOT.joinpath("functions").rglob("*.py"), *ROOT.joinpath("layers/shared/parley").rglob("*.py")]
GUARDED = """
guard.words.words = ["nightingale"]
roles.chat = "offline"
[models]
offline = {provider = "offline", name = "m"}
openai = {provider = "openai", name = "m", api_key = "env:K"}
responses = {provider = "openai", name = "m", api = "responses", api_key = "env:K"}
compatible = {provider = "openai-compatible", name = "m", base_url = "http://127.0.0.1:9"}
mistral = {provider = "mistral", name = "m", api_key = "env:K"}
anthropic = {provider = "anthropic", name = "m", api_key = "env:K"}
bedrock = {provider = "bedrock", name = "m", region = "eu-west-1"}
"""


def imports_of(path: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(path.read_text())))
    found = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names} if node.module == VENDORS else {node.module}
    return found


def test_only_the_registry_imports_vendors():
    importers = {
        path.name
        for path in SOURCES
        if VENDORS.replace(".", "/") not in path.as_posix() and any(name.startswith(VENDORS) for name in imports_of(path) - HARMLESS)
    }

    assert importers == {"provider_registry.py"}


def test_only_vendors_and_the_guard_call_bedrock():
    callers = {path.name for path in SOURCES if '"bedrock-runtime"' in path.read_text()}

    assert callers == {"bedrock.py", "remote_finder.py"}


@pytest.mark.parametrize("name", Catalogue.parse(GUARDED, source="test").models)
def test_the_registry_returns_no_client_without_its_models_guards(name):
    providers, model = ProviderRegistry({"K": "k"}), Catalogue.parse(GUARDED, source="test").models[name]
    client = providers(model)
    providers.close()

    assert type(client).__name__ == "GuardedProvider"


@pytest.mark.parametrize("function", ["chat", "summarize", "ingest"])
def test_the_functions_call_models_through_the_registry_only(function, request):
    request.getfixturevalue(function)
    app = __import__(f"functions.{function}.app", fromlist=["services"])

    assert isinstance(app.services.router.provider_for, ProviderRegistry)
