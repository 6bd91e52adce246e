"""Logging in with IAM tokens and with a password from Secrets Manager, over verified TLS, to a real PostgreSQL behind a proxy."""

import json
import socket
import time

import boto3
import psycopg
import pytest
import time_machine
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from parley.aws import client as client_module
from parley.aws.secrets import SecretUnreadable
from parley.db import engine as engine_module
from parley.db.engine import REREAD_S, DatabaseWaking, make_engine
from parley.db.transactions import global_scope
from parley.errors import problem_document
from parley.settings import DatabaseSettings
from tests.fakes.rds_proxy import IamTokens, rds_proxy
from tests.fakes.tls_postgres import Authority
from tests.support.pgbouncer import read_passwords, running_pgbouncer

WHO = text("SELECT current_user")


@pytest.fixture(scope="module")
def authority():
    return Authority("the proxy's")


@pytest.fixture(scope="module")
def upstream(postgres, database):
    passwords = read_passwords(postgres.passfile)

    def connect(user):
        return psycopg.connect(host="127.0.0.1", port=postgres.port, dbname="parley", user=user, password=passwords[user])

    return connect


@pytest.fixture
def proxied(authority, upstream, tmp_path):
    """A function that starts a proxy with this check and returns it with the settings for it."""
    contexts = []

    def start(check, **settings):
        context = rds_proxy(check, upstream=upstream, authority=authority, folder=tmp_path)
        proxy = context.__enter__()
        contexts.append(context)
        values = {
            "database_host": "localhost",
            "database_port": proxy.port,
            "database_name": "parley",
            "database_tls": "verify-full",
            "database_ca_file": str(authority.write(tmp_path / "ca.pem")),
        }
        return proxy, DatabaseSettings.model_validate(values | settings)

    yield start
    for context in contexts:
        context.__exit__(None, None, None)


@pytest.fixture
def tokens(monkeypatch):
    """A check of tokens that are signed with credentials of this test, whichever ones earlier tests have left in this process."""
    for name, value in {"AWS_ACCESS_KEY_ID": "signer", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "eu-west-1"}.items():
        monkeypatch.setenv(name, value)
    for clients in (client_module._session, engine_module._rds):
        clients.cache_clear()
    yield IamTokens(boto3.Session().get_credentials(), region="eu-west-1", host="localhost")
    for clients in (client_module._session, engine_module._rds):
        clients.cache_clear()


@pytest.mark.parametrize("role", ["app", "background", "owner"])
def test_a_token_logs_in_as_its_role_through_the_proxy(proxied, tokens, role):
    proxy, settings = proxied(tokens, database_auth="iam")
    tokens.port = proxy.port
    engine = make_engine(settings, role=role)

    with global_scope(engine) as connection:
        assert connection.scalar(WHO) == f"parley_{role}"
        assert connection.scalar(text("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")) is False  # TLS ends at the proxy
        assert connection.connection.driver_connection.pgconn.ssl_in_use
    engine.dispose()


def test_a_connection_opened_an_hour_later_has_a_fresh_token(proxied, tokens):
    proxy, settings = proxied(tokens, database_auth="iam")
    tokens.port = proxy.port
    engine = make_engine(settings)
    with global_scope(engine):
        pass
    engine.dispose()

    with time_machine.travel(time.time() + 3600, tick=True), global_scope(engine) as connection:
        assert connection.scalar(WHO) == "parley_app"
    assert proxy.refused == 0
    engine.dispose()


def test_the_fake_proxy_refuses_old_tokens_and_tokens_of_another_role(tokens):
    tokens.port = 5432
    token = boto3.Session().client("rds").generate_db_auth_token(DBHostname="localhost", Port=5432, DBUsername="parley_app")

    assert tokens("parley_app", token)
    assert not tokens("parley_owner", token)
    assert not tokens("parley_owner", token.replace("parley_app", "parley_owner"))
    with time_machine.travel(time.time() + 901, tick=True):
        assert not tokens("parley_app", token)


@pytest.fixture
def secret():
    client = boto3.client("secretsmanager")
    created = client.create_secret(Name="database-app", SecretString=json.dumps({"username": "parley_app", "password": "first"}))
    yield created["ARN"], lambda text: client.put_secret_value(SecretId=created["ARN"], SecretString=text)
    client.delete_secret(SecretId=created["ARN"], ForceDeleteWithoutRecovery=True)


@pytest.fixture
def reads(monkeypatch):
    """The secrets that were read, in order."""
    names = []
    read = engine_module.read_secret
    monkeypatch.setattr(engine_module, "read_secret", lambda name: names.append(name) or read(name))
    return names


@pytest.fixture
def accepted():
    return {"password": "first"}


@pytest.fixture
def by_password(proxied, secret, accepted):
    proxy, settings = proxied(lambda _, password: password == accepted["password"], database_auth="secret", database_app_secret=secret[0])
    engine = make_engine(settings)
    yield engine, proxy
    engine.dispose()


def test_a_password_is_read_once_and_kept(by_password, reads):
    engine, _ = by_password
    for _ in range(3):
        with global_scope(engine) as connection:
            assert connection.scalar(WHO) == "parley_app"
        engine.dispose()

    assert len(reads) == 1


def test_a_rotated_password_is_read_when_the_old_one_is_refused(by_password, reads, secret, accepted, monkeypatch):
    engine, proxy = by_password
    with global_scope(engine):
        pass
    engine.dispose()
    secret[1](json.dumps({"username": "parley_app", "password": "second"}))
    accepted["password"] = "second"
    monkeypatch.setattr(engine_module, "REREAD_S", 0.0)

    with global_scope(engine) as connection:
        assert connection.scalar(WHO) == "parley_app"
    assert (proxy.refused, len(reads)) == (1, 2)


def test_an_outage_does_not_read_the_secret_at_every_attempt(by_password, reads, accepted):
    engine, proxy = by_password
    accepted["password"] = "neither"
    for _ in range(3):
        with pytest.raises(OperationalError, match="password authentication failed"):
            engine.connect()

    assert (proxy.refused, len(reads)) == (3, 1)
    assert REREAD_S >= 1


@pytest.mark.parametrize("content", ["first", "{}", "[1]"])
def test_a_secret_without_a_password_is_an_error_that_does_not_repeat_it(proxied, secret, content):
    _, settings = proxied(lambda *_: True, database_auth="secret", database_app_secret=secret[0])
    secret[1](content)

    with pytest.raises(SecretUnreadable, match="not a JSON object with a password") as caught:
        make_engine(settings).connect()
    assert caught.value.__cause__ is None
    assert "first" not in str(caught.value)


def test_a_missing_secret_is_an_error_that_names_it(proxied):
    arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:gone-AbCdEf"
    _, settings = proxied(lambda *_: True, database_auth="secret", database_app_secret=arn)

    with pytest.raises(SecretUnreadable, match="gone-AbCdEf: ResourceNotFoundException"):
        make_engine(settings).connect()


def test_a_password_logs_in_over_tls_through_pgbouncer(postgres, database, authority, tmp_path):
    certificate = authority.issue("localhost", folder=tmp_path)
    with running_pgbouncer(postgres, certificate=certificate) as variables:
        if variables["PARLEY_DATABASE_PORT"] == str(postgres.port):
            pytest.skip("PgBouncer is not installed")
        password = read_passwords(postgres.passfile)["parley_app"]
        arn = boto3.client("secretsmanager").create_secret(Name="pooled", SecretString=json.dumps({"password": password}))["ARN"]
        values = {
            **{"database_host": "localhost", "database_port": int(variables["PARLEY_DATABASE_PORT"]), "database_auth": "secret"},
            **{"database_tls": "verify-full", "database_ca_file": str(authority.write(tmp_path / "ca.pem")), "database_app_secret": arn},
        }
        engine = make_engine(database.model_copy(update=values))
        with global_scope(engine) as connection:
            assert connection.scalar(WHO) == "parley_app"
            assert connection.connection.driver_connection.pgconn.ssl_in_use
        engine.dispose()


@pytest.fixture
def sleeping():
    """The port of a database that accepts no connection."""
    with socket.create_server(("127.0.0.1", 0), backlog=1) as listener:
        yield listener.getsockname()[1]


@pytest.mark.parametrize(("wake_s", "retry_after_s"), [(20, 18), (2, 1)])
def test_a_sleeping_database_is_told_from_a_broken_one(sleeping, database, monkeypatch, wake_s, retry_after_s):
    monkeypatch.setattr(engine_module, "CONNECT_TIMEOUT_S", 2)
    asleep = make_engine(database.model_copy(update={"database_port": sleeping, "database_wake_s": wake_s}))

    with pytest.raises(DatabaseWaking) as caught, global_scope(asleep):
        pass
    answer = problem_document(caught.value, request_id="r")
    assert (answer["status"], answer["code"], caught.value.retry_after_s) == (503, "database_waking", retry_after_s)


@pytest.mark.parametrize(("waits_for_wake", "timeout_s"), [(True, 20), (False, 5)])
def test_who_waits_for_the_database_waits_as_long_as_it_takes_to_wake(database, monkeypatch, waits_for_wake, timeout_s):
    seen, connect = [], engine_module._connect

    def recording(dialect, args, parameters, wake_s):
        seen.append((parameters["connect_timeout"], wake_s))
        return connect(dialect, args, parameters, wake_s)

    monkeypatch.setattr(engine_module, "_connect", recording)
    waiting = make_engine(database.model_copy(update={"database_wake_s": 20}), waits_for_wake=waits_for_wake)
    with global_scope(waiting):
        pass
    assert seen == [(timeout_s, 20)]
    waiting.dispose()
