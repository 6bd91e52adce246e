"""Parley's HTTP API for the person who is logged in, or for the API key in `PARLEY_API_KEY`; and the events of a turn."""

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


class ApiKeyRefused(CliError):
    """The server knows no such key, or not any more."""

    def __init__(self, url: str) -> None:
        super().__init__(
            f"The API key in {API_KEY_VARIABLE} is not valid at {url}: expired, revoked, or of another Parley. See: parley api-keys"
        )


def api_key_from_environment() -> str | None:
    """Return the API key, or None where there is none; raises `CliError` for what can be none."""
    key = os.environ.get(API_KEY_VARIABLE, "").strip()
    if not all("!" <= char <= "~" for char in key):
        raise CliError(f"{API_KEY_VARIABLE} holds something else than an API key. Make one: parley api-keys create NAME")
    return key or None


TERMINAL_EVENTS = frozenset({"turn.completed", "turn.stopped", "turn.interrupted", "turn.waiting", "turn.failed"})


# A tool's result travels in one event; the body limit of the API is 4 MiB.
MAX_EVENT_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True)
class TurnEvent:
    """One event: its name, as in the contract, and its JSON object."""

    name: str
    fields: Fields

    @property
    def ends_the_turn(self) -> bool:
        """Whether nothing follows."""
        return self.name in TERMINAL_EVENTS


def read_events(response: httpx2.Response) -> Iterator[TurnEvent]:
    """Yield events as they arrive, and read the stream to its end: who hangs up early looks like someone who left.

    Raises `StreamCutOff` when the stream breaks or ends without one. Names are not checked:
    a newer server may send more.
    """
    has_ended = False
    try:
        for sse in httpx2.EventSource(response, max_event_size=MAX_EVENT_BYTES):
            event = TurnEvent(sse.event, Fields.parse(sse.data))
            has_ended = has_ended or event.ends_the_turn
            yield event
    except httpx2.TransportError as exc:
        if not has_ended:
            raise StreamCutOff from exc
    if not has_ended:
        raise StreamCutOff


class ApiClient:
    """The API at one address. Access tokens are renewed as needed; every failure is a `CliError`.

    With a `key`, an API key, calls are made by it, and sessions play no part.
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
        """Raise `NotLoggedIn` at once rather than after the person has typed a question."""
        if self._key is None:
            self._session(self.sessions.read())

    def public(self, call: HttpCall) -> Fields:
        """Make a call that needs no session and return the answer's fields."""
        with self._connection.answer(call) as response:
            return Fields.of(self._connection.content(response))

    def fetch(self, call: HttpCall) -> object:
        """Make a call as the person and return the answer's JSON; None when it has no body."""
        with self._answer(call) as response:
            return self._connection.content(response)

    @contextmanager
    def stream(self, call: HttpCall) -> Iterator[Iterator[TurnEvent]]:
        """Make a call as the person and give the events of its stream as they arrive; none where it is only noted (202)."""
        with self._answer(call) as response:
            if response.status_code == 202:
                yield iter(())
                return
            if response.status_code != 200 or not _is_event_stream(response):
                self._connection.content(response)
                raise not_parley(self.url, "it answered without a stream")
            yield read_events(response)

    def session_from(self, tokens: Fields, *, email: str) -> StoredSession:
        """Return the session in an answer with tokens; an answer without them is not Parley's."""
        if not tokens.text("access_token") or not tokens.text("refresh_token"):
            raise not_parley(self.url, "it granted no tokens")
        return StoredSession.of(tokens, email=email)

    def _answer(self, call: HttpCall) -> AbstractContextManager[httpx2.Response]:
        return self._answer_by_session(call) if self._key is None else self._answer_by_key(call, self._key)

    @contextmanager
    def _answer_by_key(self, call: HttpCall, key: str) -> Iterator[httpx2.Response]:
        with self._connection.answer(call, token=key) as response:
            if response.status_code == 401:
                raise ApiKeyRefused(self.url)
            yield response

    @contextmanager
    def _answer_by_session(self, call: HttpCall) -> Iterator[httpx2.Response]:
        session = self._session(self.sessions.read())
        if session.is_expired:
            session = self._renewed(session)
        with self._connection.answer(call, token=session.access_token) as response:
            if response.status_code != 401:
                yield response
                return
        with self._connection.answer(call, token=self._renewed(session).access_token) as response:
            yield response

    def _session(self, stored: StoredSessions) -> StoredSession:
        session = stored.by_url.get(self.url)
        if session is None:
            raise NotLoggedIn(self.url)
        return session

    def _renewed(self, stale: StoredSession) -> StoredSession:
        """Return a session newer than `stale`: another process's, or one from the refresh token, saved before use.

        A refresh token works once, so the lock is held from reading it to saving its successor.
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
        """Return the next session, or None when the refresh token is refused."""
        call = HttpCall("POST", "/auth/refresh", {"refresh_token": session.refresh_token})
        with self._connection.answer(call) as response:
            if response.status_code == 401:
                return None
            return self.session_from(Fields.of(self._connection.content(response)), email=session.email)


def _is_event_stream(response: httpx2.Response) -> bool:
    content_type: str = response.headers.get("content-type", "")
    return content_type.partition(";")[0].strip().lower() == "text/event-stream"
