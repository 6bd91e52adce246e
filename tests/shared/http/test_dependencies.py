import pytest
from fastapi import APIRouter
from sqlalchemy import text

from parley.db.engine import make_engine
from parley.http.app import create_app
from parley.http.dependencies import Transaction
from parley.http.lambda_entry import buffered_handler
from parley.settings import HttpSettings
from tests.support.api_gateway import Function


@pytest.fixture
def app(database, postgres):
    """An app whose route loses its connection after the last statement, before the commit."""
    router, engine = APIRouter(), make_engine(database)

    @router.post("/write")
    def write(transaction: Transaction) -> str:
        postgres.terminate_backend(transaction.scalar(text("SELECT pg_backend_pid()")))
        return "written"

    yield Function(buffered_handler(create_app(router, settings=HttpSettings(allowed_origin="*"), engine=engine)))
    engine.dispose()


def test_a_failed_commit_is_not_reported_as_success(app, alice):
    answer = app.post("/write", as_=alice)

    assert (answer.status, answer.json["code"]) == (503, "unavailable")
