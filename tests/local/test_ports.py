"""Ports of stacks that start at the same time."""

import asyncio
import sys
from pathlib import Path
from random import Random

import pytest

from local import ports
from local.data_dir import DataDir
from local.ports import ReservedPort, free_port
from local.server import PortTaken, listen
from local.services.stack_services import StackServices

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux holds a port for a server")


def make_services(data: Path) -> StackServices:
    data.mkdir()
    return StackServices(DataDir(data), wants_pgbouncer=True, upload_origins=[], report=print, step=lambda *_: None)


def ports_of(services: StackServices) -> list[int]:
    return [service["port"] for service in services.status().values() if service]


def test_two_stacks_that_draw_the_same_numbers_take_different_ports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stacks = []
    for name in ("one", "two"):
        monkeypatch.setattr(ports, "random", Random(7))
        stacks.append(make_services(tmp_path / name))
    taken = [port for services in stacks for port in ports_of(services)]
    for services in stacks:
        asyncio.run(services.stop())

    assert len(taken) >= 6
    assert len(set(taken)) == len(taken)


def test_the_queues_listen_before_they_serve(tmp_path: Path) -> None:
    services = make_services(tmp_path / "data")
    with pytest.raises(PortTaken):
        listen(services.status()["queues"]["port"])
    asyncio.run(services.stop())


def test_only_a_server_can_bind_a_reserved_port(monkeypatch: pytest.MonkeyPatch) -> None:
    reserved = ReservedPort()
    monkeypatch.setattr(ports, "_RANGE", range(reserved.number, reserved.number + 2))

    assert {free_port() for _ in range(20)} == {reserved.number + 1}
    with listen(reserved.number) as server:
        assert server.getsockname()[1] == reserved.number
