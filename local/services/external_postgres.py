"""A PostgreSQL server that the emulator uses but does not run, such as a container beside it."""

import asyncio
import time
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from local.services.supervisor import ServiceFailed

_WAIT_S = 60.0


class ExternalPostgres:
    """The server at `url`, `postgresql://SUPERUSER:PASSWORD@HOST:PORT`. Raises `ServiceFailed` if a part of it is missing."""

    def __init__(self, url: str) -> None:
        try:
            parts = conninfo_to_dict(url)
        except psycopg.ProgrammingError as error:
            raise ServiceFailed(f"the database's address is not a PostgreSQL URL: {error}") from error
        missing = [name for name in ("host", "user", "password") if not parts.get(name)]
        if missing:
            raise ServiceFailed(f"the database's address has no {missing[0]}: use postgresql://USER:PASSWORD@HOST:PORT")
        self.host, self.port = str(parts["host"]), int(parts.get("port") or 5432)
        self.superuser, self.password = str(parts["user"]), str(parts["password"])
        self._is_reachable = False

    async def start(self) -> None:
        """Wait until the server accepts the login, at most a minute. Raises `ServiceFailed`."""
        give_up_at = time.monotonic() + _WAIT_S
        while error := await asyncio.to_thread(self._login_error):
            # A server that refuses the password is up, and will refuse it again.
            if time.monotonic() > give_up_at or "authentication failed" in error:
                raise ServiceFailed(f"PostgreSQL at {self.host}:{self.port} does not accept the login: {error}")
            await asyncio.sleep(0.5)
        self._is_reachable = True

    async def stop(self) -> None:
        """Leave the server running: it is not the emulator's."""
        self._is_reachable = False

    def status(self) -> dict[str, Any]:
        return {"running": self._is_reachable, "pid": None, "restarts": 0, "port": self.port}

    def _login_error(self) -> str:
        login: dict[str, Any] = {"host": self.host, "port": self.port, "user": self.superuser, "password": self.password}
        try:
            psycopg.connect(**login, dbname="postgres", connect_timeout=5).close()
        except psycopg.OperationalError as error:
            return str(error).strip()
        return ""
