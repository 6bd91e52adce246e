"""The address of a Parley: which one a command talks to, and its one spelling."""

import ipaddress
import os
from urllib.parse import SplitResult, urlsplit

import click


def default_address(last_url: str | None) -> str:
    """Return the address of the last login, else that of a stack on this computer."""
    return last_url or f"http://127.0.0.1:{os.environ.get('PARLEY_PORT') or 3000}"


def normalised(url: str) -> str:
    """Return `url` as sessions are kept under it: lower-case host, no slash at the end, a stage path kept.

    Raises a usage error for what is no http(s) address or carries a user, a query or a fragment.
    """
    parts = _split(url)
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment or "@" in parts.netloc:
        raise click.UsageError(f"{url!r} is not an address of Parley. Write it like http://127.0.0.1:3000")
    return f"{parts.scheme}://{parts.netloc.lower()}{parts.path.rstrip('/')}"


def origin_of(url: str) -> str:
    """Return the server's part of an address, which another server may have signed."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def is_loopback(url: str) -> bool:
    """Whether the address is on this computer."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url.strip())
        _ = parts.port  # raises for a port that is no number
    except ValueError:
        return None
    return parts
