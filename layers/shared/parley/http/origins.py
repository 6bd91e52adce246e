"""Refusal of pages whose origin may not call a route."""

from starlette.requests import Request

from parley.errors import Forbidden
from parley.http.dependencies import origin_of
from parley.http.middleware import AllowedOrigins


class ForeignOrigin(Forbidden):
    """The request comes from a page whose origin may not call this route."""

    code = "foreign_origin"
    public_message = "Pages of this origin may not call this route. The parameter AllowedOrigin lists the origins that may."


def require_known_origin(request: Request) -> None:
    """Raise ForeignOrigin if a page of another origin sent the request. Programs send no origin."""
    origin, host = request.headers.get("origin"), request.headers.get("host", "")
    allowed: AllowedOrigins = request.app.state.allowed_origins
    address = origin_of(request.scope["aws.event"]).address
    if origin is not None and not allowed.allows(origin, host=host, address=address):
        raise ForeignOrigin(f"origin of {len(origin)} characters")
