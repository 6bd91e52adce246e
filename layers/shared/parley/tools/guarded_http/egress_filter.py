"""The egress filter (SSRF guard): host names are resolved once, and connections are allowed only to public addresses."""

import socket
import threading
from collections.abc import Callable, Collection, Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from parley.tools.guarded_http.errors import AddressRefused, FetchFailed

type ResolveHost = Callable[[str, int], Sequence[str]]

# https://www.iana.org/assignments/ipv6-unicast-address-assignments: all other IPv6 ranges serve other purposes.
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
# 6to4 and Teredo: each of their addresses embeds an IPv4 address. They are not global, but the registry may list exceptions.
_EMBEDDING = (IPv6Network("2002::/16"), IPv6Network("2001::/32"))
# Global addresses that are not public hosts: Azure's metadata service, and the anycast relays of 6to4 (RFC 7526).
_NOT_PUBLIC = (IPv4Address("168.63.129.16"),)
_RELAYS = "192.88.99."


def is_public(address: str) -> bool:
    """Return whether an IP address, as returned by a resolver, belongs to a host on the public internet.

    False for loopback, private, link-local, shared (CGNAT), multicast and reserved addresses, which include metadata
    services and Lambda's Runtime API, and for IPv6 addresses that embed such an address (mapped, 6to4, Teredo, NAT64).
    """
    try:
        ip = ip_address(address)
    except ValueError:
        return False
    return _is_public_v4(ip) if isinstance(ip, IPv4Address) else _is_public_v6(ip)


def _is_public_v4(address: IPv4Address) -> bool:
    if address in _NOT_PUBLIC or str(address).startswith(_RELAYS):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _is_public_v6(address: IPv6Address) -> bool:
    if address.scope_id:
        return False
    if address in _NAT64:
        return _is_public_v4(IPv4Address(address.packed[-4:]))
    if any(address in network for network in _EMBEDDING):
        return False
    return address in _GLOBAL_UNICAST and address.is_global


def system_addresses(host: str, port: int) -> Sequence[str]:
    """Return the addresses from the system's resolver, in its order. Raises OSError or UnicodeError."""
    resolved = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[4][0]) for address in resolved))


class EgressFilter:
    """Resolves host names, and refuses hosts with an address that is not public.

    The addresses of `allowed` hosts ("name" or "name:port") are not checked; they are for development.
    """

    def __init__(self, allowed: Collection[str] = (), *, resolve: ResolveHost = system_addresses) -> None:
        self._allowed = frozenset(host.strip().lower() for host in allowed if host.strip())
        self._resolve = resolve

    def admit(self, host: str, port: int, *, timeout_s: float) -> Sequence[str]:
        """Return the addresses of a host. Connect only to these addresses: resolving the name again may return others.

        Raises AddressRefused if any of them is not public, and FetchFailed if the host is not resolved within `timeout_s`.
        """
        name = host.strip("[]").lower()
        addresses = self._resolve_in_time(name, port, timeout_s)
        if self._allowed.isdisjoint({name, f"{name}:{port}"}) and not all(map(is_public, addresses)):
            raise AddressRefused("This address is not on the public internet.", evidence=f"{host!r}:{port} is {', '.join(addresses)}")
        return addresses

    def _resolve_in_time(self, host: str, port: int, timeout_s: float) -> Sequence[str]:
        """Resolve in a thread, because a resolver has no timeout."""
        results: list[Sequence[str]] = []

        def resolve() -> None:
            try:
                results.append(self._resolve(host, port))
            except (OSError, UnicodeError):
                results.append(())

        thread = threading.Thread(target=resolve, daemon=True)
        thread.start()
        thread.join(max(timeout_s, 0))
        if not results or not results[0]:
            raise FetchFailed("The host of this address was not found.", evidence=f"{host!r}")
        return results[0]
