"""The Lambda entry point of functions whose responses are buffered, and the event loop that a worker keeps between invocations."""

import asyncio
from collections.abc import Callable
from functools import cache
from typing import Any

from mangum import Mangum
from starlette.types import ASGIApp


@cache
def worker_loop() -> asyncio.AbstractEventLoop:
    """Return the loop, made at the first call and set as this thread's own, where Mangum looks for it."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    return loop


type LambdaHandler = Callable[[dict[str, Any], Any], dict[str, Any]]


TEXT_TYPES = ["text/", "application/json", "application/problem+json"]


def buffered_handler(app: ASGIApp) -> LambdaHandler:
    """Return the Lambda handler of `app`."""
    worker_loop()
    # lifespan="off": Mangum would otherwise run it on every invocation.
    return Mangum(app, lifespan="off", text_mime_types=TEXT_TYPES)  # type: ignore[arg-type]
