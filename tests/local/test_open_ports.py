"""Every port of a running stack is on loopback, documented and protected."""

import contextlib
import http.client
import os
import re
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import psycopg
import pytest

from local import peer
from local.services import pgbouncer
from tests.local.test_up import Up, started
from tests.support.time_limits import HANG_S

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
ROOT = Path(__file__).parents[2]
LISTENING = "0A"
LOOPBACK = "0100007F" if sys.byteorder == "little" else "7F000001"
NOBODY = 65_534


@dataclass(frozen=True)
class OpenPort:
    """A listening socket: its process's row in the table of docs/security.md, its address in hexadecimal, and its port."""

    name: str
    address: str
    port: int


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with started(tmp_path_factory.mktemp("ports") / "data") as found:
        found.invoke({})
        yield found


def family(pid: int) -> list[int]:
    """Return the process and its descendants."""
    try:
        children = [int(child) for file in Path(f"/proc/{pid}/task").glob("*/children") for child in file.read_text().split()]
    except OSError:
        return []
    return [pid, *(one for child in children for one in family(child))]


def open_ports(up: Up) -> list[OpenPort]:
    owners = {inode: pid for pid in family(up.process.pid) for inode in sockets(pid)}
    ports = []
    for table in ("tcp", "tcp6", "udp", "udp6"):
        for fields in map(str.split, Path(f"/proc/net/{table}").read_text().splitlines()[1:]):
            address, port = fields[1].split(":")
            is_bound = fields[3] == LISTENING or table.startswith("udp")
            if is_bound and (pid := owners.get(int(fields[9]))):
                ports.append(OpenPort(name_of(up, pid, int(port, 16)), address, int(port, 16)))
    return ports


def sockets(pid: int) -> Iterator[int]:
    """Yield the inodes of a process's sockets; nothing if it has ended."""
    with contextlib.suppress(OSError):
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                if match := re.fullmatch(r"socket:\[(\d+)\]", str(descriptor.readlink())):
                    yield int(match[1])


def name_of(up: Up, pid: int, port: int) -> str:
    command = Path(f"/proc/{pid}/cmdline").read_bytes().decode().replace("\0", " ")
    if pid == up.process.pid:
        return {up.port: "API", up.queues_port: "Queues"}.get(port, "Runtime API")
    parts = {"local.services.fake_aws.server": "AWS stand-in", "bin/postgres": "PostgreSQL", "pgbouncer.ini": "PgBouncer"}
    return next((name for part, name in parts.items() if part in command), command)


def documented_names() -> set[str]:
    """Return the first column of the table of ports, without remarks."""
    section = (ROOT / "docs" / "security.md").read_text().partition("\n## Ports on a laptop\n")[2]
    rows = section.partition("| promise |")[0].splitlines()
    return {row.split("|")[1].partition("(")[0].strip() for row in rows if row.startswith("|")} - {"port", "---"}


def port_of(up: Up, name: str) -> int:
    return next(one.port for one in open_ports(up) if one.name == name)


def test_every_port_is_documented_and_on_loopback(up: Up) -> None:
    ports = open_ports(up)

    assert {one.name for one in ports} <= documented_names()
    assert {one.address for one in ports} == {LOOPBACK}
    expected = {"API", "Runtime API", "Queues", "AWS stand-in", "PostgreSQL"} | ({"PgBouncer"} if pgbouncer.pgbouncer_program() else set())
    assert {one.name for one in ports} == expected


def test_the_stack_listens_on_no_unix_socket(up: Up) -> None:
    inodes = {inode for pid in family(up.process.pid) for inode in sockets(pid)}
    rows = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()[1:]]
    accepting = 0x10000

    assert [row for row in rows if int(row[3], 16) & accepting and int(row[6]) in inodes] == []


@pytest.mark.parametrize(
    "headers", [{"Host": "evil.example"}, {"Host": "localhost"}, {"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}]
)
def test_a_web_page_takes_no_event_from_a_worker(up: Up, headers: dict[str, str]) -> None:
    url = f"http://{up.invoke({})['environment']['AWS_LAMBDA_RUNTIME_API']}/2018-06-01/runtime/invocation/next"

    assert httpx2.get(url, headers=headers, timeout=10).status_code == 403
    assert up.invoke({"a": 1})["event"] == {"a": 1}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
@pytest.mark.parametrize(
    ("name", "path"),
    [("Runtime API", "/2018-06-01/runtime/invocation/next"), ("API", "/_local/status"), ("AWS stand-in", "/"), ("Queues", "/")],
)
def test_another_user_of_this_machine_is_refused(up: Up, name: str, path: str) -> None:
    # Of the workers, one that stays: others may end while they start.
    worker = int(up.invoke({})["environment"]["AWS_LAMBDA_RUNTIME_API"].rpartition(":")[2])
    port = worker if name == "Runtime API" else port_of(up, name)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=HANG_S)
    os.seteuid(NOBODY)
    try:
        connection.connect()
    finally:
        os.seteuid(0)
    with contextlib.closing(connection):
        connection.request("GET", path)

        assert connection.getresponse().status == 403


@pytest.mark.parametrize("name", ["PostgreSQL", "PgBouncer"])
@pytest.mark.parametrize("role", ["postgres", "parley_owner", "parley_app"])
@pytest.mark.parametrize("password", ["", "postgres"])
def test_the_database_admits_nobody_without_its_random_password(up: Up, name: str, role: str, password: str) -> None:
    if name not in {one.name for one in open_ports(up)}:
        pytest.skip("PgBouncer is not installed")

    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(host="127.0.0.1", port=port_of(up, name), user=role, password=password, dbname="parley", passfile=os.devnull)


@pytest.mark.parametrize("file", ["secrets.json", "pgpass", "aws-credentials"])
def test_the_secrets_of_the_stack_are_readable_by_its_user_only(up: Up, file: str) -> None:
    assert (up.data / file).stat().st_mode & 0o777 == 0o600


TABLE = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
ROW = "   0: {local} {remote} 01 00000000:00000000 00:00000000 00000000 {uid:>5}        0 {inode} 1 0 20 4 30 10 -1\n"
CLIENT, SERVER = f"{LOOPBACK}:1F90", f"{LOOPBACK}:0BB8"


@pytest.mark.parametrize(
    ("owner", "is_own"),
    [
        ({"uid": os.getuid(), "inode": 7}, True),
        ({"uid": 0, "inode": 7}, True),
        ({"uid": NOBODY, "inode": 7}, False),
        # A closed socket belongs to nobody, and the table shows it as root's.
        ({"uid": 0, "inode": 0}, False),
        (None, False),
    ],
)
def test_a_connection_belongs_to_the_user_of_its_socket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: dict[str, int] | None, is_own: bool
) -> None:
    ours = ROW.format(local=SERVER, remote=CLIENT, uid=os.getuid(), inode=8)
    theirs = ROW.format(local=f"0000000000000000FFFF0000{CLIENT}", remote=f"0000000000000000FFFF0000{SERVER}", **owner) if owner else ""
    (tmp_path / "tcp").write_text(TABLE + ours)
    (tmp_path / "tcp6").write_text(TABLE + theirs)
    monkeypatch.setattr(peer, "_TABLES", (tmp_path / "tcp", tmp_path / "tcp6"))

    assert peer.is_own_process(("127.0.0.1", 8080), ("127.0.0.1", 3000)) is is_own


def test_a_system_without_the_table_tells_no_users_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer, "_TABLES", (tmp_path / "missing",))

    assert peer.is_own_process(("127.0.0.1", 8080), ("127.0.0.1", 3000))


@pytest.fixture
def connection() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A connection on loopback: the client's end and the server's."""
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.create_connection(listening.getsockname()) as client:
        server, _ = listening.accept()
        with server:
            yield client, server


def ask_about(server: socket.socket) -> bool:
    return peer.is_own_process(server.getpeername(), server.getsockname())


def test_the_owner_of_a_connection_is_found_without_the_table(
    connection: tuple[socket.socket, socket.socket], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tcp").write_text("a heading\nthe table must not be read")
    monkeypatch.setattr(peer, "_TABLES", (tmp_path / "tcp",))
    client, server = connection
    ends = server.getpeername(), server.getsockname()
    is_own = peer.is_own_process(*ends)
    client.close()

    assert (is_own, peer.is_own_process(*ends)) == (True, False)


def test_a_server_that_listens_on_the_port_of_a_closed_connection_is_not_its_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        ours = ROW.format(local=SERVER, remote=f"{LOOPBACK}:{port:04X}", uid=os.getuid(), inode=8)
        (tmp_path / "tcp").write_text(TABLE + ours)
        monkeypatch.setattr(peer, "_TABLES", (tmp_path / "tcp",))

        assert not peer.is_own_process(("127.0.0.1", port), ("127.0.0.1", 3000))
