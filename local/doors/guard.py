"""Keeping web pages away from `/_local/`: it has no accounts, so it answers this machine's own programs only."""

from collections.abc import Mapping

_LOOPBACK = {"127.0.0.1", "localhost", "[::1]"}
_FOREIGN = {"cross-site", "same-site"}


def is_trusted(headers: Mapping[str, str]) -> bool:
    """Return whether a request comes from a program here rather than from a page in its browser.

    The Host check stops pages whose name was made to resolve to this machine
    (DNS rebinding), the others stop pages that simply call it.
    """
    host = headers.get("host", "")
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    if name.lower() not in _LOOPBACK or headers.get("sec-fetch-site", "none") in _FOREIGN:
        return False
    origin = headers.get("origin")
    return origin is None or origin in (f"http://{host}", f"https://{host}")
