"""The origin of a request: the client's address and user agent."""

import ipaddress
from dataclasses import dataclass

MAX_USER_AGENT_LENGTH = 300


@dataclass(frozen=True, slots=True)
class ClientOrigin:
    """The client's address as the gateway saw it, and the User-Agent header it sent."""

    address: str
    user_agent: str | None = None

    @property
    def network(self) -> str:
        """The network that login limits count: an IPv4 address, or the first 64 bits of an IPv6 address, which one customer has."""
        try:
            address = ipaddress.ip_address(self.address)
        except ValueError:
            return self.address
        return str(address) if address.version == 4 else str(ipaddress.ip_network((address, 64), strict=False))

    @property
    def region(self) -> str | None:
        """The network that the audit of the deployment stores: 24 bits of an IPv4 address, or 48 bits of an IPv6 address.

        Many customers share such a network, so it does not tell one from the others.
        """
        try:
            address = ipaddress.ip_address(self.address)
        except ValueError:
            return None
        return str(ipaddress.ip_network((address, 24 if address.version == 4 else 48), strict=False))
