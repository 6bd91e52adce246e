"""DatabaseAuth=secret: the migration sets the passwords of the roles as whom the functions log in."""

import json

import boto3
import psycopg
import pytest

from tests.functions.migrate.conftest import function_with
from tests.shared.db.test_schema import NEWEST
from tests.support.api_gateway import Function

PASSWORDS = {"app": "with ' and % in it", "background": "second", "owner": "third"}


@pytest.fixture
def secrets():
    client = boto3.client("secretsmanager")
    yield {
        role: client.create_secret(Name=f"migrate-{role}", SecretString=json.dumps({"password": password}))["ARN"]
        for role, password in PASSWORDS.items()
    }
    for role in PASSWORDS:
        client.delete_secret(SecretId=f"migrate-{role}", ForceDeleteWithoutRecovery=True)


@pytest.fixture
def with_secrets(environment, monkeypatch, rds, secrets):
    """The migrate function on a database that the deployer prepared, of which only the owner's password is known."""
    rds.empty()
    rds.server.execute(f"CREATE ROLE parley_owner LOGIN CREATEROLE PASSWORD '{PASSWORDS['owner']}'", dbname="postgres")
    rds.server.execute("ALTER DATABASE parley OWNER TO parley_owner", dbname="postgres")
    rds.server.execute("CREATE EXTENSION vector")
    variables = {f"PARLEY_DATABASE_{role.upper()}_SECRET": arn for role, arn in secrets.items()} | {"PARLEY_DATABASE_AUTH": "secret"}
    with function_with(monkeypatch, rds.environment | variables) as app:
        yield app


def logs_in(rds, role, password):
    try:
        psycopg.connect(host="127.0.0.1", port=rds.server.port, dbname="parley", user=f"parley_{role}", password=password).close()
    except psycopg.OperationalError:
        return False
    return True


def test_the_roles_log_in_with_the_passwords_of_their_secrets(rds, with_secrets):
    done = with_secrets.handler({}, Function.CONTEXT)

    assert done["revision_after"] == NEWEST
    assert all(logs_in(rds, role, password) for role, password in PASSWORDS.items())
    assert rds.server.execute("SELECT rolsuper OR rolcreaterole OR rolbypassrls FROM pg_roles WHERE rolname = 'parley_app'") == [(False,)]


def test_the_next_deployment_sets_a_rotated_password(rds, with_secrets, secrets):
    with_secrets.handler({}, Function.CONTEXT)
    boto3.client("secretsmanager").put_secret_value(SecretId=secrets["app"], SecretString=json.dumps({"password": "rotated"}))
    with_secrets.handler({}, Function.CONTEXT)

    assert logs_in(rds, "app", "rotated")
    assert not logs_in(rds, "app", PASSWORDS["app"])
