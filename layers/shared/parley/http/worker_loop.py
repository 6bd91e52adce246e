"""The one event loop of a worker, kept from invocation to invocation: async clients live on it."""

import asyncio
from functools import cache


@cache
def worker_loop() -> asyncio.AbstractEventLoop:
    """Return the loop, made at the first call and set as this thread's own, where Mangum looks for it."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    return loop
