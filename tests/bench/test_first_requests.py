import base64
import json

from bench.harness.stack import PASSWORD
from bench.startup.first_requests import first_requests


class Ada:
    """A user with an account."""

    @property
    def credentials(self) -> dict[str, str]:
        return {"email": "ada@example.com", "password": PASSWORD}

    def tokens(self) -> list[str]:
        claims = json.dumps({"sub": "u", "sid": "s", "scope": "chat", "exp": 1}).encode()
        return [f"e30.{base64.urlsafe_b64encode(claims).decode().rstrip('=')}.c2ln"]


def test_every_request_comes_from_who_has_the_account():
    events = {start.name: start.event for start in first_requests(Ada())}

    assert events["authorizer"]["headers"]["Authorization"].startswith("Bearer e30.")
    assert events["chat"]["requestContext"]["authorizer"]["sub"] == "u"
    assert json.loads(events["auth"]["body"])["email"] == "ada@example.com"


def test_each_function_is_imported_once():
    imported = [start.module for start in first_requests(Ada()) if start.is_imported]

    assert len(imported) == len(set(imported)) == 6
