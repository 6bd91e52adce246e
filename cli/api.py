"""Parley's HTTP API for one user: calls with a login session or an API key, and the event stream of a turn."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import httpx2

from cli.errors import CliError, NotLoggedIn, SessionEnded, StreamCutOff, not_parley
from cli.http import Connection, HttpCall
from cli.json_fields import Fields
from cli.session_store import SessionFile, StoredSession, StoredSessions

API_KEY_VARIABLE = "PARLEY_API_KEY"
TERMINAL_EVENTS = frozenset({"turn.completed", "turn.stopped", "turn.interrupted", "turn.waiting", "turn.failed"})
# A tool result is sent as one event; the API's body limit is 4 MiB.
MAX_EVENT_BYTES = 4 * 1024 * 1024


class ApiKeyRefused(CliError):
    """The server does not accept the API key in the environment."""

    def __init__(self, url: str) -> None:
        super().__init__(
            f"The API key in {API_KEY_VARIABLE} is not valid at {url}: it is expired, revoked or from another Parley. "
            "List your keys: parley api-keys"
        )


def api_key_from_environment() -> str | None:
    """Return the value of `PARLEY_API_KEY`, or None if it is unset or empty.

    Raises `CliError` if the value cannot be sent in a header.
    """
    key = os.environ.get(API_KEY_VARIABLE, "").strip()
    if not all("!" <= char <= "~" for char in key):
        raise CliError(f"{API_KEY_VARIABLE} is not a valid API key. Create one: parley api-keys create NAME")
    return key or None


@dataclass(frozen=True)
class TurnEvent:
    """One event of a turn: its name, its JSON object, and its number in the turn's log, or 0 if it has none."""

    name: str
    fields: Fields
    number: int = 0

    @property
    def is_terminal(self) -> bool:
        """Whether this is the turn's last event."""
        return self.name in TERMINAL_EVENTS


def read_events(response: httpx2.Response) -> Iterator[TurnEvent]:
    """Yield every event as it arrives, including unknown events of a newer server.

    The stream is read to its end, because closing it early would tell the server that the client
    has left. Raises `StreamCutOff` if the stream ends without a terminal event.
    """
    has_ended = False
    try:
        for sse in httpx2.EventSource(response, max_event_size=MAX_EVENT_BYTES):
            event = TurnEvent(sse.event, Fields.parse(sse.data), int(sse.id) if sse.id.isdecimal() else 0)
            has_ended = has_ended or event.is_terminal
            yield event
    except httpx2.TransportError as exc:
        if not has_ended:
            raise StreamCutOff from exc
    if not has_ended:
        raise StreamCutOff


class ApiClient:
    """A client of the API at one address. Expired access tokens are refreshed, and every failure is a `CliError`.

    With an API `key`, the client sends the key and uses no session.
    """

    def __init__(self, url: str, sessions: SessionFile, *, key: str | None = None) -> None:
        self.url = url
        self.sessions = sessions
        self._key = key
        self._connection = Connection(url)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        self._connection.close()

    def require_session(self) -> None:
        """Raise `NotLoggedIn` if there is neither a session nor a key. Commands call this before they prompt for input."""
        if self._key is None:
            self._session(self.sessions.read())

    def public(self, call: HttpCall) -> Fields:
        """Make a call without credentials and return the response's fields."""
        with self._connection.send(call) as response:
            return Fields.of(self._connection.read_json(response))

    def fetch(self, call: HttpCall) -> object:
        """Make a call as the user and return the response's JSON, or None if the response has no body."""
        with self._send(call) as response:
            return self._connection.read_json(response)

    @contextmanager
    def stream(self, call: HttpCall) -> Iterator[Iterator[TurnEvent]]:
        """Make a call as the user and yield an iterator of its events.

        The iterator is empty for status 202: the server recorded the request and streams nothing.
        """
        with self._send(call) as response:
            if response.status_code == 202:
                yield iter(())
                return
            if response.status_code != 200 or not _is_event_stream(response):
                self._connection.read_json(response)
                raise not_parley(self.url, "its answer is not an event stream")
            yield read_events(response)

    def session_from(self, tokens: Fields, *, email: str) -> StoredSession:
        """Return a session with the tokens in a response. Raises `CliError` if the tokens are missing."""
        if not tokens.text("access_token") or not tokens.text("refresh_token"):
            raise not_parley(self.url, "its answer has no tokens")
        return StoredSession.of(tokens, email=email)

    def renew(self) -> None:
        """Exchange the session's tokens, so that its new rights count at once. An API key has none to exchange."""
        if self._key is None:
            self._renewed(self._session(self.sessions.read()))

    def _send(self, call: HttpCall) -> AbstractContextManager[httpx2.Response]:
        return self._send_with_session(call) if self._key is None else self._send_with_key(call, self._key)

    @contextmanager
    def _send_with_key(self, call: HttpCall, key: str) -> Iterator[httpx2.Response]:
        with self._connection.send(call, token=key) as response:
            if response.status_code == 401:
                raise ApiKeyRefused(self.url)
            yield response

    @contextmanager
    def _send_with_session(self, call: HttpCall) -> Iterator[httpx2.Response]:
        session = self._session(self.sessions.read())
        if session.is_expired:
            session = self._renewed(session)
        with self._connection.send(call, token=session.access_token) as response:
            if response.status_code != 401:
                yield response
                return
        with self._connection.send(call, token=self._renewed(session).access_token) as response:
            yield response

    def _session(self, stored: StoredSessions) -> StoredSession:
        session = stored.by_url.get(self.url)
        if session is None:
            raise NotLoggedIn(self.url)
        return session

    def _renewed(self, stale: StoredSession) -> StoredSession:
        """Return a session newer than `stale`, either stored by another process or refreshed and stored here.

        A refresh token works once, so the lock is held from reading the token to storing its successor.
        """
        with self.sessions.locked():
            stored = self.sessions.read()
            current = self._session(stored)
            if current.access_token != stale.access_token and not current.is_expired:
                return current
            fresh = self._refreshed(current)
            self.sessions.write(stored.with_session(self.url, fresh) if fresh else stored.without(self.url))
        if fresh is None:
            raise SessionEnded
        return fresh

    def _refreshed(self, session: StoredSession) -> StoredSession | None:
        """Exchange the refresh token and return the new session, or None if the server refuses the token."""
        call = HttpCall("POST", "/auth/refresh", {"refresh_token": session.refresh_token})
        with self._connection.send(call) as response:
            if response.status_code == 401:
                return None
            return self.session_from(Fields.of(self._connection.read_json(response)), email=session.email)


def _is_event_stream(response: httpx2.Response) -> bool:
    content_type: str = response.headers.get("content-type", "")
    return content_type.partition(";")[0].strip().lower() == "text/event-stream"
