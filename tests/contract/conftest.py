import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from local.template import source
from local.template.load import load
from local.template.stack import Stack
from local.template.translate import translate
from parley.db.engine import DatabaseRole
from tests.support.api_gateway import PASSWORD, Function, Person

ROOT = Path(__file__).parents[2]
TEMPLATE = ROOT / "template.yaml"


@pytest.fixture(scope="session")
def stack() -> Stack:
    """The stack of the template, translated by AWS's own translator."""
    return load(TEMPLATE, overrides={})


@pytest.fixture(scope="session")
def translated() -> dict[str, Any]:
    """The CloudFormation template that `sam deploy` would send."""
    return translate(source.read_source(TEMPLATE), {})


@pytest.fixture(scope="session")
def openapi(translated: dict[str, Any]) -> dict[str, Any]:
    """The OpenAPI definition of the REST API in the translated template."""
    body: dict[str, Any] = translated["Resources"]["Api"]["Properties"]["Body"]
    return body


@pytest.fixture(scope="session")
def events() -> dict[str, dict[str, Any]]:
    """Every file of events/, by name."""
    return {path.stem: json.loads(path.read_text()) for path in sorted((ROOT / "events").glob("*.json"))}


@pytest.fixture(scope="session")
def make_admin(auth: Function, engines: dict[DatabaseRole, Engine]) -> Callable[[Person], Person]:
    """A function that makes a registered user an admin and logs them in again."""

    def make_admin(person: Person) -> Person:
        with engines["owner"].begin() as connection:
            connection.execute(text("UPDATE users SET role = 'admin' WHERE id = :id"), {"id": person.id})
        return Person.of(person.email, auth.post("/auth/login", {"email": person.email, "password": PASSWORD}).json)

    return make_admin


@pytest.fixture
def admin(auth: Function, make_admin: Callable[[Person], Person]) -> Person:
    """A newly appointed admin."""
    return make_admin(Person.registered(auth))
