"""Look up the system user at the other end of a loopback connection.

Linux answers a query for one connection (sock_diag(7)). If it does not, its table of all connections is read, which takes milliseconds
for each thousand connections: https://docs.kernel.org/networking/proc_net_tcp.html
"""

import contextlib
import os
import socket
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
# From linux/netlink.h, linux/sock_diag.h and linux/inet_diag.h.
_NETLINK_SOCK_DIAG, _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST = 4, 20, 1
# nlmsghdr; family, protocol and state mask of inet_diag_req_v2; ports and addresses; interface and cookie: any.
_QUERY = struct.Struct("=IHHII BBBBI 4s16s16s III")
# nlmsghdr; family and state of inet_diag_msg; ports; addresses, interface, cookie, timer and queues; uid and inode.
_REPLY = struct.Struct("=IHHII BBBB 4s 56x II")
_ANY = 0xFFFFFFFF
_QUERY_TIMEOUT_S = 1.0
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
    if (row := _queried_row(peer, here)) is not None:
        return _is_ours(row)
    client, server = _hexadecimal(peer), _hexadecimal(here)
    rows = list(_rows())
    # An IPv6 address ends with the IPv4 address that is mapped into it.
    owners = [row for row in rows if row.local.endswith(client) and row.remote.endswith(server)]
    if not owners:
        return not any(row.local.endswith(server) and row.remote.endswith(client) for row in rows)
    return all(map(_is_ours, owners))


def _is_ours(row: _Row) -> bool:
    return bool(row.inode) and row.uid in (0, os.getuid())


def _queried_row(peer: Address, here: Address) -> _Row | None:
    """Ask the kernel for the end of a connection that `peer` holds. Return None if it knows none, or answers no queries."""
    if sys.platform != "linux":
        return None
    ports, addresses = struct.pack("!HH", peer[1], here[1]), [socket.inet_aton(host) for host, _ in (peer[:2], here[:2])]
    query = _QUERY.pack(
        *(_QUERY.size, _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, 1, 0),
        *(socket.AF_INET, socket.IPPROTO_TCP, 0, 0, _ANY),
        *(ports, *addresses),
        *(0, _ANY, _ANY),
    )
    with contextlib.suppress(OSError, struct.error):
        with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, _NETLINK_SOCK_DIAG) as netlink:
            netlink.settimeout(_QUERY_TIMEOUT_S)
            netlink.sendto(query, (0, 0))
            reply = _REPLY.unpack_from(netlink.recv(4096))
        # Instead of a connection, the kernel may return a socket that listens on the port of `peer`. It has no remote port.
        if reply[1] == _SOCK_DIAG_BY_FAMILY and reply[9] == ports:
            return _Row(_hexadecimal(peer), _hexadecimal(here), uid=reply[10], inode=reply[11])
    return None


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
