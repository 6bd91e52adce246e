"""The way into Lambda for functions that answer in one piece."""

from collections.abc import Callable
from typing import Any

from mangum import Mangum
from starlette.types import ASGIApp

from parley.http.worker_loop import worker_loop

type Handler = Callable[[dict[str, Any], Any], dict[str, Any]]

TEXT_TYPES = ["text/", "application/json", "application/problem+json"]


def buffered_handler(app: ASGIApp) -> Handler:
    """Return the Lambda handler of `app`."""
    worker_loop()
    # lifespan="off": Mangum would otherwise run it on every invocation.
    return Mangum(app, lifespan="off", text_mime_types=TEXT_TYPES)  # type: ignore[arg-type]
