"""Send one request of API Gateway through an ASGI app, without a Lambda handler around it."""

import asyncio
from collections.abc import Iterable
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send


def sending(messages: Iterable[Message], error: Exception | None = None) -> ASGIApp:
    """Return an app that sends these messages and then, if an error is given, raises it."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)
        if error:
            raise error

    return app


def start(status: int) -> Message:
    """Return the message that begins a response."""
    return {"type": "http.response.start", "status": status, "headers": []}


def sent_by(app: ASGIApp, *, headers: Iterable[tuple[bytes, bytes]] = ()) -> list[Message]:
    """Return the messages with which an app responds to a GET request."""
    scope: dict[str, Any] = {"type": "http", "method": "GET", "path": "/", "scheme": "https", "headers": list(headers)}
    scope["aws.event"] = {"requestContext": {"requestId": "r"}}
    messages: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        messages.append(message)

    asyncio.run(app(scope, receive, send))
    return messages
