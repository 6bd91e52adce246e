"""All pools of a stack."""

import asyncio
import os
from collections.abc import Callable, Mapping

from local.runtime.code import Code
from local.runtime.invocation import Invocation
from local.runtime.pool import Journal, Pool
from local.template.stack import Function

_POLL_S = 0.05


class Fleet:
    """Runs the functions of a stack by name."""

    def __init__(
        self,
        functions: Mapping[str, Function],
        *,
        code_of: Callable[[Function], Code],
        wiring: Mapping[str, str],
        journal: Journal,
        pool_size: int,
    ) -> None:
        self.pools = {
            name: Pool(function, code=code_of(function), wiring=wiring, journal=journal, size=pool_size)
            for name, function in functions.items()
        }

    def submit(self, function: str, payload: bytes, *, trace_id: str = "") -> Invocation:
        """Start an invocation; raises `KeyError` for a function that the stack lacks."""
        return self.pools[function].submit(payload, trace_id=trace_id)

    async def warm(self, functions: list[str]) -> None:
        """Start one worker of each, as many at a time as there are processors, so that the first is ready early."""
        cores = os.cpu_count() or 1
        for name in functions:
            while sum(pool.states()["starting"] for pool in self.pools.values()) >= cores:
                await asyncio.sleep(_POLL_S)
            self.pools[name].warm()

    async def stop(self) -> None:
        """End every worker of every function."""
        await asyncio.gather(*(pool.stop() for pool in self.pools.values()))
