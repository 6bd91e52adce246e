"""Fixtures of the SCIM tests: an identity provider with a token, and addresses of its own."""

import secrets
from collections.abc import Callable

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
def verify(postgres) -> Callable[[Person], None]:
    """Return a function that records that a user has proven the address."""

    def verify(user: Person) -> None:
        statement = f"UPDATE credentials SET verified_email = '{user.email}' WHERE user_id = '{user.id}'"
        postgres.execute(statement, dbname="parley")

    return verify
