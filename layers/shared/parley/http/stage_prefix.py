"""The part of a request's path before its route. It is apart from `dependencies` so that the web function loads no database."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Depends, Request


def stage_prefix_of(event: Mapping[str, Any]) -> str:
    """Return the part of the request's path before the route: `/prod` on an API's default domain, the base path or nothing on others."""
    context = event["requestContext"]
    path, route = str(context.get("path", "")), str(context.get("resourcePath", ""))
    return path.removesuffix("/") if route == "/" else path.removesuffix(route) if path.endswith(route) else ""


async def _stage_prefix(request: Request) -> str:
    return stage_prefix_of(request.scope["aws.event"])


StagePrefix = Annotated[str, Depends(_stage_prefix)]
