"""The ASGI app on the public port: `/_local/` goes to the control API, everything else to the gateway.

The control API has no authentication, so it accepts requests only from programs of the user who runs the stack (on macOS:
of any user of this machine) and rejects web pages.
"""

from collections.abc import MutableMapping
from typing import Any

from starlette.datastructures import Headers
from starlette.routing import Route, Router

from local.control_api import admin, invoke
from local.gateway.app import App
from local.gateway.asgi import Receive, Send
from local.peer import is_own_process
from local.request_origin import is_trusted

PREFIX = "/_local/"


class PublicApp:
    """Dispatches requests to the control API or to the gateway."""

    def __init__(
        self,
        gateway: App,
        *,
        admin_endpoint: admin.AdminEndpoint,
        invoke_endpoint: invoke.InvokeEndpoint,
        mail_endpoint: admin.MailEndpoint,
    ) -> None:
        self._gateway = gateway
        self._control_api = Router(
            [
                Route(admin.STATUS_PATH, admin_endpoint.status),
                Route(admin.SCHEDULE_PATH, admin_endpoint.fire, methods=["POST"]),
                Route(invoke.INVOKE_PATH, invoke_endpoint.__call__, methods=["POST"]),
                Route(admin.MAIL_PATH, mail_endpoint.list, methods=["GET"]),
                Route(admin.MAIL_PATH, mail_endpoint.empty, methods=["DELETE"]),
            ],
            redirect_slashes=False,
        )

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if not scope["path"].startswith(PREFIX):
            await self._gateway(scope, receive, send)
        elif is_trusted(Headers(scope=scope)) and is_own_process(scope["client"], scope["server"]):
            await self._control_api(scope, receive, send)
        else:
            await admin.forbidden_response()(scope, receive, send)
