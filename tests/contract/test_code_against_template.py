"""Template and code are consistent: handlers, routes and environment variables."""

import ast
import importlib
import re
import tomllib
from functools import cache
from pathlib import Path

import pytest
from fastapi.routing import APIRoute

from local.template.source import read_source
from local.template.stack import LambdaIntegration

ROOT = Path(__file__).parents[2]
SHIPPED_MODELS = ROOT / "layers" / "shared" / "parley" / "llm" / "models.toml"
HTTP_FUNCTIONS = {name: f"{name.title()}Function" for name in ("auth", "chat", "conversation", "documents", "health", "tools", "web")}

FUNCTIONS = [
    *("authorizer", "auth", "chat", "conversation", "documents", "embedder", "health", "ingest", "keys"),
    *("migrate", "summarize", "toolrunner", "tools", "upkeep", "web"),
]
ASKING, EMBEDDING = {"chat", "ingest", "summarize"}, {"conversation", "documents", "tools"}
SET_BY_LAMBDA = {"aws_region"}
OBSERVABILITY = {"PARLEY_STACK", "PARLEY_METRICS", "PARLEY_TRACES_ENDPOINT", "PARLEY_TRACES_HEADERS", "PARLEY_SENTRY_DSN"}
HAS_NO_VECTORS = {"ANTHROPIC_API_KEY"}
SEARCHING = {"chat", "tools"}


def settings_of(name):
    """Return a function's settings, or None: the embedder has none."""
    settings = getattr(importlib.import_module(f"functions.{name}.app"), "settings", None)
    return settings() if callable(settings) else settings


def settings_fields(name):
    """Return the environment variables read by a function's settings."""
    settings = settings_of(name)
    fields = getattr(type(settings), "model_fields", None) or getattr(settings, "__dataclass_fields__", {})
    return {f"PARLEY_{field.upper()}" for field in fields if field not in SET_BY_LAMBDA}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_functions_variables_are_its_settings_and_no_more(stack, environment, name):
    function = stack.functions[f"{name.title()}Function"]
    given = {variable for variable in function.environment if variable.startswith("PARLEY_")}

    assert given - OBSERVABILITY == settings_fields(name)


def test_no_deployment_hashes_passwords_more_cheaply_than_owasp_recommends(stack):
    from functions.auth.passwords import MEMORY_KIB, PASSES

    declared = read_source(ROOT / "template.yaml").content["Parameters"]
    cheapest = [(declared[name]["Default"], declared[name]["MinValue"]) for name in ("ArgonMemoryKib", "ArgonPasses")]
    variables = stack.functions["AuthFunction"].environment

    assert (MEMORY_KIB, PASSES) == (19 * 1024, 2)
    assert cheapest == [(MEMORY_KIB, MEMORY_KIB), (PASSES, PASSES)]
    assert (variables["PARLEY_ARGON_MEMORY_KIB"], variables["PARLEY_ARGON_PASSES"]) == (str(MEMORY_KIB), str(PASSES))


def bounds(field):
    """Return the least and the greatest value of a numeric setting; None where there is no bound."""
    least = next((one.ge if hasattr(one, "ge") else one.gt for one in field.metadata if hasattr(one, "ge") or hasattr(one, "gt")), None)
    return least, next((one.le for one in field.metadata if hasattr(one, "le")), None)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_parameter_that_no_function_could_start_with_is_refused_by_the_template(environment, name):
    settings = settings_of(name)
    content = read_source(ROOT / "template.yaml").content
    variables = content["Resources"][f"{name.title()}Function"]["Properties"].get("Environment", {}).get("Variables", {})
    for field_name, field in getattr(type(settings), "model_fields", {}).items():
        least, most = bounds(field)
        source = variables.get(f"PARLEY_{field_name.upper()}")
        if isinstance(source, dict) and "Ref" in source and (least, most) != (None, None):
            parameter = content["Parameters"][source["Ref"]]

            assert least is None or parameter["MinValue"] >= least, source
            assert most is None or parameter["MaxValue"] <= most, source


def test_each_variable_of_observability_is_given_to_every_function_and_read(stack):
    module = (ROOT / "layers" / "shared" / "parley" / "observability" / "settings.py").read_text()

    assert set(re.findall(r"PARLEY_\w+", module)) == OBSERVABILITY
    assert all(set(function.environment) >= OBSERVABILITY for function in stack.functions.values())


def keys_of_shipped_models():
    models = tomllib.loads(SHIPPED_MODELS.read_text())["models"].values()
    return {model["api_key"].removeprefix("env:") for model in models if "api_key" in model}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_beside_its_settings_only_who_asks_models_has_variables_and_those_are_the_shipped_models_keys(stack, name):
    function = stack.functions[f"{name.title()}Function"]
    others = {variable for variable in function.environment if not variable.startswith(("PARLEY_", "POWERTOOLS_"))}
    others -= {"AWS_USE_DUALSTACK_ENDPOINT"}  # read by the SDK

    keys = keys_of_shipped_models()
    searching = {"WEB_SEARCH_KEY"} if name in SEARCHING else set()
    assert others == (keys if name in ASKING else keys - HAS_NO_VECTORS if name in EMBEDDING else set()) | searching


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_handler_is_there(stack, environment, name):
    function = stack.functions[f"{name.title()}Function"]
    module, _, attribute = function.handler.rpartition(".")

    assert callable(getattr(importlib.import_module(module), attribute))


def test_every_folder_of_functions_is_a_function(stack):
    folders = {path.parent.name for path in (ROOT / "functions").glob("*/app.py")}

    assert folders == {function.handler.split(".")[1] for function in stack.functions.values()}


@pytest.mark.parametrize(("name", "function"), HTTP_FUNCTIONS.items())
def test_the_gateways_routes_are_the_codes_routes(stack, name, function):
    routes = importlib.import_module(f"functions.{name}.routes").router.routes
    in_code = {f"{method} {route.path}" for route in routes if isinstance(route, APIRoute) for method in route.methods}
    in_template = {
        f"{route.method} {route.path}"
        for route in stack.api.routes
        if isinstance(route.integration, LambdaIntegration) and route.integration.function == function
    }

    assert in_code == in_template


@pytest.mark.parametrize("path", sorted((ROOT / "functions").glob("*/app.py")), ids=lambda path: path.parent.name)
def test_nobody_imports_a_composition_root(path):
    name = f"functions.{path.parent.name}.app"

    assert [other for other, modules in sources_of_names().items() if name in modules] == []


@cache
def sources_of_names():
    """Return the modules from which each file of the product imports names."""
    files = [path for folder in ("functions", "layers", "local", "cli") for path in (ROOT / folder).rglob("*.py")]
    return {path: {node.module for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)} for path in files}


@pytest.mark.parametrize("folder", ["functions", "layers/shared/parley"])
def test_only_settings_read_the_environment(folder):
    # Variables read without a settings model, and keys of models.
    composing = {f"functions/{name}/app.py" for name in ("authorizer", "upkeep", *ASKING, *EMBEDDING)}
    allowed = composing | {
        "functions/embedder/sentence_model.py",  # sets the number of numpy's threads
        "functions/ingest/sandbox.py",  # passes the path of libraries on
        "layers/shared/parley/http/streaming.py",
        "layers/shared/parley/settings.py",
        "layers/shared/parley/observability/settings.py",
        "layers/shared/parley/snapshots.py",
    }
    readers = {str(path.relative_to(ROOT)) for path in (ROOT / folder).rglob("*.py") if "os.environ" in path.read_text()}

    assert readers <= allowed


def test_the_lines_that_the_guide_alarms_on_are_written():
    log_lines = re.findall(r"the line `([^`]+)`", (ROOT / "docs" / "operate.md").read_text())
    written = "".join(path.read_text() for folder in ("functions", "layers") for path in (ROOT / folder).rglob("*.py"))

    assert log_lines
    assert [line for line in log_lines if f'"{line}"' not in written] == []
