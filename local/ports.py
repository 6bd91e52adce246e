"""Free ports."""

import socket

from local.server import HOST


def free_port() -> int:
    """Return a loopback port that is free now; whoever binds it should do so soon."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as found:
        found.bind((HOST, 0))
        port: int = found.getsockname()[1]
        return port
