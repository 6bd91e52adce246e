"""One user who does the worst that a route allows, until killed: `python -m bench.turns.worst_user patterns --url … --token …`.

`bench.turns.fairness` runs this module beside another user. Each client repeats its request at once, but waits a second
after a refusal. The kinds are those of `KINDS`, and `ORDINARY` for the comparison: a user who pauses between turns.
"""

import argparse
import http.client
import json
import re
import secrets
import sys
import threading
import time
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from bench.harness.servers import HOST

ORDINARY = "one client, turns with pauses"
# The pause of an ordinary user after each turn.
PAUSE_S = 0.05
_REFUSED_S = 1.0
_BOUNDARY = "bench-boundary"
_TURN_ID = re.compile(rb'"turn_id": ?"([^"]+)"')
# Within the bounds of schemas, but each item of the arguments is compared with 4,000 types.
_SLOW_SCHEMA = {
    "type": "object",
    "properties": {"items": {"type": "array", "items": {"allOf": [{"$ref": "#/$defs/level"}] * 40}}},
    "$defs": {"level": {"allOf": [{"type": "integer"}] * 100}},
}
# Each definition refers twice to the next one: without bounds, a check takes 2 ** 20 steps.
_EXPLODING_SCHEMA = {
    "type": "object",
    "properties": {"items": {"$ref": "#/$defs/d0"}},
    "$defs": {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(20)} | {"d20": {"type": "array"}},
}


class WorstUser:
    """The user's HTTP client, with a connection for each thread, and what the user's clients share."""

    def __init__(self, url: str, token: str, *, mcp_port: int) -> None:
        self.mcp_port = mcp_port
        self.turn_id = ""
        self.conversation_id = ""
        self._address = urllib.parse.urlsplit(url)
        self._token = token
        self._local = threading.local()

    def call(self, method: str, path: str, body: Any = None, *, content_type: str = "application/json") -> tuple[int, bytes]:
        """Send a request; return the status and the body. Wait after a refusal. A lost connection counts as a refusal."""
        try:
            response = self._request(method, path, body, content_type)
            status, document = response.status, response.read()
        except (OSError, http.client.HTTPException):
            self._local.connection = None
            status, document = 0, b""
        if not 200 <= status < 300:
            time.sleep(_REFUSED_S)
        return status, document

    def create(self, path: str, body: Any) -> dict[str, Any]:
        """Send a POST that must succeed; return its document."""
        status, document = self.call("POST", path, body)
        if not 200 <= status < 300:
            sys.exit(f"POST {path}: status {status}: {document[:500].decode(errors='replace')}")
        return dict(json.loads(document))

    def hold_turn(self) -> None:
        """Run a turn of 23 seconds, and set `turn_id` as soon as it has begun."""
        response = self._request("POST", "/chat", {"message": "hello", "model": "slow"}, "application/json")
        for line in response:
            if found := _TURN_ID.search(line):
                self.turn_id = found[1].decode()

    def _request(self, method: str, path: str, body: Any, content_type: str) -> http.client.HTTPResponse:
        data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        if getattr(self._local, "connection", None) is None:
            self._local.connection = http.client.HTTPConnection(HOST, self._address.port, timeout=120)
        self._local.connection.request(method, path, data, {"Authorization": f"Bearer {self._token}", "Content-Type": content_type})
        response: http.client.HTTPResponse = self._local.connection.getresponse()
        return response


def _nothing(user: WorstUser) -> None:
    del user


@dataclass(frozen=True)
class Kind:
    """What each of `clients` repeats; its arguments are the user and the client's number. `prepare` runs once before."""

    repeat: Callable[[WorstUser, int], object]
    clients: int
    prepare: Callable[[WorstUser], object] = _nothing


def _send_pattern(user: WorstUser, _: int) -> None:
    user.call("POST", "/chat", {"message": "(" * 60_000, "model": "offline"})


def _send_long_question(user: WorstUser, _: int) -> None:
    words = " ".join(secrets.token_hex(3) for _ in range(8_500))
    user.call("POST", "/chat", {"message": words, "model": "offline"})


def _take_turn(user: WorstUser, _: int) -> None:
    user.call("POST", "/chat", {"message": "hello"})


def _take_ordinary_turn(user: WorstUser, number: int) -> None:
    _take_turn(user, number)
    time.sleep(PAUSE_S)


def _take_slow_turn(user: WorstUser, _: int) -> None:
    user.call("POST", "/chat", {"message": "hello", "model": "slow"})


def _follow(user: WorstUser, number: int) -> None:
    if number == 0:
        user.hold_turn()
    elif user.turn_id:
        user.call("GET", f"/chat/turns/{user.turn_id}/events")
    else:
        time.sleep(0.1)


def _begin_conversation(user: WorstUser) -> None:
    user.conversation_id = str(user.create("/conversations", {})["id"])


def _wait_in_conversation(user: WorstUser, _: int) -> None:
    user.call("POST", "/chat", {"message": "hello", "model": "slow", "wait": True, "conversation_id": user.conversation_id})


def _send_many_messages(user: WorstUser, _: int) -> None:
    user.call("POST", "/v1/chat/completions", _many_messages())


@cache
def _many_messages() -> bytes:
    """Return the body, encoded once: the work of the worst user's own computer does not slow anybody down."""
    return json.dumps({"model": "fake", "messages": [{"role": "user", "content": "hello"}] * 105_000}).encode()


def _store_long_questions(user: WorstUser) -> None:
    _begin_conversation(user)
    for _ in range(6):
        user.create("/chat", {"message": "word " * 150_000, "model": "wide", "stream": False, "conversation_id": user.conversation_id})


def _list_messages(user: WorstUser, _: int) -> None:
    user.call("GET", f"/conversations/{user.conversation_id}/messages")


def _upload(user: WorstUser, number: int) -> None:
    """Upload a text of 1 MB, half of which are words of 800 characters, and wait until its ingestion has ended."""
    text = "\n".join(f"{secrets.token_hex(400)}\n{'some plain words ' * 40}" for _ in range(700))
    form = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{number}.txt"\r\n\r\n{text}\r\n--{_BOUNDARY}--\r\n'
    status, document = user.call("POST", "/documents", form.encode(), content_type=f"multipart/form-data; boundary={_BOUNDARY}")
    is_running = 200 <= status < 300
    while is_running:
        time.sleep(_REFUSED_S)
        status, found = user.call("GET", f"/documents/{json.loads(document)['id']}")
        is_running = status == 200 and json.loads(found)["status"] not in ("ready", "failed")


def _add_mcp_server(user: WorstUser) -> None:
    port = _serve_mcp(user.mcp_port)
    user.create("/tools/mcp-servers", {"name": "worst", "url": f"http://{HOST}:{port}/mcp"})


def _list_schemas(user: WorstUser, number: int) -> None:
    """Add a server and delete it again; each addition reads its schemas."""
    body = {"name": f"worst{number}", "url": f"http://{HOST}:{user.mcp_port}/mcp"}
    status, document = user.call("POST", "/tools/mcp-servers", body)
    if 200 <= status < 300:
        user.call("DELETE", f"/tools/mcp-servers/{json.loads(document)['id']}")


def _call_slow_schema(user: WorstUser, _: int) -> None:
    user.call("POST", "/tools/worst.slow/invoke", {"arguments": {"items": list(range(100_000))}})


def _calculate(user: WorstUser, _: int) -> None:
    user.call("POST", "/tools/calculator/invoke", {"arguments": {"expression": "12.5% of 840"}})


def _guess_password(user: WorstUser, number: int) -> None:
    user.call("POST", "/auth/login", {"email": f"nobody{number}@example.com", "password": "not the pass phrase at all"})


KINDS = {
    "10 clients, 60 KB of `(` to the offline model": Kind(_send_pattern, 10),
    "10 clients, 60 KB of different words": Kind(_send_long_question, 10),
    "10 clients, turns without pauses": Kind(_take_turn, 10),
    "30 clients, turns of 23 s": Kind(_take_slow_turn, 30),
    "30 followers of a turn": Kind(_follow, 30),
    "30 posts with `wait`": Kind(_wait_in_conversation, 30, _begin_conversation),
    "10 clients, 105,000 messages to `/v1`": Kind(_send_many_messages, 10),
    "10 clients, lists of six questions of 750 KB": Kind(_list_messages, 10, _store_long_questions),
    "22 files of 1 MB": Kind(_upload, 22),
    "10 clients, an exploding MCP schema listed": Kind(_list_schemas, 10, _add_mcp_server),
    "10 clients, a slow MCP schema called": Kind(_call_slow_schema, 10, _add_mcp_server),
    "10 clients, calculator": Kind(_calculate, 10),
    "10 clients, wrong passwords": Kind(_guess_password, 10),
}
_KINDS = {ORDINARY: Kind(_take_ordinary_turn, 1)} | KINDS


def _serve_mcp(port: int) -> int:
    """Serve MCP tools with hostile schemas, in a thread. Return the port."""
    schemas = {"slow": _SLOW_SCHEMA, "exploding": _EXPLODING_SCHEMA}
    results: dict[str, dict[str, Any]] = {
        "initialize": {"capabilities": {"tools": {}}, "serverInfo": {"name": "worst", "version": "1"}},
        "tools/list": {"tools": [{"name": name, "inputSchema": schema} for name, schema in schemas.items()]},
        "tools/call": {"content": []},
    }

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if "id" not in message:
                self._send(202, b"")
                return
            answer: dict[str, Any] = {"jsonrpc": "2.0", "id": message["id"]}
            if found := results.get(message["method"]):
                answer["result"] = found | {"protocolVersion": message.get("params", {}).get("protocolVersion")}
            else:
                answer["error"] = {"code": -32601, "message": "unknown method"}
            self._send(200, json.dumps(answer).encode())

        def _send(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer((HOST, port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_port


def main() -> None:
    """Prepare, print a line, and repeat until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=list(_KINDS))
    parser.add_argument("--url", required=True)
    parser.add_argument("--token", required=True)
    parser.add_argument("--mcp-port", type=int, required=True)
    args = parser.parse_args()
    user, kind = WorstUser(args.url, args.token, mcp_port=args.mcp_port), _KINDS[args.kind]
    kind.prepare(user)
    print("prepared", flush=True)
    threads = [threading.Thread(target=_repeat, args=(kind, user, number), daemon=True) for number in range(kind.clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _repeat(kind: Kind, user: WorstUser, number: int) -> None:
    while True:
        kind.repeat(user, number)


if __name__ == "__main__":
    main()
