"""`parley up --database`: a PostgreSQL server that the emulator uses but does not run."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from local.ports import free_port
from local.services.postgres import ExternalPostgres
from local.services.supervisor import ServiceFailed
from tests.local.test_up import local, started
from tests.support.postgres import RunningPostgres, running_postgres


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPostgres]:
    # A server of its own: `parley up` sets new passwords for Parley's roles.
    with running_postgres(tmp_path_factory.mktemp("external")) as running:
        yield running


def test_the_stack_uses_the_server_and_leaves_it_running(server: RunningPostgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARLEY_DATABASE_URL", server.superuser_url)
    with started(tmp_path / "data", "--no-pgbouncer") as up:
        status = up.get("/_local/status")["services"]["postgres"]
        with up.connect("parley_app") as connection:
            assert connection.execute("SELECT current_user").fetchone() == ("parley_app",)

    assert (status["port"], status["pid"]) == (server.port, None)
    assert not (tmp_path / "data" / "postgres").exists()
    assert server.execute("SELECT 1") == [(1,)]


def test_the_aws_stand_in_listens_on_the_port_that_was_chosen(server: RunningPostgres, tmp_path: Path) -> None:
    port = free_port()
    with started(tmp_path / "data", "--no-pgbouncer", "--database", server.superuser_url, "--aws-port", str(port)) as up:
        assert up.get("/_local/status")["services"]["aws"]["port"] == port


def test_a_wrong_password_is_reported_without_waiting(server: RunningPostgres, tmp_path: Path) -> None:
    url = f"postgresql://postgres:wrong@127.0.0.1:{server.port}"

    refused = local("up", "--data", str(tmp_path / "data"), "--port", str(free_port()), "--database", url)

    assert refused.returncode == 1
    assert f"PostgreSQL at 127.0.0.1:{server.port} does not accept the login" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize(
    ("url", "missing"),
    [("postgresql://postgres@db:5432", "password"), ("postgresql://:secret@db", "user"), ("postgresql://postgres:secret@/x", "host")],
)
def test_an_incomplete_address_is_refused(url: str, missing: str) -> None:
    with pytest.raises(ServiceFailed, match=f"no {missing}"):
        ExternalPostgres(url)
