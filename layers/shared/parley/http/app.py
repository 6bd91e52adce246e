"""The ASGI app of an HTTP function."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from snapshot_restore_py import register_before_snapshot
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from parley.errors import ParleyError
from parley.http.lazy_routes import build_routes
from parley.http.middleware import AllowedOrigins, RequestMiddleware
from parley.http.problems import ErrorResponder, handle_exception
from parley.settings import HttpSettings

BODY_LIMIT = 256 * 1024


def join_routers(*routers: APIRouter) -> APIRouter:
    """Return one router with the routes of all `routers`, in order.

    `APIRouter.include_router` would hide the routes in wrapper objects, where the API description cannot find them, and
    build every route a second time for the first request: 1 to 2 ms per route.
    """
    joined = APIRouter()
    for router in routers:
        joined.routes += router.routes
    return joined


def create_app(
    router: APIRouter,
    *,
    settings: HttpSettings,
    body_limit: int = BODY_LIMIT,
    error_responders: Mapping[str, ErrorResponder] | None = None,
    **state: Any,
) -> ASGIApp:
    """Build the app of an HTTP function: its routes, the error handlers and the middleware.

    `error_responders` maps a path prefix to the responder that formats the errors of those paths; all other errors become
    problem documents. `state` becomes attributes of `request.app.state`, such as `engine`.
    """
    handlers = dict.fromkeys((ParleyError, RequestValidationError, HTTPException, Exception), handle_exception)
    app = FastAPI(
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        exception_handlers=handlers,  # type: ignore[arg-type]
    )
    # Not `include_router`; see `join_routers`.
    app.router.routes += router.routes
    register_before_snapshot(build_routes, router.routes)
    allowed_origins = AllowedOrigins(settings.allowed_origin)
    for name, value in (state | {"allowed_origins": allowed_origins}).items():
        setattr(app.state, name, value)
    return RequestMiddleware(app, body_limit=body_limit, allowed_origins=allowed_origins, error_responders=error_responders or {})
