"""Login sessions on this computer: a private file with one session per address."""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Self

from cli.config_dir import config_dir, open_private, write_private
from cli.errors import CliError
from cli.json_fields import Fields

# Refresh early: a token must not expire in transit.
LEEWAY_S = 10.0


@dataclass(frozen=True)
class StoredSession:
    """A pair of tokens. `expires_at` is the access token's expiry as Unix time on this computer's clock."""

    email: str
    access_token: str
    refresh_token: str
    expires_at: float

    @classmethod
    def of(cls, tokens: Fields, *, email: str) -> Self:
        """Return the session in a register, login or refresh response. The token's lifetime is counted from now."""
        lifetime_s = tokens.number("expires_in") or 0.0
        return cls(
            email=tokens.part("user").text("email") or email,
            access_token=tokens.text("access_token"),
            refresh_token=tokens.text("refresh_token"),
            expires_at=time.time() + lifetime_s,
        )

    @property
    def is_expired(self) -> bool:
        """Whether the access token has expired or is about to expire."""
        return time.time() >= self.expires_at - LEEWAY_S


@dataclass(frozen=True)
class StoredSessions:
    """The file's content: the address of the last login, and the sessions by address."""

    last_url: str | None
    by_url: dict[str, StoredSession]

    def with_session(self, url: str, session: StoredSession) -> "StoredSessions":
        """Return a copy with `session` at `url`."""
        return replace(self, by_url=self.by_url | {url: session})

    def without(self, url: str) -> "StoredSessions":
        """Return a copy without a session at `url`."""
        return replace(self, by_url={each: session for each, session in self.by_url.items() if each != url})


class SessionFile:
    """`sessions.json` in the config directory. Reading needs no lock; changes are made under the lock."""

    def __init__(self, folder: Path | None = None) -> None:
        self.path = (folder or config_dir()) / "sessions.json"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the file against changes by other parley processes.

        The lock is not re-entrant. The kernel releases it if the process dies.
        """
        lock = open_private(self.path.with_suffix(".lock"), os.O_RDWR)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def read(self) -> StoredSessions:
        """Return the stored sessions; none if the file does not exist. Raises `CliError` for an unreadable file."""
        try:
            return _parse_sessions(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return StoredSessions(last_url=None, by_url={})
        except OSError as exc:
            raise CliError(f"Cannot read {self.path}: {exc.strerror}. To use another directory, set PARLEY_CONFIG_DIR.") from exc
        except (LookupError, ValueError, TypeError, AttributeError) as exc:
            raise CliError(f"{self.path} is damaged. Remove it and log in again: parley login") from exc

    def write(self, stored: StoredSessions) -> None:
        """Replace the file's content. The caller must have held the lock since it read the sessions."""
        content = {"last_url": stored.last_url, "sessions": {url: asdict(each) for url, each in stored.by_url.items()}}
        write_private(self.path, json.dumps(content, indent=2) + "\n")

    def log_in(self, url: str, session: StoredSession) -> None:
        """Store `session` and make `url` the default address of later commands."""
        with self.locked():
            self.write(replace(self.read().with_session(url, session), last_url=url))

    def change_email(self, url: str, email: str) -> None:
        """Change the e-mail address of the session at `url`, if there is a session."""
        with self.locked():
            stored = self.read()
            if session := stored.by_url.get(url):
                self.write(stored.with_session(url, replace(session, email=email)))

    def forget(self, url: str) -> None:
        """Remove the session at `url`, if there is one."""
        with self.locked():
            self.write(self.read().without(url))


def _parse_sessions(text: str) -> StoredSessions:
    content = json.loads(text)
    sessions = {url: StoredSession(**fields) for url, fields in content["sessions"].items()}
    return StoredSessions(last_url=content["last_url"], by_url=sessions)
