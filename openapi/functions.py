"""The functions that answer HTTP, as the template names them."""

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
    """A function, its routes in code and, of those, the ones that the gateway guards."""

    name: str
    promise: str
    routes: tuple[APIRoute, ...]
    guarded: frozenset[str]
    has_database: bool


def operation_name(method: str, path: str) -> str:
    """Name an operation as the template's routes are named here: `GET /models`."""
    return f"{method.upper()} {path}"


def http_functions(stack: Stack) -> Iterator[HttpFunction]:
    """Yield each function that a route of the template invokes, by name."""
    routes = [route for route in stack.api.routes if isinstance(route.integration, LambdaIntegration)]
    called = {route.integration.function for route in routes if isinstance(route.integration, LambdaIntegration)}
    for name, function in sorted(stack.functions.items()):
        if name not in called:
            continue
        package = function.handler.rpartition(".app.")[0]
        router: APIRouter = importlib.import_module(f"{package}.routes").router
        yield HttpFunction(
            name=package.rpartition(".")[2],
            promise=_first_line(function.root / package.replace(".", "/") / "app.py"),
            routes=tuple(route for route in router.routes if isinstance(route, APIRoute)),
            guarded=frozenset(operation_name(route.method, route.path) for route in routes if route.authorizer),
            has_database="PARLEY_DATABASE_HOST" in function.environment,
        )


def _first_line(path: Path) -> str:
    """Return the first line of a module, which is not imported: it would ask for its settings."""
    return (ast.get_docstring(ast.parse(path.read_text())) or "").partition("\n")[0]
