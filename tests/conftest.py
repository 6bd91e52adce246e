"""Shared fixtures: a real PostgreSQL with the newest schema, AWS simulated by moto, and the functions as Lambda runs them."""

import gc
import os
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import boto3
import pytest
from moto import mock_aws
from moto.s3.responses import S3Response
from sqlalchemy import Engine

from bench.harness.processes import running_hogs
from parley.db.engine import DatabaseRole, make_engine
from parley.llm.catalogue import Catalogue
from parley.settings import DatabaseSettings
from tests.support.api_gateway import Function, Person
from tests.support.concurrency import CHEAP_HASHING, ClientProcesses, DeploymentKeys, running_client_processes
from tests.support.pgbouncer import running_pgbouncer
from tests.support.postgres import RunningPostgres, running_postgres
from tests.support.queues import IngestFunction, QueueFunction, UpkeepFunction
from tests.support.xdist_scheduler import pytest_collection_modifyitems as pytest_collection_modifyitems
from tests.support.xdist_scheduler import pytest_xdist_auto_num_workers as pytest_xdist_auto_num_workers
from tests.support.xdist_scheduler import pytest_xdist_make_scheduler as pytest_xdist_make_scheduler

ROOT = Path(__file__).parent.parent
# Processes that compute all the time, for each process of the test run: `make races` runs the race tests beside them.
HOGS = int(os.environ.get("PARLEY_TEST_HOGS", "0"))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect the tests without looking for garbage: there is none among 16,000 tests, and the search takes a third of the time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(scope="session", autouse=True)
def hogs() -> Iterator[list[int]]:
    """Keep the processors busy during the whole run, if `PARLEY_TEST_HOGS` says so."""
    with running_hogs(HOGS) as pids:
        yield pids


@pytest.fixture(scope="session", autouse=True)
def aws() -> Iterator[None]:
    """Route every AWS call of this process to moto."""
    os.environ |= {"AWS_DEFAULT_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    with mock_aws(), _one_upload_at_a_time():
        yield


@contextmanager
def _one_upload_at_a_time() -> Iterator[None]:
    """Let moto store one object after the other: while it answers an upload, another of the same key closes the first one's file."""
    put_object, lock = S3Response.put_object, threading.Lock()

    def put_alone(response: S3Response) -> Any:
        with lock:
            return put_object(response)

    with patch.object(S3Response, "put_object", put_alone):
        yield


@pytest.fixture(scope="session")
def postgres() -> Iterator[RunningPostgres]:
    """An embedded PostgreSQL for this test run, with Parley's roles and an empty database."""
    # Not in pytest's folder: for root it is private, and PostgreSQL then runs as a different user.
    with TemporaryDirectory(prefix="parley-test-") as folder, running_postgres(Path(folder)) as server:
        yield server


@pytest.fixture(scope="session")
def environment(postgres: RunningPostgres, aws: None) -> dict[str, str]:
    """Set and return the environment variables that `template.yaml` gives the functions, for this run's database."""
    variables = {
        "PARLEY_DATABASE_HOST": "127.0.0.1",
        "PARLEY_DATABASE_PORT": str(postgres.port),
        "PARLEY_DATABASE_NAME": "parley",
        "PARLEY_DATABASE_AUTH": "libpq",
        "PARLEY_DATABASE_TLS": "disable",
        "PARLEY_DATABASE_CA_FILE": "",
        "PARLEY_KEYS_PATH": "/parley/test/keys",
        "PARLEY_ISSUER": "parley/test/prod",
        "PARLEY_ALLOWED_ORIGIN": "*",
        "PARLEY_PASSWORD_MIN_LENGTH": "12",
        **CHEAP_HASHING,
        "PARLEY_GUESSES_PER_ACCOUNT": "10",
        "PARLEY_GUESSES_PER_ADDRESS": "100000",
        "PARLEY_GUESSES_PER_MINUTE": "100000",
        "PARLEY_SESSION_IDLE_DAYS": "30",
        "PARLEY_SESSION_DAYS": "180",
        "PARLEY_REGISTRATION": "open",
        "PARLEY_ALLOWED_EMAIL_DOMAINS": "",
        "PARLEY_ADMIN_EMAIL": "admin@example.com",
        "PARLEY_EMAIL_VERIFICATION": "off",
        "PARLEY_OIDC_ISSUERS": "",
        "PARLEY_PASSWORD_LOGIN": "on",
        "PARLEY_ADMIN_SECOND_FACTOR": "optional",
        "PARLEY_USER_SECOND_FACTOR": "optional",
        "PARLEY_PASSKEY_RP_ID": "example.com",
        "PARLEY_PASSKEY_ORIGINS": "https://chat.example.com,https://example.com",
        "PARLEY_UPKEEP_QUEUE_URL": boto3.client("sqs").create_queue(QueueName="upkeep")["QueueUrl"],
        "PARLEY_MEMORY_QUEUE_URL": boto3.client("sqs").create_queue(QueueName="memory")["QueueUrl"],
        "PARLEY_INGEST_QUEUE_URL": boto3.client("sqs").create_queue(QueueName="ingest")["QueueUrl"],
        "PARLEY_FILES_BUCKET": make_bucket("parley-test-files"),
        "PARLEY_DOCUMENT_BYTES": "20000000",
        "PARLEY_DESCRIBE_CHUNKS": "no",
        "PARLEY_EMBEDDER_FUNCTION": "",
        "PARLEY_MODEL_KEYS": "",
        "PARLEY_INGEST_PER_USER": "2",
        "PARLEY_MAIL_FROM": verify_sender("parley@example.com"),
        "PARLEY_PUBLIC_URL": "https://chat.example.com",
        "PARLEY_MODELS_FILE": str(ROOT / "tests" / "models.toml"),
        "PARLEY_MODELS_PARAMETER": "",
        "PARLEY_TOOLRUNNER_FUNCTION": "ToolrunnerFunction",
        "PARLEY_TOOL_ALLOWED_HOSTS": "",
        "PARLEY_GEOCODING_URL": "http://127.0.0.1:9/search",
        "PARLEY_FORECAST_URL": "http://127.0.0.1:9/forecast",
        "PARLEY_CALLS_MCP": "false",
        "PARLEY_RATE_PER_MINUTE": "100000",
        "PARLEY_BUDGET_USD": "5",
        "PARLEY_ANSWERS_PER_USER": "1000",
        "PARLEY_FOLLOWERS_PER_USER": "1000",
        "PARLEY_WAITS_PER_USER": "1000",
        "PARLEY_RETENTION_DAYS": "0",
        "PARLEY_CHAT_FUNCTION": "ChatFunction",
        "PARLEY_SCHEDULES_PER_USER": "10",
        "PARLEY_SCHEDULE_MIN_MINUTES": "60",
        "PARLEY_MCP_SERVERS": "",
        "PARLEY_JWKS_URL": "http://127.0.0.1:9/keys",
        "POWERTOOLS_SERVICE_NAME": "test",
        "PGPASSFILE": str(postgres.passfile),
    }
    os.environ |= variables
    return variables


@cache
def embedding_catalogue() -> Catalogue:
    """Return the tests' catalogue with an embedding model. Most tests use a catalogue without it, because its calls are billed."""
    return Catalogue.load(ROOT / "tests" / "models_with_vectors.toml")


def make_bucket(name: str) -> str:
    """Create an S3 bucket and return its name."""
    boto3.client("s3").create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    return name


def verify_sender(address: str) -> str:
    """Verify an address as an SES sender and return it."""
    boto3.client("sesv2").create_email_identity(EmailIdentity=address)
    return address


@pytest.fixture(scope="session")
def database(environment: dict[str, str]) -> DatabaseSettings:
    """Migrate the database and return its settings."""
    from functions.migrate.app import engine, handler

    handler({}, Function.CONTEXT)
    engine().dispose()
    return DatabaseSettings.read()


@pytest.fixture(scope="session")
def engines(database: DatabaseSettings) -> Iterator[dict[DatabaseRole, Engine]]:
    """One engine per database role."""
    engines: dict[DatabaseRole, Engine] = {role: make_engine(database, role=role) for role in ("app", "background", "owner")}
    yield engines
    for engine in engines.values():
        engine.dispose()


@pytest.fixture(scope="session")
def engine(engines: dict[DatabaseRole, Engine]) -> Engine:
    """The engine of the app role."""
    return engines["app"]


def running_function(module: Any) -> Iterator[Function]:
    """Yield a function's handler, and close its database connections at the end."""
    yield Function(module.handler)
    state = module.app._app.state._state
    engines = [state.get("engine"), *(getattr(state.get("services"), name, None) for name in ("engine", "background"))]
    for engine in filter(None, engines):
        engine.dispose()


@pytest.fixture(scope="session")
def auth(database: DatabaseSettings) -> Iterator[Function]:
    """The auth function."""
    from functions.auth import app

    yield from running_function(app)


@pytest.fixture(scope="session")
def conversation(database: DatabaseSettings) -> Iterator[Function]:
    """The conversation function."""
    from functions.conversation import app

    yield from running_function(app)


@pytest.fixture(scope="session")
def chat(database: DatabaseSettings) -> Iterator[Function]:
    """The chat function."""
    from functions.chat import app

    yield from running_function(app)


@pytest.fixture(scope="session")
def documents(database: DatabaseSettings) -> Iterator[Function]:
    """The documents function with an embedding model."""
    from functions.documents import app

    app.app._app.state.services = replace(app.services, embedding=replace(app.services.embedding, catalogue=embedding_catalogue))
    yield from running_function(app)


@pytest.fixture(scope="session")
def ingest(database: DatabaseSettings) -> Iterator[IngestFunction]:
    """The ingest function with an embedding model."""
    from functions.ingest import app

    app.services = replace(app.services, embedding=replace(app.services.embedding, catalogue=embedding_catalogue))
    yield IngestFunction(app.handler)
    app.engine.dispose()


@pytest.fixture(scope="session")
def health(database: DatabaseSettings) -> Iterator[Function]:
    """The health function."""
    from functions.health import app

    yield from running_function(app)


@pytest.fixture(scope="session")
def tools(database: DatabaseSettings) -> Iterator[Function]:
    """The tools function."""
    from functions.tools import app

    yield from running_function(app)


@pytest.fixture(scope="session")
def web(environment: dict[str, str]) -> Iterator[Function]:
    """The web function."""
    from functions.web import app

    yield from running_function(app)


@pytest.fixture(scope="session")
def upkeep(database: DatabaseSettings) -> Iterator[UpkeepFunction]:
    """The upkeep function."""
    from functions.upkeep import app

    yield UpkeepFunction(app.handler)
    app.services.engine.dispose()
    app.services.background.dispose()


@pytest.fixture(scope="session")
def summarize(database: DatabaseSettings) -> Iterator[QueueFunction]:
    """The summarize function."""
    from functions.summarize import app

    yield QueueFunction(app.handler)
    app.services.engine.dispose()
    app.services.background.dispose()


@pytest.fixture(scope="session")
def pooled(postgres: RunningPostgres, environment: dict[str, str], database: DatabaseSettings) -> Iterator[dict[str, str]]:
    """The functions' environment variables with the database behind PgBouncer, if it is installed."""
    with running_pgbouncer(postgres) as address:
        yield environment | address


@pytest.fixture(scope="session")
def client_processes(auth: Function, pooled: dict[str, str]) -> Iterator[ClientProcesses]:
    """Processes with many clients of the auth function, which share one deployment's keys."""
    from functions.auth.app import services

    with running_client_processes(pooled, DeploymentKeys.of(services.key_ring())) as started:
        yield started


@pytest.fixture
def alice(auth: Function) -> Person:
    """A newly registered user."""
    return Person.registered(auth)


@pytest.fixture
def bob(auth: Function) -> Person:
    """A second newly registered user."""
    return Person.registered(auth)
