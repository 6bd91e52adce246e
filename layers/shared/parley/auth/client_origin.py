"""Where a request comes from: the client's address and user agent."""

import ipaddress
from dataclasses import dataclass

MAX_USER_AGENT_LENGTH = 300


@dataclass(frozen=True, slots=True)
class ClientOrigin:
    """The client's address, as the gateway saw it, and what it calls itself."""

    address: str
    user_agent: str | None = None

    @property
    def network(self) -> str:
        """What counts as one place: an IPv4 address, or the 64 bits of IPv6 that one customer gets."""
        try:
            address = ipaddress.ip_address(self.address)
        except ValueError:
            return self.address
        return str(address) if address.version == 4 else str(ipaddress.ip_network((address, 64), strict=False))
