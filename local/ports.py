"""Find free loopback ports."""

import random
import socket

from local.server import HOST

# Below the ephemeral range, from which an outgoing connection could take the port before it is bound.
_RANGE = range(20_000, 32_000)


def free_port() -> int:
    """Return a loopback port that is free now. Bind it soon, because it is not reserved."""
    while True:
        port = random.choice(_RANGE)  # noqa: S311 - concurrent stacks only need different ports
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port
