"""Call Lambda handlers as API Gateway does: send proxy events and collect complete responses."""

import asyncio
import base64
import json
import re
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import GeneratorType, SimpleNamespace
from typing import Any, ClassVar, Self
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID

from parley.auth.principal import Principal
from parley.http.lambda_entry import worker_loop

PASSWORD = "a long enough pass phrase"
_TEMPLATE = Path(__file__).parents[2] / "template.yaml"


@dataclass(frozen=True)
class Answer:
    """An HTTP response as the client receives it."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def events(self) -> list[tuple[str, dict[str, Any]]]:
        """The Server-Sent Events as (name, data) pairs."""
        pairs = re.findall(r"^event: (.+)\ndata: (.+)$", self.body.decode(), re.MULTILINE)
        return [(name, json.loads(data)) for name, data in pairs]

    @property
    def text(self) -> str:
        """The joined text of all `text.delta` events."""
        return "".join(data["text"] for name, data in self.events if name == "text.delta")


@dataclass(frozen=True)
class Person:
    """A registered user with a pair of tokens."""

    email: str
    tokens: dict[str, Any]
    claims: dict[str, Any]

    @classmethod
    def registered(cls, auth: "Function", *, email: str | None = None) -> Self:
        email = email or f"{secrets.token_hex(6)}@example.com"
        answer = auth.post("/auth/register", {"email": email, "password": PASSWORD})
        assert answer.status == 201, answer.body
        return cls.of(email, answer.json)

    @classmethod
    def signed_in(cls, auth: "Function", email: str, *, password: str = PASSWORD) -> Self:
        """Log in as a registered user and return the user with the new session's tokens."""
        answer = auth.post("/auth/login", {"email": email, "password": password})
        assert answer.status == 200, answer.body
        return cls.of(email, answer.json)

    @classmethod
    def of(cls, email: str, tokens: dict[str, Any]) -> Self:
        import jwt

        return cls(email, tokens, jwt.decode(tokens["access_token"], options={"verify_signature": False}))

    @property
    def id(self) -> UUID:
        return UUID(self.claims["sub"])

    @property
    def principal(self) -> Principal:
        return Principal.from_claims(self.claims)

    def context(self) -> dict[str, str]:
        """Return the authorizer context that functions receive: strings only."""
        present = [name for name in ("sub", "sid", "api_key_id", "scope", "exp") if name in self.claims]
        return {name: str(self.claims[name]) for name in present} | {"principalId": self.claims["sub"]}


@dataclass(frozen=True)
class Function:
    """A function's Lambda handler, called with API Gateway events."""

    handler: Callable[[dict[str, Any], Any], Any]
    CONTEXT: ClassVar = SimpleNamespace(
        function_name="test",
        memory_limit_in_mb=512,
        invoked_function_arn="arn:aws:lambda:eu-west-1:1:function:test",
        aws_request_id="test",
        get_remaining_time_in_millis=lambda: 29_000,
    )

    def call(self, method: str, url: str, body: Any = None, *, as_: Person | None = None, headers: dict[str, str] | None = None) -> Answer:
        """Send a request and return the complete response.

        A `str` body is sent unchanged, `bytes` are sent in base64 as the gateway does, and other values as JSON.
        """
        return self.invoke(rest_event(method, url, body, as_=as_, headers=headers or {}))

    def invoke(self, event: dict[str, Any]) -> Answer:
        """Invoke the handler. The worker's event loop is set first, because other tests leave the thread without a loop."""
        asyncio.set_event_loop(worker_loop())
        return read_answer(self.handler(event, self.CONTEXT))

    def get(self, url: str, **options: Any) -> Answer:
        return self.call("GET", url, **options)

    def post(self, url: str, body: Any = None, **options: Any) -> Answer:
        return self.call("POST", url, body, **options)

    def patch(self, url: str, body: Any = None, **options: Any) -> Answer:
        return self.call("PATCH", url, body, **options)

    def delete(self, url: str, **options: Any) -> Answer:
        return self.call("DELETE", url, **options)


def read_answer(result: Any) -> Answer:
    """Convert a handler's buffered or streamed result to an `Answer`."""
    if isinstance(result, GeneratorType):
        return read_stream(result)
    headers = {name.lower(): value for name, value in result["headers"].items()}
    return Answer(result["statusCode"], headers, result["body"].encode())


def read_stream(chunks: Iterator[bytes]) -> Answer:
    """Join a streamed result and split it into its JSON prelude and body."""
    prelude, _, body = b"".join(chunks).partition(b"\0" * 8)
    start = json.loads(prelude)
    return Answer(start["statusCode"], start["headers"], body)


def rest_event(method: str, url: str, body: Any, *, as_: Person | None, headers: dict[str, str]) -> dict[str, Any]:
    """Return the Lambda proxy event of an API Gateway REST API."""
    split = urlsplit(url)
    query = dict(parse_qsl(split.query, keep_blank_values=True)) or None
    context: dict[str, Any] = {"requestId": secrets.token_hex(8), "identity": {"sourceIp": "192.0.2.7"}, "stage": "prod"}
    context |= {"path": f"/prod{split.path}", "resourcePath": _resource_path(split.path)}
    if as_:
        context["authorizer"] = as_.context()
    all_headers = {"Host": "api.example.com", "Content-Type": "application/json", "X-Forwarded-Proto": "https"} | headers
    return {
        "resource": context["resourcePath"],
        "path": split.path,
        "httpMethod": method,
        "headers": all_headers,
        "multiValueHeaders": {name: [value] for name, value in all_headers.items()},
        "queryStringParameters": query,
        "multiValueQueryStringParameters": {name: [value] for name, value in query.items()} if query else None,
        "pathParameters": None,
        "requestContext": context,
        "body": _encode_body(body),
        "isBase64Encoded": isinstance(body, bytes),
    }


def _resource_path(path: str) -> str:
    """Return the path of the template's route for a request, such as `/auth/oidc/{id}/start`; a path of no route is returned as it is."""
    fitting = [route for route, pattern in _routes().items() if pattern.fullmatch(path)]
    return min(fitting, key=lambda route: route.count("{"), default=path)


@cache
def _routes() -> dict[str, re.Pattern[str]]:
    routes = re.findall(r"^ {10}(/\S*?):(?: |$)", _TEMPLATE.read_text(), re.MULTILINE)
    return {route: re.compile(re.sub(r"\{\w+\}", "[^/]+", route)) for route in routes}


def _encode_body(body: Any) -> str | None:
    if isinstance(body, bytes):
        return base64.b64encode(body).decode()
    return body if body is None or isinstance(body, str) else json.dumps(body)
