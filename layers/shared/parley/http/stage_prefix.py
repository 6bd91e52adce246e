"""The part of a request's path before its route, and the API's public address.

It is apart from `dependencies` so that the web function loads no database.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Depends, Request

from parley.errors import InvalidInput

_HOST_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789.-:[]")


def stage_prefix_of(event: Mapping[str, Any]) -> str:
    """Return the part of the request's path before the route: `/prod` on an API's default domain, the base path or nothing on others."""
    context = event["requestContext"]
    path, route = str(context.get("path", "")), str(context.get("resourcePath", ""))
    prefix = path if route == "/" else _before(path.split("/"), route.split("/")[1:])
    # Exactly one slash: a browser takes a `Location` that begins with two, or with a slash and a backslash, for another host.
    stripped = prefix.strip("/\\")
    return f"/{stripped}" if stripped else ""


def _before(path: list[str], route: list[str]) -> str:
    """Return what precedes the segments of the route, of which `{id}` stands for any, or nothing if the path does not end with them."""
    start = len(path) - len(route)
    is_end = start > 0 and all(name.startswith("{") or name == segment for name, segment in zip(route, path[start:], strict=True))
    return "/".join(path[:start]) if is_end else ""


async def _stage_prefix(request: Request) -> str:
    return stage_prefix_of(request.scope["aws.event"])


StagePrefix = Annotated[str, Depends(_stage_prefix)]


def public_url_of(event: Mapping[str, Any]) -> str:
    """Return the address at which the client reached the API, without a slash at the end, such as `https://chat.example.com/prod`.

    It repeats the client's Host header, so use it only in the answer to this client. Raises InvalidInput for a malformed host.
    """
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    host = headers.get("host", "").lower()
    if not host or not _HOST_CHARACTERS.issuperset(host):
        raise InvalidInput("not a host name", loc=("header", "Host"))
    # API Gateway sets this header itself, whatever the client sends.
    scheme = "http" if headers.get("x-forwarded-proto", "").lower() == "http" else "https"
    return f"{scheme}://{host}{stage_prefix_of(event)}"


async def _public_url(request: Request) -> str:
    return public_url_of(request.scope["aws.event"])


PublicUrl = Annotated[str, Depends(_public_url)]
