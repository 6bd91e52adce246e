"""Free ports."""

import random
import socket

from local.server import HOST

# Below the range from which systems give ports to outgoing connections: one of those could take it before it is bound.
_RANGE = range(20_000, 32_000)


def free_port() -> int:
    """Return a loopback port that is free now; whoever binds it should do so soon."""
    while True:
        port = random.choice(_RANGE)  # noqa: S311 - two stacks at once only need different ones
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as found:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                found.bind((HOST, port))
            except OSError:
                continue
            return port
