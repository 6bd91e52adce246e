"""Find free loopback ports."""

import random
import socket
import sys
import weakref

from local.server import HOST

# Below the ephemeral range, from which an outgoing connection could take the port before it is bound.
_RANGE = range(20_000, 32_000)


class ReservedPort:
    """A free loopback port for a server that starts later. No other stack takes the port until this object is gone.

    On Linux, a socket that is bound but does not listen holds the port. A server can bind it too, because servers set SO_REUSEADDR.
    `ReservedPort` and `free_port` do not set it, and so take another port. On other systems the port is only free now.
    """

    def __init__(self) -> None:
        holder = _bound_socket()
        self.number = int(holder.getsockname()[1])
        if sys.platform == "linux":
            # After the bind. Both sockets must have the option for the server's bind to succeed.
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            weakref.finalize(self, holder.close)
        else:
            holder.close()


def free_port() -> int:
    """Return a loopback port that is free now. Bind it soon, because it is not reserved."""
    with _bound_socket() as probe:
        return int(probe.getsockname()[1])


def _bound_socket() -> socket.socket:
    """Return a socket that is bound to a free port."""
    while True:
        bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            bound.bind((HOST, random.choice(_RANGE)))  # noqa: S311 - stacks only need different ports
        except OSError:
            bound.close()
        else:
            return bound
