"""Fixtures of the SCIM tests: an identity provider with a token, and addresses of its own."""

import secrets
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.functions.auth.scim.provider import Provider
from tests.support.api_gateway import Function, Person


@pytest.fixture
def provider(auth: Function, admin: Person) -> Provider:
    """The identity provider, with a token that an admin has made."""
    return Provider(auth, auth.post("/admin/scim-token", as_=admin).json["token"])


@pytest.fixture
def email() -> str:
    """An address without an account."""
    return f"{secrets.token_hex(6)}@example.com"


@pytest.fixture
def only_admin(postgres: Any, admin: Person) -> Iterator[Person]:
    """The admin, while all other admins are disabled."""
    others = f"role = 'admin' AND disabled_at IS NULL AND id <> '{admin.id}'"
    disabled = postgres.execute(f"UPDATE users SET disabled_at = now() WHERE {others} RETURNING id", dbname="parley")
    ids = ", ".join(f"'{id}'" for (id,) in disabled)
    yield admin
    postgres.execute(f"UPDATE users SET disabled_at = NULL WHERE id IN (NULL, {ids or 'NULL'})", dbname="parley")


@pytest.fixture
def verify(postgres) -> Callable[[Person], None]:
    """Return a function that records that a user has proven the address."""

    def verify(user: Person) -> None:
        statement = f"UPDATE credentials SET verified_email = '{user.email}' WHERE user_id = '{user.id}'"
        postgres.execute(statement, dbname="parley")

    return verify
