from contextlib import contextmanager

import pytest

from tests.fakes.cloudformation import receiving_responses
from tests.fakes.data_api import CLUSTER, SECRET, serving_data_api
from tests.fakes.rds import running_rds


@pytest.fixture(scope="module")
def rds():
    """A server like a new Aurora cluster."""
    with running_rds() as cluster:
        yield cluster


@pytest.fixture
def data_api(rds):
    with serving_data_api(rds.address) as server:
        yield server


@pytest.fixture
def cloudformation():
    """The presigned URL to which the function sends its responses."""
    with receiving_responses() as received:
        yield received


@contextmanager
def function_with(monkeypatch, variables):
    """The migrate function as a new worker with these environment variables."""
    from functions.migrate import app

    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    app.settings.cache_clear()
    app.engine.cache_clear()
    yield app
    if app.engine.cache_info().currsize:
        app.engine().dispose()
    app.settings.cache_clear()
    app.engine.cache_clear()


@pytest.fixture
def on_test_database(environment, monkeypatch):
    """The migrate function with this test run's database."""
    with function_with(monkeypatch, {}) as app:
        yield app


@pytest.fixture
def on_new_cluster(environment, monkeypatch, rds, data_api):
    """The migrate function of a stack that has just created its cluster."""
    rds.empty()
    variables = {"PARLEY_DATABASE_CLUSTER": CLUSTER, "PARLEY_DATABASE_MASTER_SECRET": SECRET, "AWS_ENDPOINT_URL_RDS_DATA": data_api.url}
    with function_with(monkeypatch, rds.environment | variables) as app:
        yield app
