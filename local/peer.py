"""Look up the system user at the other end of a loopback connection in the kernel's table of connections.

https://docs.kernel.org/networking/proc_net_tcp.html
"""

import os
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
type Address = tuple[str, int]


@dataclass(frozen=True)
class _Row:
    """One end of a connection. `uid` and `inode` are zero once the process has closed its end."""

    local: str
    remote: str
    uid: int
    inode: int


def is_own_process(peer: Address, here: Address) -> bool:
    """Return whether the connection from `peer` to `here` belongs to a process of this user, or of root.

    Always True on a system without that table (macOS), where a server cannot tell the machine's users apart.
    """
    client, server = _hexadecimal(peer), _hexadecimal(here)
    rows = list(_rows())
    # An IPv6 address ends with the IPv4 address that is mapped into it.
    owners = [row for row in rows if row.local.endswith(client) and row.remote.endswith(server)]
    if not owners:
        return not any(row.local.endswith(server) and row.remote.endswith(client) for row in rows)
    return all(row.inode and row.uid in (0, os.getuid()) for row in owners)


def _rows() -> Iterator[_Row]:
    for table in _TABLES:
        try:
            lines = table.read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for fields in map(str.split, lines):
            yield _Row(local=fields[1], remote=fields[2], uid=int(fields[7]), inode=int(fields[9]))


def _hexadecimal(address: Address) -> str:
    """Return an IPv4 address and a port in the table's notation: hexadecimal, the address in the machine's byte order."""
    host, port = address[:2]
    return f"{int.from_bytes(socket.inet_aton(host), sys.byteorder):08X}:{port:04X}"
