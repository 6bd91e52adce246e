"""Checks of the dependencies that Parley needs to serve requests."""

import time
from dataclasses import dataclass
from typing import Literal

from parley.db.engine import Engine
from parley.db.transactions import global_scope
from parley.errors import Unavailable
from parley.observability import logger


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check."""

    status: Literal["ok", "failed"]
    elapsed_ms: float


def check_database(engine: Engine) -> Check:
    """Check the database by opening a transaction."""
    started = time.perf_counter()
    try:
        with global_scope(engine):
            status: Literal["ok", "failed"] = "ok"
    except Unavailable as exc:
        logger.warning("database_check_failed", reason=repr(exc.__cause__))
        status = "failed"
    return Check(status, round((time.perf_counter() - started) * 1000, 1))
