"""The functions behind the template's HTTP routes."""

import ast
import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fastapi import APIRouter
from fastapi.routing import APIRoute

from local.template.stack import LambdaIntegration, Stack


@dataclass(frozen=True)
class HttpFunction:
    """A function with its routes in code. `guarded` names the operations that have an authorizer in the template."""

    name: str
    description: str
    routes: tuple[APIRoute, ...]
    guarded: frozenset[str]
    has_database: bool


def operation_name(method: str, path: str) -> str:
    """Return the name of an operation, such as `GET /models`."""
    return f"{method.upper()} {path}"


def http_functions(stack: Stack) -> Iterator[HttpFunction]:
    """Yield each function that a route of the template invokes, ordered by name."""
    routes = [route for route in stack.api.routes if isinstance(route.integration, LambdaIntegration)]
    routed = {route.integration.function for route in routes if isinstance(route.integration, LambdaIntegration)}
    for name, function in sorted(stack.functions.items()):
        if name not in routed:
            continue
        package = function.handler.rpartition(".app.")[0]
        router: APIRouter = importlib.import_module(f"{package}.routes").router
        yield HttpFunction(
            name=package.rpartition(".")[2],
            description=_first_line(function.root / package.replace(".", "/") / "app.py"),
            routes=tuple(route for route in router.routes if isinstance(route, APIRoute)),
            guarded=frozenset(operation_name(route.method, route.path) for route in routes if route.authorizer),
            has_database="PARLEY_DATABASE_HOST" in function.environment,
        )


def _first_line(path: Path) -> str:
    """Return the first line of a module's docstring without importing the module, which would require its settings."""
    return (ast.get_docstring(ast.parse(path.read_text())) or "").partition("\n")[0]
