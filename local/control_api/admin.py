"""Control endpoints: report the stack's status, run a schedule on demand, and list the mails that the stack has sent."""

import asyncio
import contextlib
from collections.abc import Callable
from email.utils import parseaddr
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from local.mailbox import Mailbox, SentMail
from local.queues.service import QueueService
from local.runtime.fleet import Fleet
from local.runtime.outcome import Failure
from local.runtime.pool import Pool
from local.services.moto import AwsClient
from local.services.supervisor import ServiceFailed
from local.template.stack import Stack
from local.triggers.scheduler import Scheduler

MAIL_PATH = "/_local/mail"
STATUS_PATH = "/_local/status"
SCHEDULE_PATH = "/_local/schedules/{name}"


class MailEndpoint:
    """Lists and empties a mailbox. Without a mailbox the list is empty."""

    def __init__(self, mailbox: Mailbox | None) -> None:
        self._mailbox = mailbox

    async def list(self, request: Request) -> Response:
        """List the mails, newest first; the query parameter `to` selects one recipient."""
        to = request.query_params.get("to")
        mails = await asyncio.to_thread(self._mailbox.mails) if self._mailbox else []
        return JSONResponse({"items": [mail.fields for mail in mails if to is None or _is_addressed_to(mail, to)]})

    async def empty(self, _: Request) -> Response:
        """Delete all mails."""
        if self._mailbox:
            await asyncio.to_thread(self._mailbox.empty)
        return Response(status_code=204)


def _is_addressed_to(mail: SentMail, address: str) -> bool:
    return address.lower() in (parseaddr(recipient)[1].lower() for recipient in mail.to)


class AdminEndpoint:
    """Reports the state of the running stack and runs schedules on demand."""

    def __init__(
        self,
        stack: Stack,
        *,
        fleet: Fleet,
        scheduler: Scheduler,
        services: Callable[[], dict[str, Any]],
        aws: AwsClient | None,
        queues: QueueService | None,
    ) -> None:
        self._stack = stack
        self._fleet = fleet
        self._scheduler = scheduler
        self._services = services
        self._aws = aws
        self._queues = queues

    async def status(self, _: Request) -> Response:
        """Report functions with their workers, schedules, queues, buckets and services."""
        return JSONResponse(
            {
                "version": _version(),
                "routes": len(self._stack.api.routes),
                "functions": [_function_status(pool) for pool in self._fleet.pools.values()],
                "schedules": self._scheduler.status(),
                "queues": self._queues.state() if self._queues else [],
                "buckets": await self._buckets(),
                "services": self._services(),
            }
        )

    async def _buckets(self) -> list[dict[str, Any]]:
        """Return the object counts of the buckets, or an empty list while the AWS stand-in restarts."""
        with contextlib.suppress(ServiceFailed):
            if self._aws:
                return await self._aws.buckets()
        return []

    async def fire(self, request: Request) -> Response:
        """Run a schedule's function now and return its result."""
        name = request.path_params["name"]
        schedule = self._scheduler.find(name)
        if schedule is None:
            known = ", ".join(sorted(other.name for other in self._stack.schedules)) or "none"
            return _problem(404, "schedule_not_found", f"There is no schedule {name!r}. Schedules of this stack: {known}.")
        outcome = await self._scheduler.fire(schedule)
        if isinstance(outcome, Failure):
            return Response(outcome.payload, 502, headers={"X-Amz-Function-Error": "Unhandled"}, media_type="application/json")
        return Response(getattr(outcome, "payload", b"null"), media_type="application/json")


def forbidden_response() -> Response:
    """Return the response to a request from a web page or from another user's program."""
    detail = "/_local/ accepts requests only from programs of the user who runs the stack, not from web pages."
    return _problem(403, "forbidden", detail)


def _function_status(pool: Pool) -> dict[str, Any]:
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
