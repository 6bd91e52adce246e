"""Clients that ask questions, upload and delete documents, and repeat each request with the same key until it is answered."""

import json
import secrets
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from random import Random

import httpx2

from tests.support.api_gateway import PASSWORD, Answer

LAST_EVENTS = {"turn.completed", "turn.stopped", "turn.interrupted", "turn.failed"}
# Answers that say nothing about the request's end: the client repeats the request. The empty code is a broken connection or stream.
TEMPORARY = {
    "",
    "left",
    "unavailable",
    "database_waking",
    "in_progress",
    "conversation_busy",
    "unauthorized",
    "rate_limit_exceeded",
    "throttled",
}
# A worker or the whole stack was killed while it served the request.
TEMPORARY |= {"function_failed", "function_timeout", "server_error", "internal_error"}
GIVE_UP_AFTER_S = 600.0
PAUSE_S = 0.3
LEAVES_SHARE = 0.05  # of the attempts: the client leaves after the first bytes
DOCUMENT_SHARE, DELETION_SHARE = 0.06, 0.02
WORDS = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu"]


@dataclass
class Request:
    """A request with its key, and the answer that ended it, None if none did. `codes` are those of all attempts."""

    user_id: str
    key: str
    answer: Answer | None = None
    codes: list[str] = field(default_factory=list)

    @property
    def text(self):
        """The text of the answer that the client has in the end."""
        if self.answer.events:
            return self.answer.text
        return self.answer.json["message"]["text"] if self.answer.status == 200 else ""

    @property
    def ending(self):
        """The name of the last event, or the status of a whole answer."""
        return self.answer.events[-1][0] if self.answer.events else str(self.answer.status)


@dataclass(frozen=True)
class User:
    """A registered user with an API key, which outlives steps of the clock and the database."""

    id: str
    headers: dict[str, str]


class Clients:
    """The clients of a run. They ask until `turns` questions are answered and `is_enough()`, but twenty times as many at most."""

    def __init__(self, stack, *, seed, turns, clients, users, is_enough):
        self.questions, self.uploads, self.deletions = [], [], []
        self._stack, self._seed, self._turns, self._is_enough = stack, seed, turns, is_enough
        self._users = [register(stack.http) for _ in range(users)]
        self._numbers = count()
        self._threads = [threading.Thread(target=self._run, args=(number,), daemon=True) for number in range(clients)]

    def start(self):
        for thread in self._threads:
            thread.start()

    @property
    def are_busy(self):
        return any(thread.is_alive() for thread in self._threads)

    @property
    def answered(self):
        """The number of questions that are answered."""
        return sum(one.answer is not None for one in list(self.questions))

    def _run(self, number):
        random, user = Random(f"client {self._seed} {number}"), self._users[number % len(self._users)]
        conversations = []
        with httpx2.Client(base_url=self._stack.url, timeout=60, trust_env=False, headers=user.headers) as http:
            client = Client(http, user, random)
            while (turn := next(self._numbers)) < self._turns or (turn < self._turns * 20 and not self._is_enough()):
                self._ask(client, f"question-{turn:06d}", conversations)
                if random.random() < DOCUMENT_SHARE:
                    self._upload(client, turn)

    def _ask(self, client, key, conversations):
        request, random = Request(client.user.id, key), client.random
        self.questions.append(request)
        body = {"message": f"{' '.join(random.choices(WORDS, k=random.randint(1, 40)))}? {key}", "stream": random.random() < 0.7}
        if conversations and random.random() < 0.8:
            body["conversation_id"] = random.choice(conversations[-3:])
        client.repeat(request, "/chat", json=body)
        if found := conversation_of(request.answer):
            conversations.append(found)

    def _upload(self, client, number):
        request = Request(client.user.id, f"document-{number:06d}")
        self.uploads.append(request)
        text = f"{request.key}\n\n" + "\n\n".join(" ".join(client.random.choices(WORDS, k=80)) for _ in range(client.random.randint(1, 20)))
        client.repeat(request, "/documents", files={"file": (f"{request.key}.txt", text.encode(), "text/plain")})
        if request.answer and request.answer.status == 202 and client.random.random() < DELETION_SHARE / DOCUMENT_SHARE:
            self.deletions.append(request.answer.json["id"])
            client.delete(f"/documents/{request.answer.json['id']}")


@dataclass
class Client:
    """One client's connection, its user and its random choices."""

    http: httpx2.Client
    user: User
    random: Random

    def repeat(self, request, path, **content):
        """Send a request until its answer is final, or for `GIVE_UP_AFTER_S`."""
        ends = time.monotonic() + GIVE_UP_AFTER_S
        while time.monotonic() < ends:
            answer = self._attempt(request, path, content)
            request.codes.append(code_of(answer))
            if answer and answer.status != 429 and request.codes[-1] not in TEMPORARY:
                request.answer = answer
                return
            time.sleep(PAUSE_S)

    def delete(self, path):
        """Delete something until the server says that it is gone."""
        ends = time.monotonic() + GIVE_UP_AFTER_S
        while time.monotonic() < ends:
            with suppress(httpx2.TransportError):
                if self.http.delete(path).status_code in (204, 404):
                    return
            time.sleep(PAUSE_S)

    def _attempt(self, request, path, content):
        """Return the answer, or None if there was none or the client has left."""
        leaves = self.random.random() < LEAVES_SHARE
        try:
            with self.http.stream("POST", path, headers={"Idempotency-Key": request.key}, **content) as response:
                if leaves and next(response.iter_raw(), None):
                    return None
                response.read()
                return Answer(response.status_code, dict(response.headers), response.content)
        except httpx2.TransportError:
            return None


def code_of(answer):
    """Return the problem's code, `ok` for an answer or a stream that has its end, and the empty text for one without."""
    if answer is None:
        return ""
    if answer.headers.get("content-type", "").startswith("text/event-stream"):
        name, data = answer.events[-1] if answer.events else ("", {})
        return (data.get("code") or "ok") if name in LAST_EVENTS else ""
    if answer.status < 300:
        return "ok"
    try:
        return answer.json.get("code", f"status {answer.status}")
    except json.JSONDecodeError:
        return f"status {answer.status}"


def conversation_of(answer):
    """Return the conversation of a turn, or None if the answer names none."""
    if answer is None:
        return None
    if answer.events:
        return answer.events[0][1].get("conversation_id")
    return answer.json.get("conversation_id")


def register(http):
    """Register a user and make an API key."""
    email = f"{secrets.token_hex(8)}@example.com"
    tokens = http.post("/auth/register", json={"email": email, "password": PASSWORD}).json()
    session = {"Authorization": f"Bearer {tokens['access_token']}"}
    user_id = http.get("/auth/me", headers=session).json()["id"]
    made = http.post("/auth/api-keys", json={"name": "chaos", "password": PASSWORD}, headers=session).json()
    return User(user_id, {"Authorization": f"Bearer {made['key']}"})
