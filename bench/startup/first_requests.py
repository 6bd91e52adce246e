"""Each function's first request: an event from `events/` with a real account's token."""

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.harness.stack import Users

_EVENTS = Path("events")


@dataclass(frozen=True)
class FirstRequest:
    """A function and its first request. `is_imported` is set for one request per function, to measure the import once."""

    name: str
    request: str
    function: str
    event: dict[str, Any]
    is_imported: bool = True

    @property
    def module(self) -> str:
        return f"functions.{self.function.removesuffix('Function').lower()}.app"

    @property
    def handler(self) -> str:
        return f"{self.module}.handler"


def first_requests(users: Users) -> list[FirstRequest]:
    """Return the first request of each measured function."""
    token = users.tokens()[0]
    login = users.credentials
    offline = {"message": "hello", "model": "offline"}
    fake = {"message": "hello", "model": "fake"}
    return [
        FirstRequest("authorizer", "a valid token", "AuthorizerFunction", _event("authorizer_token", token)),
        FirstRequest("auth", "POST /auth/login", "AuthFunction", _event("auth_login", token, login)),
        FirstRequest("chat", "POST /chat, offline", "ChatFunction", _event("chat_message", token, offline)),
        FirstRequest(
            "chat, OpenAI's SDK", "POST /chat, fake model", "ChatFunction", _event("chat_message", token, fake), is_imported=False
        ),
        FirstRequest("conversation", "GET /conversations", "ConversationFunction", _event("conversation_list", token)),
        FirstRequest("health", "GET /health/ready", "HealthFunction", _event("health_ready", token)),
        FirstRequest("migrate", "nothing to do", "MigrateFunction", {}),
    ]


def _event(name: str, token: str, body: dict[str, str] | None = None) -> dict[str, Any]:
    """Return the event in a file of `events/`, with this token, the token's authorizer context and this body."""
    event: dict[str, Any] = json.loads((_EVENTS / f"{name}.json").read_text())
    event["headers"]["Authorization"] = f"Bearer {token}"
    if "authorizer" in event["requestContext"]:
        event["requestContext"]["authorizer"] |= {name: str(value) for name, value in _claims(token).items()}
    return event | ({"body": json.dumps(body)} if body else {})


def _claims(token: str) -> dict[str, Any]:
    payload = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims
