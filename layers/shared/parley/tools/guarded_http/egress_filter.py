"""The egress filter (SSRF guard): host names are resolved once, and only public addresses may be connected to."""

import socket
import threading
from collections.abc import Callable, Collection, Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from parley.tools.guarded_http.errors import AddressRefused, FetchFailed

# https://www.iana.org/assignments/ipv6-unicast-address-assignments: whatever lies outside has another purpose.
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
# Global by number, and yet not somebody's public host: Azure's metadata, and the anycast relays of 6to4 (RFC 7526).
_NOT_PUBLIC = (IPv4Address("168.63.129.16"),)
_RELAYS = "192.88.99."


def is_public(address: str) -> bool:
    """Say whether an address, as a resolver gives it, belongs to a host on the public internet.

    False for loopback, private, link-local, shared (CGNAT), multicast and reserved ones, those of metadata services and
    of Lambda's Runtime API among them, and for IPv6 addresses that carry such a one inside (mapped, 6to4, Teredo, NAT64).
    """
    try:
        found = ip_address(address)
    except ValueError:
        return False
    return _is_public_v4(found) if isinstance(found, IPv4Address) else _is_public_v6(found)


def _is_public_v4(address: IPv4Address) -> bool:
    if address in _NOT_PUBLIC or str(address).startswith(_RELAYS):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _is_public_v6(address: IPv6Address) -> bool:
    if address.scope_id:
        return False
    if address in _NAT64:
        return _is_public_v4(IPv4Address(address.packed[-4:]))
    # 6to4 and Teredo are not global; an outlier among the registry's exceptions is refused by what it carries.
    inner = address.sixtofour or (address.teredo or (None, None))[1]
    return address in _GLOBAL_UNICAST and address.is_global and not address.is_multicast and inner is None


type ResolveHost = Callable[[str, int], Sequence[str]]


def system_addresses(host: str, port: int) -> Sequence[str]:
    """Return what the system's resolver knows, in its order. Raises OSError or UnicodeError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[4][0]) for address in found))


class EgressFilter:
    """Turns names into addresses that may be connected to.

    `allowed` are hosts ("name" or "name:port") that may be anything, for development: their addresses are not judged.
    """

    def __init__(self, allowed: Collection[str] = (), *, resolve: ResolveHost = system_addresses) -> None:
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
