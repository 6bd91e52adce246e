"""The web origins whose pages may call the API, from the parameter `AllowedOrigin`: `*`, or origins separated by commas."""

from urllib.parse import urlsplit

from starlette.requests import Request

from parley.errors import Forbidden

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class ForeignOrigin(Forbidden):
    """The request comes from a page whose origin may not call this route."""

    code = "foreign_origin"
    public_message = "Pages of this origin may not call this route. The parameter AllowedOrigin lists the origins that may."


class AllowedOrigins:
    """The origins of a deployment."""

    def __init__(self, setting: str) -> None:
        self._origins = [origin.strip().rstrip("/") for origin in setting.split(",") if origin.strip()] or ["*"]

    @property
    def varies(self) -> bool:
        """Whether responses differ by the request's origin."""
        return len(self._origins) > 1

    def header_for(self, origin: str | None) -> str:
        """Return the value of `Access-Control-Allow-Origin` for a request: its origin if it is one of several, else the first."""
        return origin if origin in self._origins and origin else self._origins[0]

    def allows(self, origin: str, *, host: str) -> bool:
        """Return whether a page of `origin` may call the server at `host`.

        With `*`, a server on a loopback address serves only pages of this computer: any other page that reaches it has rebound a
        name in the DNS. A public server is protected by its certificate.
        """
        if "*" not in self._origins:
            return origin in self._origins
        return _name_of(f"//{host}") not in _LOOPBACK or _name_of(origin) in _LOOPBACK


def require_known_origin(request: Request) -> None:
    """Raise ForeignOrigin if a page of another origin sent the request. Programs send no origin."""
    origin, host = request.headers.get("origin"), request.headers.get("host", "")
    allowed: AllowedOrigins = request.app.state.allowed_origins
    if origin is not None and not allowed.allows(origin, host=host):
        raise ForeignOrigin(f"origin of {len(origin)} characters")


def _name_of(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None
