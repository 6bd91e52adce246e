import pytest
from sqlalchemy import event

from parley.db.engine import make_engine
from parley.settings import DatabaseSettings

IAM = {
    "database_host": "db.example.com",
    "database_port": 5432,
    "database_name": "parley",
    "database_auth": "iam",
    "database_tls": "verify-full",
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


def test_tls_is_verified_against_the_systems_certificates(aws):
    (sent,) = attempts(make_engine(DatabaseSettings.model_validate(IAM)), 1)

    assert (sent["sslmode"], sent["sslrootcert"]) == ("verify-full", "system")


def test_prepared_statements_are_off_since_they_pin_a_proxy(aws):
    (sent,) = attempts(make_engine(DatabaseSettings.model_validate(IAM)), 1)

    assert sent["prepare_threshold"] is None


def test_a_worker_holds_one_connection():
    pool = make_engine(DatabaseSettings.model_validate(IAM)).pool

    assert (pool.size(), pool._max_overflow) == (1, 0)
