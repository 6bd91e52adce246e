"""Which addresses are the public internet's."""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

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
