"""The ASGI app on the public port: `/_local/` goes to the control API, everything else to the gateway.

The control API has no authentication, so it accepts requests from programs on this machine only and rejects web pages.
"""

from collections.abc import Mapping, MutableMapping
from typing import Any

from starlette.datastructures import Headers
from starlette.routing import Route, Router

from local.control_api import admin, invoke
from local.gateway.app import App
from local.gateway.asgi import Receive, Send

_LOOPBACK_NAMES = {"127.0.0.1", "localhost", "[::1]"}
_FOREIGN_SITES = {"cross-site", "same-site"}
PREFIX = "/_local/"


def is_trusted(headers: Mapping[str, str]) -> bool:
    """Return whether a request comes from a program on this machine rather than from a web page in a browser.

    The Host check stops DNS rebinding: pages whose host name resolves to this machine. The checks of Sec-Fetch-Site and
    Origin stop pages that request the address directly.
    """
    host = headers.get("host", "")
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    if name.lower() not in _LOOPBACK_NAMES or headers.get("sec-fetch-site", "none") in _FOREIGN_SITES:
        return False
    origin = headers.get("origin")
    return origin is None or origin in (f"http://{host}", f"https://{host}")


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
        elif is_trusted(Headers(scope=scope)):
            await self._control_api(scope, receive, send)
        else:
            await admin.forbidden_response()(scope, receive, send)
