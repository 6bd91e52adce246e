"""What runs, and firing schedules by hand."""

import contextlib
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from local.runtime.fleet import Fleet
from local.runtime.outcome import Failure
from local.runtime.pool import Pool
from local.services.endpoint import Endpoint
from local.services.supervised import ServiceFailed
from local.sources import Clockwork
from local.template.stack import Stack

STATUS, SCHEDULE = "/_local/status", "/_local/schedules/{name}"


class Admin:
    """Answers questions about the running stack."""

    def __init__(
        self, stack: Stack, *, fleet: Fleet, clockwork: Clockwork, services: Callable[[], dict[str, Any]], aws: Endpoint | None
    ) -> None:
        self._stack = stack
        self._fleet = fleet
        self._clockwork = clockwork
        self._services = services
        self._aws = aws

    async def status(self, _: Request) -> Response:
        """Answer with the functions and their workers, the schedules, the queues, the buckets and the services."""
        return JSONResponse(
            {
                "version": _version(),
                "routes": len(self._stack.api.routes),
                "functions": [_function(pool) for pool in self._fleet.pools.values()],
                "schedules": self._clockwork.status(),
                **await self._stored(),
                "services": self._services(),
            }
        )

    async def _stored(self) -> dict[str, Any]:
        """Return what is in queues and buckets; nothing while the service that has them is being started again."""
        with contextlib.suppress(ServiceFailed):
            if self._aws:
                return await self._aws.state()
        return {"queues": [], "buckets": []}

    async def fire(self, request: Request) -> Response:
        """Run a schedule's function now and answer with what it answered."""
        name = request.path_params["name"]
        schedule = self._clockwork.find(name)
        if schedule is None:
            known = ", ".join(sorted(one.name for one in self._stack.schedules)) or "none"
            return _problem(404, "schedule_not_found", f"There is no schedule {name!r}; there are: {known}.")
        outcome = await self._clockwork.fire(schedule)
        if isinstance(outcome, Failure):
            return Response(outcome.payload, 502, headers={"X-Amz-Function-Error": "Unhandled"}, media_type="application/json")
        return Response(getattr(outcome, "payload", b"null"), media_type="application/json")


def forbidden() -> Response:
    """Answer a request that a web page sent."""
    return _problem(403, "forbidden", "/_local/ answers programs on this machine, not web pages.")


def _function(pool: Pool) -> dict[str, Any]:
    function, counts = pool.function, pool.counts
    workers = pool.states()
    return {
        "name": function.name,
        "handler": function.handler,
        "timeout_s": function.timeout_s,
        "memory_mb": function.memory_mb,
        "peak_mb": counts.peak_mb,
        "workers": {"starting": workers["starting"], "idle": workers["idle"] + workers["finishing"], "busy": workers["busy"]},
        "invocations": counts.invocations,
        "errors": counts.errors,
    }


def _problem(status: int, code: str, detail: str) -> Response:
    body = {"type": "about:blank", "title": code.replace("_", " ").capitalize(), "status": status, "detail": detail, "code": code}
    return JSONResponse(body, status, media_type="application/problem+json")


def _version() -> str:
    try:
        return version("parley")
    except PackageNotFoundError:
        return "0"
