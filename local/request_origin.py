"""Distinguish programs on this machine from web pages, by the Host header and the headers that browsers add."""

from collections.abc import Mapping

_LOOPBACK_NAMES = {"127.0.0.1", "localhost", "[::1]"}
_FOREIGN_SITES = {"cross-site", "same-site"}


def is_trusted(headers: Mapping[str, str]) -> bool:
    """Return whether a request comes from a program on this machine, or from a page of the server that it calls.

    The Host check stops DNS rebinding: pages whose host name resolves to this machine. The checks of Sec-Fetch-Site and
    Origin stop pages that request the address directly.
    """
    host = headers.get("host", "")
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    if name.lower() not in _LOOPBACK_NAMES or headers.get("sec-fetch-site", "none") in _FOREIGN_SITES:
        return False
    origin = headers.get("origin")
    return origin is None or origin in (f"http://{host}", f"https://{host}")


def was_sent_by_page(headers: Mapping[str, str]) -> bool:
    """Return whether a browser sent the request on behalf of a page. Sec-Fetch-Site is `none` if the user entered the address."""
    return "origin" in headers or headers.get("sec-fetch-site", "none") != "none"


def loopback_hosts(port: int) -> frozenset[str]:
    """Return the Host headers that name a server on this port of the IPv4 loopback address."""
    return frozenset({f"127.0.0.1:{port}", f"localhost:{port}"})


def page_origins(port: int) -> frozenset[str]:
    """Return the origins of the pages of a server on this port."""
    return frozenset(f"http://{host}" for host in loopback_hosts(port))
