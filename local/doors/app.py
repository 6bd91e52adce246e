"""The front door: `/_local/` to the emulator itself, everything else to the API."""

from collections.abc import MutableMapping
from typing import Any

from starlette.datastructures import Headers
from starlette.routing import Route, Router

from local.doors import admin, invoke, mail
from local.doors.guard import is_trusted
from local.gateway.app import App
from local.gateway.wire import Receive, Send

PREFIX = "/_local/"


class FrontDoor:
    """The ASGI app on the public port."""

    def __init__(self, gateway: App, *, doors: admin.Admin, invoke_endpoint: invoke.InvokeEndpoint, mail_door: mail.MailDoor) -> None:
        self._gateway = gateway
        self._doors = Router(
            [
                Route(admin.STATUS, doors.status),
                Route(admin.SCHEDULE, doors.fire, methods=["POST"]),
                Route(invoke.PATH, invoke_endpoint.__call__, methods=["POST"]),
                Route(mail.PATH, mail_door.list, methods=["GET"]),
                Route(mail.PATH, mail_door.empty, methods=["DELETE"]),
            ],
            redirect_slashes=False,
        )

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if not scope["path"].startswith(PREFIX):
            await self._gateway(scope, receive, send)
        elif is_trusted(Headers(scope=scope)):
            await self._doors(scope, receive, send)
        else:
            await admin.forbidden()(scope, receive, send)
