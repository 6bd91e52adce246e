"""Who is let through: names are resolved once, and what they stand for is judged."""

import socket
import threading
from collections.abc import Callable, Collection, Sequence

from parley.tools.guarded_http.addresses import is_public
from parley.tools.guarded_http.errors import AddressRefused, FetchFailed

type Resolve = Callable[[str, int], Sequence[str]]


def system_addresses(host: str, port: int) -> Sequence[str]:
    """Return what the system's resolver knows, in its order. Raises OSError or UnicodeError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[4][0]) for address in found))


class Gate:
    """Turns names into addresses that may be connected to.

    `allowed` are hosts ("name" or "name:port") that may be anything, for development: their addresses are not judged.
    """

    def __init__(self, allowed: Collection[str] = (), *, resolve: Resolve = system_addresses) -> None:
        self._allowed = frozenset(host.strip().lower() for host in allowed if host.strip())
        self._resolve = resolve

    def admit(self, host: str, port: int, *, timeout_s: float) -> Sequence[str]:
        """Return the addresses of a host, to be connected to as they are: a second look may find others.

        Raises AddressRefused if one of them is not public, FetchFailed if the host is not found within `timeout_s`.
        """
        name = host.strip("[]").lower()
        found = self._found(name, port, timeout_s)
        if self._allowed.isdisjoint({name, f"{name}:{port}"}) and not all(map(is_public, found)):
            raise AddressRefused("This address is not on the public internet.", evidence=f"{host!r}:{port} is {', '.join(found)}")
        return found

    def _found(self, host: str, port: int, timeout_s: float) -> Sequence[str]:
        """Resolve in a thread of its own: nothing else bounds how long a resolver takes."""
        answer: list[Sequence[str]] = []

        def ask() -> None:
            try:
                answer.append(self._resolve(host, port))
            except (OSError, UnicodeError):
                answer.append(())

        asking = threading.Thread(target=ask, daemon=True)
        asking.start()
        asking.join(max(timeout_s, 0))
        if not answer or not answer[0]:
            raise FetchFailed("The host of this address cannot be found.", evidence=f"{host!r}")
        return answer[0]
