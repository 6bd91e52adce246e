from pathlib import Path

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from parley.db.engine import make_engine
from parley.settings import DatabaseSettings
from tests.fakes.tls_postgres import REACHED, Authority, tls_postgres

IAM = {
    "database_host": "db.example.com",
    "database_port": 5432,
    "database_name": "parley",
    "database_auth": "iam",
    "database_tls": "verify-full",
    "database_ca_file": "",
}


class Refused(Exception):
    """Stops a connection attempt before it goes out."""


def attempts(engine, count):
    """Try to connect and return what would have been sent."""
    sent = []

    @event.listens_for(engine, "do_connect")
    def refuse(dialect, record, args, parameters):
        sent.append(dict(parameters))
        raise Refused

    for _ in range(count):
        with pytest.raises(Refused):
            engine.connect()
    return sent


def test_an_iam_token_is_minted_for_each_connection(aws):
    first, second = attempts(make_engine(DatabaseSettings.model_validate(IAM), role="background"), 2)

    assert "Action=connect" in first["password"]
    assert "DBUser=parley_background" in second["password"]


def test_tls_is_verified_against_public_certificates_and_amazons(aws):
    (sent,) = attempts(make_engine(DatabaseSettings.model_validate(IAM)), 1)

    assert sent["sslmode"] == "verify-full"
    assert "Amazon Root CA 1" in Path(sent["sslrootcert"]).read_text()


@pytest.fixture(scope="module")
def authority():
    return Authority("the database's")


@pytest.fixture
def server(authority, tmp_path):
    with tls_postgres(authority, host="localhost", folder=tmp_path) as port:
        yield {"database_host": "localhost", "database_port": port, "database_auth": "libpq"}


def connect(server, ca_file):
    settings = DatabaseSettings.model_validate(IAM | server | {"database_ca_file": str(ca_file)})
    with make_engine(settings).connect():
        pass


def test_a_server_whose_authority_is_in_the_file_is_trusted(server, authority, tmp_path):
    with pytest.raises(OperationalError, match=REACHED):
        connect(server, authority.write(tmp_path / "ca.pem"))


def test_a_server_of_another_authority_is_not(server, tmp_path):
    with pytest.raises(OperationalError, match="certificate verify failed"):
        connect(server, Authority("somebody else's").write(tmp_path / "other.pem"))


def test_a_private_authority_is_not_among_the_public_ones(server):
    with pytest.raises(OperationalError, match="certificate verify failed"):
        connect(server, "")


def test_a_server_of_another_name_is_not_trusted(server, authority, tmp_path):
    with pytest.raises(OperationalError, match="does not match host name"):
        connect(server | {"database_host": "127.0.0.1"}, authority.write(tmp_path / "ca.pem"))


def test_prepared_statements_are_off_since_they_pin_a_proxy(aws):
    (sent,) = attempts(make_engine(DatabaseSettings.model_validate(IAM)), 1)

    assert sent["prepare_threshold"] is None


def test_a_worker_holds_one_connection():
    pool = make_engine(DatabaseSettings.model_validate(IAM)).pool

    assert (pool.size(), pool._max_overflow) == (1, 0)
