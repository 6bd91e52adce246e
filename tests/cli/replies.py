"""Scripted replies of the fake API. A reply is a function that writes to the connection."""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler

from tests.support.time_limits import HANG_S


def reply(status: int, body: object = None, *, media_type: str = "application/json", **headers: str) -> Callable:
    """Return a reply with a complete body."""

    def write(handler: BaseHTTPRequestHandler) -> None:
        content = body.encode() if isinstance(body, str) else b"" if body is None else json.dumps(body).encode()
        handler.send_response(status)
        for name, value in {"Content-Type": media_type, "Content-Length": str(len(content)), **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(content)

    return write


def problem(status: int, code: str, detail: str, **more: object) -> Callable:
    """Return an RFC 9457 problem; `retry_after` becomes the header."""
    headers = {"Retry_After": str(more.pop("retry_after"))} if "retry_after" in more else {}
    body = {"type": "about:blank", "title": code, "status": status, "code": code, "detail": detail, "request_id": "req-1", **more}
    return reply(status, body, media_type="application/problem+json", **headers)


def event_stream(*pieces: object, is_cut: bool = False) -> Callable:
    """Return a chunked event stream of (name, data) events and raw bytes; a `threading.Event` pauses it until set.

    A third item of an event is its number.
    """

    def write(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for piece in pieces:
            if isinstance(piece, threading.Event):
                piece.wait(HANG_S)
                continue
            chunk = piece if isinstance(piece, bytes) else _event_bytes(*piece)
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        handler.close_connection = is_cut
        handler.wfile.write(b"" if is_cut else b"0\r\n\r\n")

    return write


def _event_bytes(name: str, data: object, number: int | None = None) -> bytes:
    identifier = "" if number is None else f"id: {number}\n"
    return f"{identifier}event: {name}\ndata: {json.dumps(data)}\n\n".encode()


TURN_STARTED = ("turn.started", {"turn_id": "t-1", "conversation_id": "c-1", "user_message_id": "m-1", "model": "offline"})
TURN_COMPLETED = (
    "turn.completed",
    {
        "message_id": "m-2",
        "finish_reason": "stop",
        "usage": {"input_tokens": 12, "output_tokens": 34, "cost_usd": 0.00042},
        "model": "offline",
        "timings": {"first_token_ms": 120, "total_ms": 1400},
    },
)


def answer(*texts: str) -> Callable:
    """Return the event stream of a complete turn with these text deltas."""
    return event_stream(TURN_STARTED, *(("text.delta", {"text": text}) for text in texts), TURN_COMPLETED)


def token_pair(number: int, *, expires_in: float = 600) -> dict:
    """Return a token response whose tokens end in `number`."""
    return {"access_token": f"access-{number}", "refresh_token": f"refresh-{number}", "token_type": "Bearer", "expires_in": expires_in}
