"""Parley's HTTP API as the person who is logged in sees it."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from types import TracebackType
from typing import Self

import httpx2

from cli.api_key import KeyRefused
from cli.connection import Call, Connection
from cli.errors import NotLoggedIn, SessionEnded
from cli.events import Event, events_of
from cli.fields import Fields
from cli.problem import stranger
from cli.sessions import Book, Session, SessionFile


class Api:
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

    def public(self, call: Call) -> Fields:
        """Make a call that needs no session and return the answer's fields."""
        with self._connection.answer(call) as response:
            return Fields.of(self._connection.content(response))

    def fetch(self, call: Call) -> object:
        """Make a call as the person and return the answer's JSON; None when it has no body."""
        with self._answer(call) as response:
            return self._connection.content(response)

    @contextmanager
    def stream(self, call: Call) -> Iterator[Iterator[Event]]:
        """Make a call as the person and give the events of its stream as they arrive; none where it is only noted (202)."""
        with self._answer(call) as response:
            if response.status_code == 202:
                yield iter(())
                return
            if response.status_code != 200 or not _is_stream(response):
                self._connection.content(response)
                raise stranger(self.url, "it answered without a stream")
            yield events_of(response)

    def granted(self, tokens: Fields, *, email: str) -> Session:
        """Return the session in an answer with tokens; an answer without them is not Parley's."""
        if not tokens.text("access_token") or not tokens.text("refresh_token"):
            raise stranger(self.url, "it granted no tokens")
        return Session.of(tokens, email=email)

    def _answer(self, call: Call) -> AbstractContextManager[httpx2.Response]:
        return self._answer_by_session(call) if self._key is None else self._answer_by_key(call, self._key)

    @contextmanager
    def _answer_by_key(self, call: Call, key: str) -> Iterator[httpx2.Response]:
        with self._connection.answer(call, token=key) as response:
            if response.status_code == 401:
                raise KeyRefused(self.url)
            yield response

    @contextmanager
    def _answer_by_session(self, call: Call) -> Iterator[httpx2.Response]:
        session = self._session(self.sessions.read())
        if session.is_expired:
            session = self._renewed(session)
        with self._connection.answer(call, token=session.access_token) as response:
            if response.status_code != 401:
                yield response
                return
        with self._connection.answer(call, token=self._renewed(session).access_token) as response:
            yield response

    def _session(self, book: Book) -> Session:
        session = book.by_url.get(self.url)
        if session is None:
            raise NotLoggedIn(self.url)
        return session

    def _renewed(self, stale: Session) -> Session:
        """Return a session newer than `stale`: another process's, or one from the refresh token, saved before use.

        A refresh token works once, so the lock is held from reading it to saving its successor.
        """
        with self.sessions.locked():
            book = self.sessions.read()
            current = self._session(book)
            if current.access_token != stale.access_token and not current.is_expired:
                return current
            fresh = self._refreshed(current)
            self.sessions.write(book.with_session(self.url, fresh) if fresh else book.without(self.url))
        if fresh is None:
            raise SessionEnded
        return fresh

    def _refreshed(self, session: Session) -> Session | None:
        """Return the next session, or None when the refresh token is refused."""
        call = Call("POST", "/auth/refresh", {"refresh_token": session.refresh_token})
        with self._connection.answer(call) as response:
            if response.status_code == 401:
                return None
            return self.granted(Fields.of(self._connection.content(response)), email=session.email)


def _is_stream(response: httpx2.Response) -> bool:
    content_type: str = response.headers.get("content-type", "")
    return content_type.partition(";")[0].strip().lower() == "text/event-stream"
