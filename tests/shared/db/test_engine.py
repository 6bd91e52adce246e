from pathlib import Path

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import DataError, OperationalError

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
    """Raised to stop a connection attempt before anything is sent."""


def attempts(engine, count):
    """Try to connect `count` times and return the parameters of each attempt."""
    sent = []

    @event.listens_for(engine, "do_connect")
    def refuse(dialect, record, args, parameters):
        sent.append(dict(parameters))
        raise Refused

    for _ in range(count):
        with pytest.raises(Refused):
            engine.connect()
    return sent


def test_each_connection_gets_its_own_iam_token(aws):
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


def test_a_server_certified_by_the_ca_file_is_trusted(server, authority, tmp_path):
    with pytest.raises(OperationalError, match=REACHED):
        connect(server, authority.write(tmp_path / "ca.pem"))


def test_a_server_certified_by_another_ca_is_not_trusted(server, tmp_path):
    with pytest.raises(OperationalError, match="certificate verify failed"):
        connect(server, Authority("somebody else's").write(tmp_path / "other.pem"))


def test_a_private_ca_is_not_trusted_by_default(server):
    with pytest.raises(OperationalError, match="certificate verify failed"):
        connect(server, "")


def test_a_certificate_for_another_host_name_is_not_trusted(server, authority, tmp_path):
    with pytest.raises(OperationalError, match="does not match host name"):
        connect(server | {"database_host": "127.0.0.1"}, authority.write(tmp_path / "ca.pem"))


def test_prepared_statements_are_disabled(aws):
    (sent,) = attempts(make_engine(DatabaseSettings.model_validate(IAM)), 1)

    assert sent["prepare_threshold"] is None


def test_an_error_does_not_show_the_values_of_a_statement(run):
    with pytest.raises(DataError, match="division by zero") as error:
        run(lambda connection: connection.execute(text("SELECT 1 / CAST(:zero AS integer), :said"), {"zero": 0, "said": "a secret"}))

    assert "a secret" not in str(error.value)


def test_a_worker_has_one_connection():
    pool = make_engine(DatabaseSettings.model_validate(IAM)).pool

    assert (pool.size(), pool._max_overflow) == (1, 0)
