"""The worker pools of a stack, one for each function."""

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping
from functools import partial

from local.runtime.invocation import Invocation
from local.runtime.launch import LaunchSpec
from local.runtime.pool import FunctionLog, Pool
from local.runtime.processor_share import ProcessorShare
from local.runtime.processor_time import DatabaseProcesses
from local.template.stack import Function

_POLL_S = 0.05


class Fleet:
    """Runs the functions of a stack by name, each in its own pool."""

    def __init__(
        self,
        functions: Mapping[str, Function],
        *,
        launch_spec_of: Callable[[Function], LaunchSpec],
        extra_environment: Mapping[str, str],
        log: FunctionLog,
        pool_size: int,
        database_pid: Callable[[], int | None] = lambda: None,
    ) -> None:
        self._launch_spec_of = launch_spec_of
        self._share = ProcessorShare(database=DatabaseProcesses(database_pid))
        self._new = partial(
            Pool,
            extra_environment=extra_environment,
            log=log,
            size=pool_size,
            share=self._share,
            starts=asyncio.Semaphore(os.cpu_count() or 1),
        )
        self._removed: list[Pool] = []
        self._bulk: list[Invocation] = []
        self._cold_functions: list[str] = []
        self.pools = {name: self._new(function, spec=launch_spec_of(function)) for name, function in functions.items()}

    def replace(self, functions: Iterable[str]) -> None:
        """Start new workers for these functions because their code has changed."""
        for name in functions:
            pool = self.pools[name]
            pool.replace(self._launch_spec_of(pool.function))

    def adopt(self, functions: Mapping[str, Function]) -> list[str]:
        """Replace the functions of the stack; return the names of the new and the changed functions.

        Running invocations finish on their current workers.
        """
        for name in self.pools.keys() - functions.keys():
            self._removed.append(self.pools[name])
            self.pools[name].close()
        changed = [name for name, function in functions.items() if name not in self.pools or self.pools[name].function != function]
        self.pools = {name: self._adopted_pool(name, function) for name, function in functions.items()}
        return changed

    def _adopted_pool(self, name: str, function: Function) -> Pool:
        spec = self._launch_spec_of(function)
        pool = self.pools.get(name)
        if pool is None:
            return self._new(function, spec=spec)
        if pool.function != function:
            pool.replace(spec, function)
        return pool

    def submit(self, function: str, payload: bytes, *, trace_id: str = "", user: str = "") -> Invocation:
        """Start or queue an invocation; `user` is its caller, if any. Raises `KeyError` if the stack has no such function.

        An invocation by a function counts for the user of the running invocation with the same trace, and has a low priority if the
        function that invokes it is a bulk function.
        """
        pool, is_for_bulk = self.pools[function], not user and self._is_of_bulk(trace_id)
        user, is_nested = (user, False) if user else (self._share.user_of(trace_id), True)
        invocation = pool.submit(payload, trace_id=trace_id, user=user, is_nested=is_nested, is_for_bulk=is_for_bulk)
        if pool.function.is_bulk:
            self._bulk.append(invocation)
        return invocation

    def _is_of_bulk(self, trace_id: str) -> bool:
        """Return whether an invocation of a bulk function with this trace id is running."""
        self._bulk = [invocation for invocation in self._bulk if not invocation.is_over]
        return bool(trace_id) and any(invocation.trace_id == trace_id for invocation in self._bulk)

    async def warm(self, functions: list[str]) -> None:
        """Start one worker for each function, and return once all of them have been started.

        At most one worker per processor starts at a time, so that the first workers are ready early. These functions go before
        those that an earlier call has queued, because the developer waits for the latest edit.
        """
        cores = os.cpu_count() or 1
        self._cold_functions = [*functions, *(name for name in self._cold_functions if name not in functions)]
        while set(functions) & set(self._cold_functions):
            while sum(pool.states()["starting"] for pool in self.pools.values()) >= cores:
                await asyncio.sleep(_POLL_S)
            self._warm_next()

    def _warm_next(self) -> None:
        if self._cold_functions and (pool := self.pools.get(self._cold_functions.pop(0))):
            pool.warm()

    async def stop(self) -> None:
        """Stop every worker of every function."""
        await asyncio.gather(*(pool.stop() for pool in [*self.pools.values(), *self._removed]))
