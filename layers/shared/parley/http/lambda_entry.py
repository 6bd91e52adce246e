"""The Lambda entry point for buffered responses, and the event loop that a worker reuses between invocations."""

import asyncio
from collections.abc import Callable
from functools import cache
from typing import Any

from mangum import Mangum
from starlette.types import ASGIApp

type LambdaHandler = Callable[[dict[str, Any], Any], dict[str, Any]]

TEXT_TYPES = ["text/", "application/json", "application/problem+json", "application/scim+json"]


@cache
def worker_loop() -> asyncio.AbstractEventLoop:
    """Return the worker's event loop, created on the first call and set as the thread's current loop, which Mangum uses."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    return loop


def buffered_handler(app: ASGIApp) -> LambdaHandler:
    """Return a Lambda handler that runs `app` and returns its whole response."""

    @cache
    def adapter() -> LambdaHandler:
        worker_loop()
        # lifespan="off": Mangum would otherwise run the lifespan on every invocation.
        return Mangum(app, lifespan="off", text_mime_types=TEXT_TYPES)  # type: ignore[arg-type]

    # Created by the first invocation: an event loop has open files, which neither a fork nor a snapshot of a worker can share.
    def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
        return adapter()(event, context)

    return handler
