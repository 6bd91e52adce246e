"""Let sqlmap attack every parameter of a sample of routes with an API key: `make security` (ROUTES=25, 0 for all).

    python -m tests.security.sql_injection --routes 25 --seed 1

The routes come from the OpenAPI document, and the ids in their paths are those of real objects where the user has one. First, sqlmap
must find a hole that is there: a small server that puts its parameter into a statement of the same database.
"""

import argparse
import json
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from secrets import randbelow, token_hex
from tempfile import TemporaryDirectory
from urllib.parse import parse_qs, urlencode, urlsplit

import psycopg

from bench.harness.servers import Server, call
from bench.harness.stack import running_parley
from local.services.database import DATABASE_NAME
from local.services.postgres import SUPERUSER
from tests.contract.operations import Operation, operations
from tests.support.api_gateway import PASSWORD

SQLMAP = Path(".tools/security/bin/sqlmap")
FOUND, SAFE = "identified the following injection point", "do not appear to be injectable"
TIMEOUT_S = 1800
MARK = "*"  # sqlmap injects where this is
# Without timed techniques: on a busy machine they see delays that no statement caused. `check_injection.py` tries to sleep instead.
OPTIONS = (
    *("--batch", "--disable-coloring", "--flush-session", "--ignore-code=*", "--skip-waf", "--dbms=PostgreSQL", "--technique=BEUQ"),
    *("--level=1", "--risk=1", "--timeout=30", "--retries=1", "-v", "1"),
)
# They end the credential, or call another server, or accept no API key.
LEFT_OUT = ("/auth/", "/admin/", "/mcp", "/tools/mcp-servers", "/webhooks", "/oauth")


def chosen(count, random):
    """Return a random sample of the operations that take a parameter, all of them for a count of 0."""
    able = [one for one in operations() if one.is_guarded and not one.path.startswith(LEFT_OUT) and parameters_of(one)]
    return able if not count else random.sample(able, min(count, len(able)))


def parameters_of(operation):
    """Return the places that sqlmap can attack in an operation."""
    fields = [name for name, value in (operation.example() or {}).items() if isinstance(value, str)]
    return [*(["id"] if operation.has_path_id else []), *operation.query, *fields]


def request_text(operation: Operation, server: Server, headers, ids):
    """Return the request as text, with a mark at every place to attack."""
    url = operation.path.replace("{id}", ids.get(operation.collection, "01996f6a-0000-7000-8000-000000000009") + MARK)
    if operation.query:
        url += "?" + urlencode({name: f"{example_of(schema)}{MARK}" for name, schema in operation.query.items()}, safe=MARK)
    example = operation.example()
    body = (
        "" if example is None else json.dumps({name: value + MARK if isinstance(value, str) else value for name, value in example.items()})
    )
    lines = [
        f"{operation.method} {url} HTTP/1.1",
        f"Host: 127.0.0.1:{server.port}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    lines += ["Content-Type: application/json"] if body else []
    return "\r\n".join([*lines, "", body])


def example_of(schema):
    """Return a value for a query parameter."""
    kind = schema.get("type") or next((one.get("type") for one in schema.get("anyOf", ())), "string")
    return {"integer": 1, "number": 1, "boolean": "true"}.get(kind, "hello")


def attack(request, folder):
    """Run sqlmap on a request. Return `found`, `safe` or `failed`, and its output."""
    file = folder / "request.txt"
    file.write_text(request, newline="")
    command = [str(SQLMAP), "-r", str(file), f"--output-dir={folder / 'sqlmap'}", *OPTIONS]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False, stdin=subprocess.DEVNULL)
    output = done.stdout + done.stderr
    return ("found" if FOUND in output else "safe" if SAFE in output else "failed"), output


@contextmanager
def vulnerable_server(login):
    """Run a server with a hole: its parameter `title` becomes a part of a statement."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            title = parse_qs(urlsplit(self.path).query).get("title", [""])[0]
            try:
                with psycopg.connect(**login) as connection:
                    rows = connection.execute(f"SELECT relname FROM pg_class WHERE relname = '{title}'").fetchall()
                status, text = 200, f"found {rows}" if rows else "nothing"
            except psycopg.Error as error:
                status, text = 500, str(error)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format, *args):
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def user_headers(server):
    """Register a user and return the header with an API key."""
    email = f"{token_hex(8)}@example.com"
    _, tokens = call(server, "POST", "/auth/register", {"email": email, "password": PASSWORD})
    made = send(server, "/auth/api-keys", {"name": "sqlmap", "password": PASSWORD}, {"Authorization": f"Bearer {tokens['access_token']}"})
    return {"Authorization": f"Bearer {made['key']}"}


def send(server, path, body, headers):
    """Send a POST request as the user and return the document."""
    import httpx2

    return httpx2.post(f"{server.url}{path}", json=body, headers=headers, timeout=60).json()


def objects(server, headers):
    """Create objects of the user, and return their ids by collection."""
    answered = send(server, "/chat", {"message": "hello", "stream": False, "model": "offline"}, headers)
    memory = send(server, "/memories", {"text": "I like tea."}, headers)
    return {
        "/conversations": answered["conversation_id"],
        "/chat/turns": answered["turn_id"],
        "/messages": answered["message"]["id"],
        "/memories": memory["id"],
    }


def run(folder, *, routes, seed):
    """Attack, print a line for each route, and return the names of those that failed."""
    with running_parley(folder) as server:
        _, status = call(server, "GET", "/_local/status")
        password = json.loads((folder / "data" / "secrets.json").read_text())[SUPERUSER]
        port = status["services"]["postgres"]["port"]
        login = {"host": "127.0.0.1", "port": port, "user": SUPERUSER, "password": password, "dbname": DATABASE_NAME}
        with vulnerable_server(login) as hole:
            verdict, output = attack(f"GET /?title=users{MARK} HTTP/1.1\r\nHost: 127.0.0.1:{hole}\r\n\r\n", folder)
        print(f"{verdict:7} the control, a server with a hole", flush=True)
        if verdict != "found":
            print(output[-3000:])
            return ["the control"]
        headers = user_headers(server)
        ids, bad = objects(server, headers), []
        for operation in chosen(routes, Random(seed)):
            verdict, output = attack(request_text(operation, server, headers, ids), folder)
            print(f"{verdict:7} {operation}: {', '.join(parameters_of(operation))}", flush=True)
            if verdict != "safe":
                print(output[-3000:])
                bad.append(str(operation))
        return bad


def main():
    """Attack, and exit with 1 if a hole was found or a route could not be attacked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--routes", type=int, default=25)
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args()
    seed = randbelow(1_000_000) if options.seed is None else options.seed
    print(f"seed {seed}", flush=True)
    with TemporaryDirectory(prefix="parley-sqlmap-") as name:
        bad = run(Path(name), routes=options.routes, seed=seed)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
