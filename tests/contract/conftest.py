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
    """The template as the emulator and the contract read it: translated by AWS's own code."""
    return load(TEMPLATE, overrides={})


@pytest.fixture(scope="session")
def translated() -> dict[str, Any]:
    """The CloudFormation template that `sam deploy` would hand over."""
    return translate(source.read_source(TEMPLATE), {})


@pytest.fixture(scope="session")
def openapi(translated: dict[str, Any]) -> dict[str, Any]:
    """The REST API's definition in it."""
    body: dict[str, Any] = translated["Resources"]["Api"]["Properties"]["Body"]
    return body


@pytest.fixture(scope="session")
def events() -> dict[str, dict[str, Any]]:
    """Every file of events/, by name."""
    return {path.stem: json.loads(path.read_text()) for path in sorted((ROOT / "events").glob("*.json"))}


@pytest.fixture(scope="session")
def make_admin(auth: Function, engines: dict[DatabaseRole, Engine]) -> Callable[[Person], Person]:
    """Makes a registered person an admin and signs them in as one."""

    def make_admin(person: Person) -> Person:
        with engines["owner"].begin() as connection:
            connection.execute(text("UPDATE users SET role = 'admin' WHERE id = :id"), {"id": person.id})
        return Person.of(person.email, auth.post("/auth/login", {"email": person.email, "password": PASSWORD}).json)

    return make_admin


@pytest.fixture
def admin(auth: Function, make_admin: Callable[[Person], Person]) -> Person:
    """Somebody who has just become an admin."""
    return make_admin(Person.registered(auth))
